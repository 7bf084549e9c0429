"""Filling a spool: the lanes of one download, from one mirror or several, until every byte is there.

A *lane* is one connection that fetches one span of the file after the other. Most files need one lane and one
request; some are shared out from the start among connections that lie idle. When a large one would take long, more lanes
are opened, as far as the mirrors allow, and the file is fetched in pieces, the front one first (`rules.pieces` decides all
of that). A lane that breaks gives its span back, and the next takes it up at the very byte: on that mirror once, then elsewhere.

Every attempt that brought new bytes clears the count of failures, so that a download goes on as long as anyone
gives anything; it fails when every mirror has failed twice in a row without a byte.

Without a digest nothing could tell whether two pieces belong together. Then there is one lane, and a break goes on
only on the same mirror, if its strong ETag says so; else the file is begun again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from pypicache.errors import (
    Abandoned,
    AllUpstreamsFailed,
    FileNotFound,
    UpstreamError,
    UpstreamGarbled,
)
from pypicache.events import MirrorFailed, Observer, TransferResumed
from pypicache.index import relief
from pypicache.index.blame import Blame
from pypicache.index.budget import Budget
from pypicache.index.lane import Lane, NoRanges
from pypicache.index.signal import Signal
from pypicache.rules import pieces
from pypicache.rules.pieces import Span
from pypicache.simple.model import File
from pypicache.store.blobs import Spool
from pypicache.upstream.source import Copy, NoneIdle, Share


class Fill:
    """Brings the whole of `file` into `spool`.

    `progress` is called when bytes have been written or forgotten, `goes_on` at least four times a second: when it
    says no, `run` ends with `Abandoned`.
    """

    def __init__(
        self,
        *,
        file: File,
        copies: Sequence[Copy],
        spool: Spool,
        lanes: Budget,
        observer: Observer,
        progress: Callable[[], None],
        goes_on: Callable[[], bool],
        max_size: int | None = None,
        shares: bool = True,
    ) -> None:
        self.file = file
        self.spool = spool
        self.size = file.size if file.size is not None else spool.size
        self.max_size = max_size
        self.origins: set[str] = set()
        """The mirrors that brought bytes."""
        self.answered = False
        """Whether a mirror has answered."""
        self.restarts = 0
        """How often everything was forgotten and begun again."""
        self.shared = False
        """Whether it was shared out from the start; only if `shares`."""
        self._shares = shares
        self.progress = progress
        self._copies, self._budget = copies, lanes
        self._observer, self._goes_on = observer, goes_on
        self._lanes: dict[asyncio.Task[None], Lane] = {}
        self._turned = Signal()
        self.blame = Blame()
        """How mirrors have failed it."""
        self._etags: dict[str, str] = {}
        self._began = self._looked = self.touched = time.monotonic()
        """When the last byte came."""
        self._received = 0
        self._whole = False

    @property
    def alone(self) -> bool:
        """Whether only one mirror's bytes can be used, since nothing says what the file hashes to."""
        return self.file.best_digest is None

    @property
    def rate(self) -> float:
        """Bytes a second over all lanes; 0 before the first."""
        elapsed = time.monotonic() - self._began
        return self._received / elapsed if self._received and elapsed > 0 else 0.0

    def etag(self, origin: str) -> str | None:
        """The strong ETag that this mirror gave the file in this download."""
        return self._etags.get(origin)

    async def run(self) -> None:
        """Until every byte is there. Raises AllUpstreamsFailed, Abandoned, StoreFull or StoreError."""
        try:
            while not self._complete():
                if not self._goes_on():
                    raise Abandoned(f"{self.file.filename}: the download was stopped, since nobody wanted it")
                self._staff()
                if not self._lanes:
                    raise AllUpstreamsFailed(self.file.filename, self.blame.causes)
                await self._turned.wait(pieces.STEP)
                for task in [task for task in self._lanes if task.done()]:
                    self._ended(task)
                self._relieve()
        finally:
            await self._dismiss()

    def _complete(self) -> bool:
        known = self.size is not None and not pieces.gaps(self.size, self.spool.held)
        return known or (self._whole and not self._lanes)

    # What lanes ask and tell

    def take(self, lane: Lane) -> bool:
        """Give the lane its next span; whether there is one."""
        if self.size is None:
            return False
        taken = [other.span(self.size) for other in self._lanes.values() if other is not lane]
        lanes = max(1, len(self._lanes))
        span = pieces.next_piece(self.size, self.spool.held, taken, lanes=lanes, rate=lane.rate)
        if span is None:
            span = self._steal(lane)
        if span is None:
            return False
        lane.position, lane.stop = span
        return True

    def opened(self, lane: Lane, *, total: int | None, etag: str | None) -> None:
        """The mirror answers; what it says of the file. Whoever was to fetch the lane's span too leaves it to the lane."""
        if etag is not None:
            self._etags[lane.copy.origin] = etag
        if self.size is None and total is not None:
            self.size = total
        if not self.answered:
            self.answered = True
            self.progress()
        if self.max_size is not None and (self.size or 0) > self.max_size:
            raise UpstreamGarbled(
                lane.copy.origin, f"{self.size} bytes, more than the {self.max_size} allowed"
            )
        for other in relief.beside(lane, self._lanes.values()):
            other.stop = lane.position

    def only(self, lane: Lane) -> bool:
        """Whether no other lane is at work."""
        return all(other is lane for other in self._lanes.values())

    def wrote(self, lane: Lane, count: int) -> None:
        """The lane has brought that many bytes."""
        self._received, self.touched = self._received + count, lane.touched
        self.origins.add(lane.copy.origin)
        self.progress()

    def ended_cleanly(self, lane: Lane) -> None:
        """A body of unknown length has ended: that is the file, as far as anybody knows."""
        if self.size is None:
            self.size = lane.position
            self._whole = True

    async def start_over(self) -> None:
        """Forget every byte: nothing that is held can be continued."""
        self.restarts, self.touched = self.restarts + 1, time.monotonic()
        self.size = self.file.size
        self.origins.clear()
        await self.spool.reset(self.size)
        self.progress()

    # Who works on what

    def _staff(self) -> None:
        """Begin if there is no lane; open more if the file would take long."""
        if not self._lanes:
            copy = self.blame.best(self._copies)
            if copy is not None:
                self._begin(copy)
            return
        now = time.monotonic()
        if (silent := relief.overdue(self._lanes.values(), now)) is not None and not self.alone:
            self._hire(beside=silent)
        remaining = sum(stop - start for start, stop in pieces.gaps(self.size or 0, self.spool.held))
        lanes, since = len(self._lanes), now - self._looked
        want = pieces.wanted(
            lanes=lanes, most=self._most(), size=self.size, remaining=remaining, rate=self.rate, since=since
        )
        if since >= pieces.STEP:
            self._looked = now
        while len(self._lanes) < want and self._hire():
            pass

    def _begin(self, copy: Copy) -> None:
        """Open the first lane, and beside it those for which there are connections already."""
        if self.size is None:
            self._open(Lane(fill=self, copy=copy, position=pieces.mark(self.spool.held), stop=None))
            return
        if self.spool.held:
            spans = pieces.gaps(self.size, self.spool.held)[:1]  # what has begun is gone on with by one
        else:
            may = self._shares and not self.alone and self.blame.may_help(copy)
            spans = pieces.shares(self.size, idle=copy.idle if may else 0, most=copy.connections)
        self.shared = self.shared or len(spans) > 1
        share = Share.FIRST if len(spans) > 1 else None
        for start, stop in spans:
            self._open(Lane(fill=self, copy=copy, position=start, stop=stop, share=share))
            share = Share.BESIDE

    def _most(self) -> int:
        if self.alone:
            return 1
        able = [copy for copy in self._copies if self.blame.may_help(copy)]
        return max(1, sum(copy.connections for copy in able))

    def _hire(self, beside: Lane | None = None) -> bool:
        """One more lane, on the mirror with the most connections to spare; whether there was one.

        It takes the next span, or is to bring the bytes of the lane `beside` which it stands, from another mirror.
        """
        passed = relief.asked(beside, self._lanes.values())
        able = [copy for copy in self._copies if self.blame.may_help(copy) and copy.origin not in passed]
        copy = relief.most_spare(able, self._lanes.values())
        if copy is None or not self._budget.take():
            return False
        start, stop = (0, 0) if beside is None else (beside.position, beside.stop)
        lane = Lane(fill=self, copy=copy, position=start, stop=stop, hired=True)
        if beside is None and not self.take(lane):
            self._budget.give_back()
            return False
        self._open(lane)
        return True

    def _steal(self, lane: Lane) -> Span | None:
        assert self.size is not None
        others = [other for other in self._lanes.values() if other is not lane]
        found = pieces.steal([other.span(self.size) for other in others])
        if found is None:
            return None
        place, span = found
        others[place].stop = span[0]
        return span

    def _open(self, lane: Lane) -> None:
        task = asyncio.ensure_future(lane.run())
        task.add_done_callback(lambda _: self._turned.give())
        self._lanes[task] = lane

    def _ended(self, task: asyncio.Task[None]) -> None:
        lane = self._lanes.pop(task)
        if lane.hired:
            self._budget.give_back()
        if task.cancelled() or isinstance(error := task.exception(), NoneIdle):
            return
        origin = lane.copy.origin
        if isinstance(error, NoRanges) or (
            lane.share is Share.BESIDE and isinstance(error, UpstreamError | FileNotFound)
        ):
            self.blame.no_help(origin)
        elif isinstance(error, FileNotFound):
            self._note(lane, UpstreamGarbled(origin, str(error)))
        elif isinstance(error, UpstreamError):
            self._note(lane, error)
        elif error is not None:
            raise error

    def _note(self, lane: Lane, cause: UpstreamError) -> None:
        """The lane has failed."""
        origin, name = lane.copy.origin, self.file.filename
        if lane.received:
            self.blame.broke_off(origin, cause)
            at = lane.position
            self._observer(TransferResumed(filename=name, origin=origin, offset=at, reason=str(cause)))
        else:
            self.blame.failed(origin, cause)
            if not cause.told:
                self._observer(MirrorFailed(origin=origin, what=name, reason=str(cause)))

    def _relieve(self) -> None:
        """Take its span from a lane that brings nothing while others do, or could."""
        for task in relief.late(self._lanes, time.monotonic()):
            task.cancel()
            self.blame.no_help(self._lanes[task].copy.origin)
        for task in relief.stalled(self._lanes, time.monotonic()):
            task.cancel()
            self._note(self._lanes[task], relief.silence(self._lanes[task]))

    async def _dismiss(self) -> None:
        for task, lane in self._lanes.items():
            task.cancel()
            if lane.hired:
                self._budget.give_back()
        await asyncio.gather(*self._lanes, return_exceptions=True)
        self._lanes.clear()
