"""Copies and bodies whose fate is reported, so that a mirror's breaker learns from downloads too.

A download's outcome is known long after it was opened, in somebody else's hands: these wrappers pass everything
through and tell `report` once for each opening: the error or None for success, how many bytes came, and how many
seconds were spent waiting for them. Success means that bytes
came and nothing went wrong up to the end of the body or up to where the reader had enough.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Self

from pypicache.errors import UpstreamError, UpstreamTimeout
from pypicache.upstream.source import Body, Copy, Share

SILENCE = 1.5
"""Seconds without an answer after which a request that is given up counts as a failure: somebody else was quicker."""

Report = Callable[[UpstreamError | None, int, float], None]


class WatchedCopy:
    """A `Copy` that reports what became of it."""

    def __init__(
        self, copy: Copy, report: Report, opening: Callable[[], None], far: Callable[[], bool]
    ) -> None:
        self.origin = copy.origin
        self.connections = copy.connections
        self._copy = copy
        self._far = far
        self._report = report
        self._opening = opening

    @property
    def idle(self) -> int:
        """As the copy's, if the mirror is far: a near one brings a file as fast over one."""
        return self._copy.idle if self._far() else 0

    async def open(
        self,
        start: int = 0,
        stop: int | None = None,
        *,
        if_range: str | None = None,
        share: Share | None = None,
        asking: Callable[[], object] | None = None,
    ) -> Body:
        """As the copy's; `opening` is called first. What waits for its turn says nothing of the mirror, nor does a share beside the first."""
        if share is Share.BESIDE:
            return await self._copy.open(start, stop, if_range=if_range, share=share, asking=asking)
        self._opening()
        began: float | None = None

        def asks() -> None:
            nonlocal began
            began = time.monotonic()
            if asking is not None:
                asking()

        try:
            body = await self._copy.open(start, stop, if_range=if_range, share=share, asking=asks)
        except UpstreamError as error:
            self._report(error, 0, 0.0)
            raise
        except asyncio.CancelledError:
            if began is not None and (silence := time.monotonic() - began) >= SILENCE:
                self._report(
                    UpstreamTimeout(self.origin, f"given up after {silence:.1f} s of silence"), 0, 0.0
                )
            raise
        return WatchedBody(body, self._report, alone=share is None)


class WatchedBody:
    """A `Body` that reports how it ended; one that came `alone` also how fast."""

    def __init__(self, body: Body, report: Report, *, alone: bool = True) -> None:
        self._alone = alone
        self.origin = body.origin
        self.status = body.status
        self.start = body.start
        self.total = body.total
        self.content_range = body.content_range
        self.content_length = body.content_length
        self.etag = body.etag
        self.content_encoding = body.content_encoding
        self._body = body
        self._report = report
        self._reported = False
        self._received = 0
        self._waited = 0.0
        self._came = False

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body's bytes."""
        asked = time.monotonic()
        try:
            async for piece in self._body.chunks():
                # The reader's own time, between pieces, is none of the mirror's.
                self._waited += time.monotonic() - asked
                self._received += len(piece)
                self._came = True
                yield piece
                asked = time.monotonic()
        except UpstreamError as error:
            self._tell(error)
            raise
        self._came = True

    async def __aenter__(self) -> Self:
        await self._body.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._body.__aexit__(kind, error, trace)
        if self._came:
            self._tell(None)

    def _tell(self, error: UpstreamError | None) -> None:
        if not self._reported:
            self._reported = True
            self._report(error, self._received if self._alone else 0, self._waited)
