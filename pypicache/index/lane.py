"""One connection of a download: it fetches a span, then the next one it is given.

The span's end may come closer while it is being fetched, when another lane takes over the rest of it; then the
connection is given up there. What a response may be used for is judged by `rules.resume`. Which spans there are is
the fill's business.
"""

from __future__ import annotations

import math
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from http import HTTPStatus
from typing import TYPE_CHECKING

from pypicache.errors import UpstreamGarbled
from pypicache.index.pump import Pump, skipping
from pypicache.rules import pieces, resume
from pypicache.rules.pieces import Span
from pypicache.upstream.source import Body, Copy, Share

if TYPE_CHECKING:
    from pypicache.index.fill import Fill


class NoRanges(Exception):
    """The mirror answers a range with the whole file: it serves one lane, and no more."""


class Lane:
    """Fetches [position, stop) from `copy`, and on; `stop` is None when the size isn't known.

    A `hired` lane came to help others; the first one didn't. `share`: it is one of those that the file was shared out among.
    """

    def __init__(
        self,
        *,
        fill: Fill,
        copy: Copy,
        position: int,
        stop: int | None,
        hired: bool = False,
        share: Share | None = None,
    ) -> None:
        self.share = share
        self.copy = copy
        self.position = position
        self.stop = stop
        self.hired = hired
        self.received = 0
        self.answered = False
        """Whether the mirror has answered its latest request."""
        self.touched = time.monotonic()
        self._fill = fill
        self.began = self.touched
        self._open_ended = False

    def __repr__(self) -> str:
        return f"<Lane {self.copy.origin} {self.position}-{self.stop} received={self.received}>"

    @property
    def rate(self) -> float:
        """Bytes a second since it began; 0 before the first byte."""
        elapsed = time.monotonic() - self.began
        return self.received / elapsed if self.received and elapsed > 0 else 0.0

    def needs(self) -> float:
        """Seconds that it will take for the rest of its span, going on as it has."""
        left = 0 if self.stop is None else self.stop - self.position
        return left / self.rate if self.rate else math.inf

    def span(self, size: int) -> Span:
        """What it is to fetch of a file of `size` bytes, as far as other lanes are concerned.

        A lane that asked for all of the rest has about a second's worth of it: helpers begin right behind that.
        """
        stop = size if self.stop is None else self.stop
        if self._open_ended:
            stop = min(stop, self.position + max(pieces.SMALLEST, min(int(self.rate), pieces.LARGEST)))
        return (self.position, stop)

    async def run(self) -> None:
        """Until there is nothing to take. Raises UpstreamError or FileNotFound for what the mirror did, NoRanges, StoreError."""
        while True:
            await self._fetch()
            if not self._fill.take(self):
                return

    async def _fetch(self) -> None:
        fill, origin = self._fill, self.copy.origin
        etag = fill.etag(origin)
        if fill.alone and self.position and etag is None:
            # Nothing proves that this mirror's next bytes belong to those that are held.
            await fill.start_over()
            self.position, self.stop = 0, fill.size
        asked, stop = self.position, self.stop
        whole = self._open_ended = stop is None or stop == fill.size
        self.answered = False
        async with await self.copy.open(
            asked, None if whole else stop, if_range=etag if asked else None, share=self.share
        ) as body:
            skip = await self._accept(body, None if whole and not asked else asked)
            if fill.spool.size is None and fill.size is not None:
                await fill.spool.expect(fill.size)  # before the first byte: it may be too large for the cache
            chunks = skipping(skip, body.chunks())
            if fill.spool.data is None or fill.size is None:
                await Pump(chunks, self._write).run()
            else:
                await self._gather(chunks)
        if self.stop is None:
            fill.ended_cleanly(self)
        elif self.position < self.stop:
            raise UpstreamGarbled(origin, f"ended after {self.position} of {self.stop} bytes")

    async def _gather(self, chunks: AsyncGenerator[bytes]) -> None:
        """As a pump does, of a file that is kept in memory: there is no disk to wait for."""
        async with aclosing(chunks):
            async for chunk in chunks:
                if not await self._write([chunk]):
                    return

    async def _accept(self, body: Body, requested: int | None) -> int:
        """Judge the response; how many of its first bytes are to be thrown away."""
        fill = self._fill
        self.answered = True
        if body.content_encoding is not None and fill.alone:
            raise UpstreamGarbled(body.origin, f"sent with Content-Encoding {body.content_encoding}")
        splice = resume.judge(
            held=self.position,
            expected_size=fill.size,
            status=body.status,
            content_range=body.content_range,
            content_length=body.content_length,
            etag_before=fill.etag(body.origin),
            etag_now=body.etag,
            requested_start=requested,
            has_digest=not fill.alone,
        )
        match splice:
            case resume.Refuse(reason):
                if fill.alone and self.position:
                    await fill.start_over()
                raise UpstreamGarbled(body.origin, reason)
            case resume.StartOver():
                if fill.alone or fill.size is None:
                    await fill.start_over()
                raise UpstreamGarbled(body.origin, "its file can't be continued here")
            case resume.SkipThenAppend(count):
                if not fill.only(self):
                    raise NoRanges
                fill.opened(self, total=body.total, etag=body.etag)
                return count
            case resume.Append():
                if self.share is not None and body.status == HTTPStatus.OK and self.stop != fill.size:
                    raise NoRanges  # others are asked for the rest of it
                fill.opened(self, total=body.total, etag=body.etag)
                return 0

    async def _write(self, buffers: list[bytes]) -> bool:
        """Put them into the spool, up to the end of the span; whether more is wanted."""
        fill = self._fill
        size = sum(map(len, buffers))
        limit = self.stop if self.stop is not None else fill.max_size
        if limit is not None and self.position + size > limit:
            if self.stop is None or self.stop == fill.size:
                raise UpstreamGarbled(self.copy.origin, f"sent more than the {limit} bytes promised")
            buffers = _upto(buffers, limit - self.position)
            size = limit - self.position
        if size > 0:
            await fill.spool.write(self.position, buffers)
            self.position += size
            self.received += size
            self.touched = time.monotonic()
            fill.wrote(self, size)
        return self.stop is None or self.stop == fill.size or self.position < self.stop


def _upto(buffers: list[bytes], length: int) -> list[bytes]:
    """The first `length` bytes of the buffers."""
    kept = []
    for buffer in buffers:
        if length <= 0:
            break
        kept.append(buffer[:length])
        length -= len(buffer)
    return kept
