"""A file for one client past the store: when the disk is full or can't be written, the client still gets it.

The bytes come from the mirrors, go on to the client, and are kept nowhere but in a buffer of bounded size. They
are verified all the same: the last `HOLD` bytes wait until the digest of the whole agrees. What the client had from
the store before is hashed first, where it is; a client that begins in the middle has the start fetched and dropped.

There is one stream for each client here, not one for all: with no store there is no place to share from.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Sequence

from pypicache.errors import (
    AllUpstreamsFailed,
    FileNotFound,
    IntegrityError,
    PypicacheError,
    UpstreamError,
    UpstreamGarbled,
)
from pypicache.events import MirrorFailed, Observer
from pypicache.index.pump import skipping
from pypicache.simple.model import Digest, File
from pypicache.upstream.source import Body, Copy

AHEAD = 1 << 20
"""Bytes that wait for the client before the mirror is made to wait."""

STEP = 1 << 20


class Through:
    """The bytes of `file` from `start` on. `run` brings them, a client takes them in order with `available` and `read`.

    `given` has the bytes before `start`, which the client has had: as they are, or a file's descriptor; -1 when it has not.
    `hold` is how many bytes at the end wait for the digest.
    """

    def __init__(
        self,
        *,
        file: File,
        copies: Sequence[Copy],
        observer: Observer,
        start: int,
        given: int | bytes,
        hold: int,
    ) -> None:
        self._file = file
        self._copies = copies
        self._observer = observer
        self._start = start
        self._given = given
        self._hold = hold
        promised = file.best_digest
        self._hash = hashlib.new(promised.algorithm, usedforsecurity=False) if promised else hashlib.sha256()
        self._buffer = bytearray()
        self._taken = start
        self._position = 0
        self._ended = False
        self._error: PypicacheError | None = None
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Bring the file to its end, as fast as the client takes it."""
        try:
            if self._given != -1:
                await asyncio.to_thread(self._hash_given)
                self._position = self._start
            async for chunk in self._chunks():
                self._hash.update(chunk)
                fresh = self._position + len(chunk) - self._start
                self._position += len(chunk)
                if fresh > 0:
                    self._buffer += chunk[-fresh:] if fresh < len(chunk) else chunk
                    self._tell()
                while len(self._buffer) > self._hold + AHEAD:
                    self._changed.clear()
                    await self._changed.wait()
            self._verify()
            self._ended = True
        except PypicacheError as error:
            self._error = error
        finally:
            self._tell()

    async def available(self, offset: int) -> int:
        """Up to where the file can be read: more than `offset`, or `offset` at its end. Raises what went wrong."""
        assert offset == self._taken, "a stream is read in order"
        while True:
            ready = len(self._buffer) - (0 if self._ended else self._hold)
            if ready > 0 or self._ended:
                return offset + max(0, ready)
            if self._error is not None:
                raise self._error
            self._changed.clear()
            await self._changed.wait()

    def read(self, offset: int, most: int) -> bytes:
        """At most that many bytes, which are available; they are gone then."""
        assert offset == self._taken, "a stream is read in order"
        piece = bytes(self._buffer[:most])
        del self._buffer[:most]
        self._taken += len(piece)
        self._tell()
        return piece

    def _tell(self) -> None:
        self._changed.set()

    def _hash_given(self) -> None:
        if isinstance(self._given, bytes):
            self._hash.update(self._given[: self._start])
            return
        position = 0
        while position < self._start:
            piece = os.pread(self._given, min(STEP, self._start - position), position)
            if not piece:
                raise UpstreamGarbled("", f"{self._file.filename}: the cache lost what it had of it")
            self._hash.update(piece)
            position += len(piece)

    def _verify(self) -> None:
        size, promised = self._file.size, self._file.best_digest
        if size is not None and self._position != size:
            raise IntegrityError(self._file.filename, expected=f"{size} bytes", got=f"{self._position}")
        if promised is not None and self._hash.hexdigest() != promised.value:
            got = Digest(promised.algorithm, self._hash.hexdigest())
            raise IntegrityError(self._file.filename, expected=str(promised), got=str(got))

    async def _chunks(self) -> AsyncIterator[bytes]:
        """The bytes from `_position` on, from one mirror after the other: each may fail once without a byte."""
        causes: list[UpstreamError] = []
        left = list(self._copies)
        while left:
            before = self._position
            try:
                async with await left[0].open(before) as body:
                    async for chunk in skipping(self._skip(body), body.chunks()):
                        yield chunk
                    if self._file.size is None or self._position >= self._file.size:
                        return
                    raise UpstreamGarbled(body.origin, f"ended after {self._position} bytes")
            except (UpstreamError, FileNotFound) as error:
                origin = left[0].origin
                cause = error if isinstance(error, UpstreamError) else UpstreamGarbled(origin, str(error))
                if not cause.told:
                    self._observer(MirrorFailed(origin=origin, what=self._file.filename, reason=str(cause)))
                if self._position == before:
                    causes.append(cause)
                    left.pop(0)
        raise AllUpstreamsFailed(self._file.filename, causes)

    def _skip(self, body: Body) -> int:
        """How many of the response's first bytes have been had already."""
        size = self._file.size
        if size is not None and body.total is not None and body.total != size:
            raise UpstreamGarbled(body.origin, f"{body.total} bytes, where the file has {size}")
        if body.status not in {200, 206} or body.start > self._position:
            raise UpstreamGarbled(body.origin, "its file can't be continued here")
        return self._position - body.start


class Spare:
    """All of a file, verified, that the store couldn't take: to be read as `Through` is."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    async def available(self, offset: int) -> int:
        """The whole size."""
        return max(len(self._data), offset)

    def read(self, offset: int, most: int) -> bytes:
        """At most that many bytes."""
        return self._data[offset : offset + most]
