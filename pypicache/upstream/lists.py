"""One mirror's list of all projects, as a stream: tens of megabytes, of which no more than a piece is held.

::

    200                       ListBody
    304                       NotModified
    404, 405, 410, 501        NotFound: the mirror has no list
    any other                 UpstreamRefused
    silence                   UpstreamTimeout

What is in it is for others to read. It is inflated here, within limits, and in a thread.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

from pypicache.errors import NotFound, UpstreamGarbled
from pypicache.offload import THREAD, Offload
from pypicache.simple.fields import page_base
from pypicache.upstream.client import ACCEPT
from pypicache.upstream.faults import FAULTS, status_line, translate
from pypicache.upstream.legacy import NOT_OFFERED
from pypicache.upstream.replies import content_coding, usable
from pypicache.upstream.source import NotModified, Validators
from pypicache.upstream.unpack import MAX_MEMBERS, MAX_RATIO, PLAIN, RATIO_FREE
from pypicache.upstream.wire import Reply, Wire

MAX_WIRE = 512 << 20
"""Bytes of a list on the wire."""

PIECE = 1 << 20
"""Bytes of a list that are inflated at a time."""

_GZIP = zlib.MAX_WBITS | 16
_OK, _NOT_MODIFIED = 200, 304


class ListClient:
    """Asks one mirror for its list: a `pypicache.upstream.source.ListCopy`. Somebody else opens `wire`."""

    def __init__(self, *, wire: Wire, offload: Offload) -> None:
        self.origin = wire.name
        self._wire = wire
        self._offload = offload

    async def open(self, known: Validators | None = None) -> OpenList | NotModified:
        """The list, its body unread; see the module's table."""
        headers = {"Accept": ACCEPT, "Accept-Encoding": "gzip"}
        if known is not None and known.origin == self.origin and known.etag is not None:
            headers["If-None-Match"] = known.etag
        reply = await self._wire.get(self._wire.url, lane="pages", headers=headers)
        try:
            return self._judged(reply, known if "If-None-Match" in headers else None)
        except BaseException:
            reply.response.close()
            raise

    def _judged(self, reply: Reply, known: Validators | None) -> OpenList | NotModified:
        status = reply.response.status
        if status == _OK:
            return OpenList(reply, self._wire, self._offload)
        if status == _NOT_MODIFIED and known is not None:
            reply.response.release()
            return NotModified(known)
        if status in NOT_OFFERED:
            raise NotFound(f"{self.origin} answered {status_line(status, None)}")
        raise self._wire.refusal(reply, "the list of projects")


class OpenList:
    """A list that is arriving. Implements `pypicache.upstream.source.ListBody`."""

    def __init__(self, reply: Reply, wire: Wire, offload: Offload) -> None:
        self._coding = content_coding(reply, wire.name)
        self._reply = reply
        self._wire = wire
        self._offload = offload
        self.url = page_base(reply.url)
        self.content_type = reply.header("Content-Type")
        self.validators = Validators(origin=wire.name, etag=usable(reply.header("ETag")))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reply.response.close()

    async def pieces(self) -> AsyncIterator[bytes]:
        """The list's bytes; see `ListBody.pieces`."""
        if self._coding in PLAIN:
            async for piece in self._wired():
                yield piece
            return
        inflater = Inflater()
        try:
            async for piece in self._wired():
                inflater.feed(piece)
                while part := await self._offload.run(THREAD, inflater.take, PIECE):
                    yield part
            inflater.finish()
        except ValueError as error:
            raise UpstreamGarbled(self._wire.name, f"the list of projects: {error}") from error

    async def _wired(self) -> AsyncIterator[bytes]:
        """The bytes on the wire."""
        room = MAX_WIRE
        try:
            async for piece in self._reply.response.content.iter_any():
                room -= len(piece)
                if room < 0:
                    raise UpstreamGarbled(self._wire.name, f"a list of over {MAX_WIRE >> 20} MiB")
                self._wire.meter.took("pages", len(piece))
                yield piece
        except FAULTS as error:
            raise translate(
                error, self._wire.name, silence=f"silent for {self._wire.read_timeout:g} s"
            ) from error


class Inflater:
    """gzip, a bounded piece at a time. Raises ValueError, one line, for what isn't gzip, is cut, or is a bomb."""

    def __init__(self) -> None:
        self._decoder = zlib.decompressobj(_GZIP)
        self._waiting = b""
        self._wire = 0
        self._made = 0
        self._members = 1

    def feed(self, data: bytes) -> None:
        """Take in bytes; what was taken in before has been taken out."""
        self._waiting += data
        self._wire += len(data)

    def take(self, limit: int) -> bytes:
        """The next bytes, `limit` at most; nothing when more must be fed."""
        while self._waiting:
            if self._decoder.eof:
                self._next_member()
            try:
                part = self._decoder.decompress(self._waiting, limit)
            except zlib.error as error:
                raise ValueError("not gzip, although it says so") from error
            self._waiting = self._decoder.unused_data or self._decoder.unconsumed_tail
            self._made += len(part)
            if self._made > max(RATIO_FREE, self._wire * MAX_RATIO):
                raise ValueError("gzip that inflates beyond all measure")
            if part:
                return part
        return b""

    def finish(self) -> None:
        """There is no more: raises ValueError when there should be."""
        if not self._decoder.eof:
            raise ValueError("gzip that ends early")

    def _next_member(self) -> None:
        self._members += 1
        if self._members > MAX_MEMBERS:
            raise ValueError("gzip with too many members")
        self._decoder = zlib.decompressobj(_GZIP)
