"""A file that is on its way, as `content.Content`: read like a stored one, whose mark only stands at its end.

So whoever sends a file has one way to do it: ask up to where, and read there by the descriptor.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Coroutine

from pypicache.errors import (
    AllUpstreamsFailed,
    FileNotFound,
    IntegrityError,
    StoreError,
    UpstreamError,
    UpstreamTimeout,
)
from pypicache.index.content import Told
from pypicache.index.state import State
from pypicache.index.through import Spare, Through
from pypicache.index.transfer import HOLD, Transfer
from pypicache.rules import pieces
from pypicache.rules.aside import fetch_aside


class Reader:
    """A client's view of a transfer: what there is, up to where, and word when there is more.

    When the store gives out, the reader goes on past it (`Through`), and the client notices nothing. `start_task`
    owns what that takes.
    """

    def __init__(
        self,
        transfer: Transfer,
        *,
        start_task: Callable[[Coroutine[object, object, None]], asyncio.Task[None]],
    ) -> None:
        self._transfer = transfer
        self._start_task = start_task
        self._epoch: int | None = None
        self._through: Through | Spare | None = None
        self._streaming: asyncio.Task[None] | None = None
        self._open = True
        self.patience: float | None = None
        self._seen, self._seen_at = transfer.held, time.monotonic()
        transfer.joined()

    @property
    def sha256(self) -> str | None:
        """The file's digest, if the page gave it or the file has arrived."""
        return self._transfer.sha256

    @property
    def origin(self) -> str:
        """The mirrors that have brought something of it."""
        return ", ".join(self._transfer.origins)

    @property
    def size(self) -> int | None:
        """The whole size; None as long as neither the page nor the mirror has said it."""
        return self._transfer.size

    @property
    def data(self) -> bytes | None:
        """All of it, if it was small and this process has fetched it."""
        return self._transfer.kept

    def fileno(self) -> int | None:
        """A descriptor for pread and sendfile, up to what `available` said; None when only `read` has the bytes."""
        in_memory = self._through is not None or self._transfer.data is not None
        return None if in_memory else self._transfer.fileno()

    async def read(self, offset: int, most: int) -> bytes:
        """At most that many bytes, which are available."""
        if self._through is not None:
            return self._through.read(offset, most)
        if (data := self._transfer.data) is not None:
            return bytes(data[offset : offset + most])
        return os.pread(self._transfer.fileno(), most, offset)

    async def begun(self) -> None:
        """Wait until a mirror answers, so that the size is known if it ever will be. Raises what ended the transfer."""
        while self._transfer.size is None and not self._transfer.answered and not self._transfer.ended:
            await self._news()
        if not isinstance(self._transfer.error, StoreError):
            self._check()

    async def available(self, offset: int) -> int:
        """Up to where the file can be read: more than `offset`, or `offset` itself at the end of the file.

        Raises what ended the transfer, and IntegrityError when bytes already taken turned out wrong.
        """
        while self._through is None:
            if isinstance(self._transfer.error, StoreError):
                self._pass_through(offset)
                break
            self._check()
            visible = self._transfer.visible
            if visible > offset or self._transfer.state is State.PUBLISHED:
                self._epoch = self._transfer.epoch
                return max(visible, offset)
            await self._news()
        assert self._through is not None
        return await self._through.available(offset)

    async def whole(self, told: Told | None = None) -> int:
        """Wait until the file is published; its size. Raises what ended the transfer."""
        while self._transfer.state is not State.PUBLISHED:
            self._check()
            if told is not None:
                told(sum(stop - start for start, stop in self._transfer.held))
            await self._news()
        assert self._transfer.size is not None
        return self._transfer.size

    async def aside(self, start: int, stop: int) -> bytes | None:
        """These few bytes, if they are far beyond what has arrived: by a request of their own. None: wait for them."""
        transfer = self._transfer
        if transfer.ended or not fetch_aside(
            start=start, stop=stop, arrived=transfer.written, rate=transfer.rate
        ):
            return None
        if pieces.covers(transfer.held, (start, stop)):
            return await self.read(start, stop - start)
        for copy in transfer.copies:
            with contextlib.suppress(UpstreamError, FileNotFound):
                async with await copy.open(start, stop) as body:
                    if body.status == 206 and body.start == start and body.total in {None, transfer.size}:  # noqa: PLR2004
                        data = b"".join([chunk async for chunk in body.chunks()])
                        if len(data) == stop - start:
                            return data
        return None

    async def _news(self) -> None:
        """Wait for a change. Raises AllUpstreamsFailed when no byte has come for `patience` seconds; the download goes on."""
        transfer = self._transfer
        while self.patience is not None and transfer.state is not State.VERIFY:
            if self._seen != transfer.held:
                self._seen, self._seen_at = transfer.held, transfer.touched
            left = self._seen_at + self.patience - time.monotonic()
            if left <= 0:
                raise self._silence(self.patience)
            if await transfer.changed.wait(left):
                return
        await transfer.changed.wait()

    def _silence(self, patience: float) -> AllUpstreamsFailed:
        causes = self._transfer.fill.blame.causes if self._transfer.fill is not None else []
        told = {cause.origin for cause in causes}
        silent = dict.fromkeys(copy.origin for copy in self._transfer.copies if copy.origin not in told)
        return AllUpstreamsFailed(
            self._transfer.file.filename,
            [*causes, *(UpstreamTimeout(each, f"nothing within {patience:g} s") for each in silent)],
        )

    def _pass_through(self, offset: int) -> None:
        transfer = self._transfer
        remains = transfer.remains
        if remains.whole is not None:
            self._through = Spare(remains.whole)
            return
        had: int | bytes = remains.fd if remains.data is None else remains.data
        self._through = Through(
            file=transfer.file,
            copies=transfer.copies,
            observer=transfer.observer,
            start=offset,
            given=had if offset and offset <= pieces.mark(transfer.held) else -1,
            hold=HOLD,
        )
        self._streaming = self._start_task(self._through.run())

    def _check(self) -> None:
        if self._transfer.error is not None:
            raise self._transfer.error
        if self._epoch is not None and self._epoch != self._transfer.epoch:
            raise IntegrityError(
                self._transfer.file.filename,
                expected=str(self._transfer.file.best_digest),
                got="other bytes so far",
            )

    async def suspect(self) -> None:
        """Have what the download published judged, if it did."""
        await self._transfer.suspect()

    def close(self) -> None:
        """The client has left, or has it all; more than once is fine."""
        if self._open:
            self._open = False
            if self._streaming is not None:
                self._streaming.cancel()
            self._transfer.left()
