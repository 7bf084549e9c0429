"""METADATA read out of a wheel that is somewhere: in a file that is open here, or at a mirror that answers ranges.

`simple.wheelfile` says which bytes are needed; this module gets them. Bytes from a mirror are read within a time, a
few requests and a few megabytes, and are never more than a claim: only the whole wheel can be held against
its digest. It keeps nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from pypicache.errors import (
    FileNotFound,
    StoreError,
    UpstreamError,
    UpstreamGarbled,
    UpstreamRefused,
    UpstreamTimeout,
)
from pypicache.events import MirrorFailed, Observer
from pypicache.offload import INLINE, Offload
from pypicache.rules.ranges import parse_content_range
from pypicache.rules.retry import second_chance_at
from pypicache.simple import wheelfile
from pypicache.simple.model import File
from pypicache.simple.wheelfile import Metadata, Step
from pypicache.upstream.source import Body, Copy

PATIENCE = 8.0
"""Seconds for one mirror, over all its ranges."""

RANGELESS_FOR = 600.0
"""Seconds for which a mirror that ignored a range isn't asked for another."""

LARGE = 1 << 20
"""Bytes above which a range is fetched by two at a time only, so that many requests don't hold many of them."""

_PARTIAL = 206

Fetch = Callable[[int, int], Awaitable[bytes]]


class NoRanges(UpstreamGarbled):
    """The mirror answers a range with the whole file, or doesn't say how large the file is."""


@dataclass(frozen=True, slots=True)
class Found:
    """A wheel's METADATA, and what it cost."""

    content: bytes
    origin: str
    """The mirror whose bytes it was made of; empty when the wheel was at hand."""
    fetched: int = 0
    """Bytes that the mirror sent."""
    whole: bool = False
    """Whether all of the wheel was read and agrees with its digest."""


class Extractor:
    """Reads METADATA, the heavy part of it off the loop. `clock` gives seconds."""

    def __init__(
        self,
        *,
        offload: Offload,
        clock: Callable[[], float],
        observer: Observer,
        patience: float = PATIENCE,
    ) -> None:
        self._offload = offload
        self._clock = clock
        self._observer = observer
        self._rangeless: dict[str, float] = {}
        self._patience = patience
        self._large = asyncio.Semaphore(2)

    async def of_file(self, filename: str, fd: int, size: int) -> Found:
        """From a wheel that is open for reading. Raises ValueError when it has no METADATA that can be read, StoreError
        when the disk can't read it.
        """

        async def fetch(start: int, stop: int) -> bytes:
            return await asyncio.to_thread(_pread, fd, start, stop)

        return Found(await self._steps(filename, size, fetch), "", whole=True)

    async def of_copies(
        self, file: File, copies: Sequence[Copy], size: int | None
    ) -> tuple[Found | None, list[UpstreamError]]:
        """From the first mirror where that works, by ranges; and how the others failed. One that failed a while ago is
        asked once more when nobody else is left (`rules.retry`).
        """
        failures: dict[str, UpstreamError] = {}
        monotonic = asyncio.get_running_loop().time
        began, asked = monotonic(), dict[str, float]()
        waiting = deque(copies)
        while waiting:
            copy = waiting.popleft()
            if (second := copy.origin in asked) and not _again(asked[copy.origin], began, monotonic()):
                continue
            asked[copy.origin] = monotonic()
            found = await self._attempt(file, copy, size)
            if isinstance(found, Found):
                return found, list(failures.values())
            failures[copy.origin] = found
            if not second and not isinstance(found, NoRanges):
                waiting.append(copy)
        return None, list(failures.values())

    async def _attempt(self, file: File, copy: Copy, size: int | None) -> Found | UpstreamError:
        """As `of_copy`, but a mirror that is known to have no ranges isn't asked, and failures come back."""
        now = self._clock()
        if 0 <= now - self._rangeless.get(copy.origin, -RANGELESS_FOR) < RANGELESS_FOR:
            return NoRanges(copy.origin, "doesn't answer ranges")
        try:
            return await self.of_copy(file, copy, size)
        except UpstreamError as error:
            if isinstance(error, NoRanges):
                self._rangeless[copy.origin] = now
            elif isinstance(error, UpstreamGarbled) and not error.told:
                reason = str(error).removeprefix(f"{error.origin}: ")
                self._observer(MirrorFailed(origin=copy.origin, what=file.filename, reason=reason))
            return error

    async def of_copy(self, file: File, copy: Copy, size: int | None) -> Found:
        """From a mirror's copy, by ranges; `size` as far as it is known.

        Raises UpstreamError: NoRanges where there are none, UpstreamGarbled when the bytes make no sense, others as they come.
        """
        try:
            async with asyncio.timeout(self._patience):
                return await self._of_copy(file, copy, size)
        except TimeoutError as error:
            raise UpstreamTimeout(copy.origin, f"no METADATA within {self._patience:g} s") from error
        except FileNotFound as error:
            raise UpstreamRefused(copy.origin, str(error), http_status=404) from error
        except ValueError as error:
            raise UpstreamGarbled(copy.origin, f"{file.filename}: {error}") from error

    async def _of_copy(self, file: File, copy: Copy, size: int | None) -> Found:
        fetched = 0
        whole: bytes | None = None

        async def fetch(start: int, stop: int) -> bytes:
            nonlocal fetched, whole
            async with await copy.open(start, stop) as body:
                data = await _read(body, start, stop, size)
            fetched += len(data)
            whole = data if len(data) == size else None
            return data

        if size is None:
            async with await copy.open(0, 1) as body:
                size = await _size(body)
        content = await self._steps(file.filename, size, fetch)
        return Found(content, copy.origin, fetched, whole is not None and _agrees(file, whole, copy.origin))

    async def _steps(self, filename: str, size: int, fetch: Fetch) -> bytes:
        step: Step | Metadata = wheelfile.begin(filename, size)
        while isinstance(step, Step):
            start, stop = step.span
            if stop - start > LARGE:
                async with self._large:
                    step = await self._advance(step, await fetch(start, stop))
            else:
                step = await self._advance(step, await fetch(start, stop))
        return step.content

    async def _advance(self, step: Step, data: bytes) -> Step | Metadata:
        # Never on the loop: 32 KiB can be inflated to 10 MiB.
        return await self._offload.run(max(len(data), INLINE + 1), wheelfile.advance, step, data)


def _again(asked: float, began: float, now: float) -> bool:
    due = second_chance_at(asked, began=began, now=now)
    return due is not None and now >= due


def _pread(fd: int, start: int, stop: int) -> bytes:
    try:
        data = os.pread(fd, stop - start, start)
    except OSError as error:
        raise StoreError(f"a stored wheel can't be read: {error.strerror}") from error
    if len(data) != stop - start:
        raise StoreError("a stored wheel is shorter than it was")
    return data


async def _size(body: Body) -> int:
    """The file's size, from the answer to a request for its first byte."""
    part = parse_content_range(body.content_range) if body.status == _PARTIAL else None
    if part is None or part.total is None or (part.start, part.stop) != (0, 1):
        raise NoRanges(body.origin, "doesn't say how large the file is")
    async for _ in body.chunks():
        pass  # so that the connection can be used again
    return part.total


async def _read(body: Body, start: int, stop: int, size: int | None) -> bytes:
    """Exactly those bytes. Raises UpstreamError when the response has others."""
    if body.status != _PARTIAL:
        raise NoRanges(body.origin, f"answered {body.status} to a range")
    part = parse_content_range(body.content_range)
    if part is None or (part.start, part.stop) != (start, stop) or part.total not in {None, size}:
        raise UpstreamGarbled(
            body.origin, f"sent {body.content_range} for bytes {start}-{stop - 1} of {size}"
        )
    if body.content_encoding is not None:
        raise UpstreamGarbled(body.origin, f"sent with Content-Encoding {body.content_encoding}")
    pieces: list[bytes] = []
    room = stop - start
    async for piece in body.chunks():
        room -= len(piece)
        if room < 0:
            break
        pieces.append(piece)
    if room:
        raise UpstreamGarbled(body.origin, f"not the {stop - start} bytes that were asked for")
    return b"".join(pieces)


def _agrees(file: File, data: bytes, origin: str) -> bool:
    """Whether the whole wheel is the one that the page names. Raises UpstreamGarbled when it is another."""
    promised = file.best_digest
    assert promised is not None, "a wheel without a digest gets no sidecar"
    got = hashlib.new(promised.algorithm, data, usedforsecurity=False).hexdigest()
    if got != promised.value:
        raise UpstreamGarbled(origin, f"sent {promised.algorithm}:{got} where {promised} was promised")
    return True
