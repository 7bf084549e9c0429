"""One mirror's copy of a file, and an open response with its bytes.

Bytes come as the mirror sent them: nothing is decompressed (a `.tar.gz` that is sent as "gzip" is common), so
`content_encoding` tells, and the caller decides what the bytes are. Nothing is verified here: that takes the digest,
which is the caller's. What is held here is HTTP: a body that ends early, falls silent, crawls, or contradicts its
Content-Range is an error, never a short file.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Self

from pypicache.errors import FileNotFound, UpstreamGarbled, UpstreamRefused, UpstreamTimeout, one_line
from pypicache.rules.conditional import is_strong
from pypicache.rules.ranges import parse_content_range, parse_unsatisfied
from pypicache.upstream.faults import FAULTS, translate
from pypicache.upstream.source import NoneIdle, Share
from pypicache.upstream.wire import Reply, Wire

SLOWEST = 1000.0
"""Bytes a second: a body slower than that for `SLOW_FOR` is broken off. One byte now and then isn't silence."""

SLOW_FOR = 60.0
"""Seconds of waiting for the network that the speed is measured over; the reader's own time doesn't count."""

_ABSENT = frozenset({404, 410})
_WHOLE, _PART, _UNSATISFIABLE = 200, 206, 416


class FileBody:
    """An open response: a `pypicache.upstream.source.Body`."""

    def __init__(
        self,
        wire: Wire,
        reply: Reply,
        *,
        start: int,
        total: int | None,
        length: int | None,
        done: Callable[[], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.origin = wire.name
        self.status = reply.response.status
        self.start = start
        self.total = total
        self.content_range = reply.header("Content-Range")
        self.content_length = reply.response.content_length
        tag = reply.header("ETag")
        self.etag: str | None = tag if is_strong(tag) else None
        coding = (reply.header("Content-Encoding") or "").strip().lower()
        self.content_encoding: str | None = None if coding in {"", "identity"} else one_line(coding, 40)
        self._meter = wire.meter
        self._silence = f"silent for {wire.read_timeout:g} s"
        self._response = reply.response
        self._length = length
        self._done = done
        self._monotonic = monotonic

    async def chunks(self) -> AsyncIterator[bytes]:
        """The bytes as they arrive; none of a 416's. Raises UpstreamTimeout, UpstreamRefused or UpstreamGarbled."""
        if self.status == _UNSATISFIABLE:
            return  # what it has to say is in the head
        content = self._response.content
        received = window = 0
        waited = 0.0
        while True:
            asked = self._monotonic()
            try:
                piece = await content.readany()
            except FAULTS as error:
                raise translate(error, self.origin, silence=self._silence) from error
            if not piece:
                break
            received += len(piece)
            self._meter.took("files", len(piece))
            if self._length is not None and received > self._length:
                raise UpstreamGarbled(self.origin, f"more than the {self._length} bytes that were announced")
            waited, window = waited + self._monotonic() - asked, window + len(piece)
            if waited >= SLOW_FOR:
                if window < SLOWEST * waited:
                    raise UpstreamTimeout(
                        self.origin, f"slower than {SLOWEST / 1000:g} kB/s for {SLOW_FOR:g} s"
                    )
                waited, window = 0.0, 0
            yield piece
        if self._length is not None and received < self._length:
            raise UpstreamRefused(self.origin, "the body ended early")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._response.close()  # drops the connection, unless the body was read to its end: then it was given back
        self._done()


SHARES = 24
"""Shares beside the first that a mirror is asked for at a time, of all files together."""

LATER = 600.0
"""Seconds for which a mirror that failed over a part isn't asked for shares."""


class Parts:
    """Whether a mirror serves parts of its files, as far as its answers tell, and how many shares it is asked for; kept over its files.

    Who asks for parts of a file that could be had at once all the same, has it come twice from a server that sends
    the whole file instead, and is refused where connections are few. So that is done only where the server has said that it
    serves parts (RFC 9110 section 14.3), never again after it sent the whole file, and not for a while after it refused one.
    """

    def __init__(self, *, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._served_at: str | None = None
        self._not_before = -math.inf
        self._left = SHARES

    @property
    def served_at(self) -> str | None:
        """A URL where parts are served, most likely as of its other files; None: that isn't known, or isn't so."""
        return None if self._monotonic() < self._not_before else self._served_at

    @property
    def left(self) -> int:
        """How many more shares it may be asked for."""
        return self._left

    def answered(self, reply: Reply, *, ranged: bool) -> None:
        """It has answered; `ranged`: it was asked for a part, and on no condition."""
        status = reply.response.status
        if status == _PART or (reply.header("Accept-Ranges") or "").strip().lower() == "bytes":
            self._served_at = reply.url
        if ranged and status not in {_PART, _UNSATISFIABLE, *_ABSENT}:
            self._not_before = math.inf if status == _WHOLE else self._monotonic() + LATER

    def take(self) -> None:
        """One share more. Raises NoneIdle where it is one too many."""
        if not self._left:
            raise NoneIdle
        self._left -= 1

    def give_back(self) -> None:
        """One less."""
        self._left += 1


class FileCopy:
    """One mirror's copy of one file: a `pypicache.upstream.source.Copy`.

    `locate` gives its URL, and may have to look on the mirror's page first; it is asked once.
    """

    def __init__(
        self,
        *,
        wire: Wire,
        filename: str,
        locate: Callable[[], Awaitable[str]],
        slots: asyncio.Semaphore,
        parts: Parts,
        connections: int,
    ) -> None:
        self.origin = wire.name
        self.connections = connections
        self._wire = wire
        self._filename = filename
        self._locate = locate
        self._locating = asyncio.Lock()
        self._slots = slots
        self._parts = parts
        self._url: str | None = None

    @property
    def idle(self) -> int:
        """How many connections to where the mirror's last file came from may be used for shares; none unless it serves parts."""
        url = self._parts.served_at
        return 0 if url is None else min(self._wire.idle(url), self._parts.left)

    async def open(
        self,
        start: int = 0,
        stop: int | None = None,
        *,
        if_range: str | None = None,
        share: Share | None = None,
        asking: Callable[[], object] | None = None,
    ) -> FileBody:
        """Ask for bytes [start, stop); waits for its turn where too many files are being fetched from the mirror."""
        ranged = start > 0 or stop is not None
        headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
        if ranged:
            headers["Range"] = f"bytes={start}-{'' if stop is None else stop - 1}"
            if if_range is not None:
                headers["If-Range"] = if_range
        beside = share is Share.BESIDE
        if beside:
            self._parts.take()
        else:
            await self._slots.acquire()
        done = self._parts.give_back if beside else self._slots.release
        try:
            if asking is not None:
                asking()
            async with self._locating:
                url = self._url = self._url or await self._locate()
            reply = await self._wire.get(url, lane="files", headers=headers, idle_only=beside)
            self._parts.answered(reply, ranged=ranged and if_range is None)
            try:
                return self._body(reply, ranged=ranged, done=done)
            except BaseException:
                reply.response.close()
                raise
        except BaseException:
            done()
            raise

    def _body(self, reply: Reply, *, ranged: bool, done: Callable[[], None]) -> FileBody:
        response = reply.response
        if response.status in _ABSENT:
            raise FileNotFound(f"{self._filename}: {self.origin} answered {response.status}")
        if response.status not in {_WHOLE, _PART} and not (ranged and response.status == _UNSATISFIABLE):
            raise self._wire.refusal(reply, self._filename)
        length = response.content_length
        start, total = 0, length
        if response.status == _PART:
            part = parse_content_range(reply.header("Content-Range"))
            if not ranged or part is None:
                raise UpstreamGarbled(
                    self.origin, f"{self._filename}: a part of the file without a usable range"
                )
            start, total = part.start, part.total
            if length not in {None, part.stop - part.start}:
                raise UpstreamGarbled(
                    self.origin, f"{self._filename}: Content-Length and Content-Range disagree"
                )
            length = part.stop - part.start
        elif response.status == _UNSATISFIABLE:
            total = parse_unsatisfied(reply.header("Content-Range"))
        return FileBody(self._wire, reply, start=start, total=total, length=length, done=done)
