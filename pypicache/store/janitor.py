"""Keeping the cache in order while it serves: room ahead of time, age, quotas, pins, use times, the scrub.

Each process writes down its use times; all else is done by one of them, whoever has the lock `root/janitor`, and when
that one dies another takes over. Work is cut into steps of a fraction of a second, in threads of its own, with pauses between
them: a cache of a million files is surveyed in the background, while it serves.

What happens when::

    a little before the cache is full     files go, coldest first, until there is headroom again
    a pass is through                     after a day, or a tenth of max_age, the next one begins
    a pass meets a file unused too long   it goes
    an index has more than its quota      its coldest go
    links weigh an eighth of max_size     those to files that aren't stored are forgotten, the oldest first

It may not import anything of the package but errors, events, rules and its own folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import functools
import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from pypicache.errors import StoreError
from pypicache.events import Observer
from pypicache.rules import eviction, scrub
from pypicache.rules.eviction import Candidate, Limits
from pypicache.store.holdings import trim_links
from pypicache.store.keeper import Keeper
from pypicache.store.scrub import Scrub
from pypicache.store.shares import Shares
from pypicache.store.threads import Threads
from pypicache.store.trouble import Trouble
from pypicache.store.usage import SHARDS

log = logging.getLogger(__name__)

TICK = 2.0
"""Seconds between two looks at whether there is headroom."""

FILES_AT_ONCE = 100
PAUSE = 0.05
"""Seconds between two steps of something that takes many."""

FLUSH = 30.0
"""Seconds after which use times are written down: what a crash loses of them."""

QUOTAS = 10.0
RETRY = 5.0
DAY = 86400.0

STUCK = 5
"""How many times in a row nothing may go, before that is told: what is read now may go in a moment."""

_RESURVEY = 10.0
"""How many times within `max_age` files are looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Care:
    """What a configuration asks for."""

    limits: Limits = field(default_factory=Limits)
    scrub: float | None = None
    """Seconds in which every file is hashed once; None: never."""
    pinned: Callable[[str], bool] | None = None
    """Tells of a project's name whether eviction spares its files; None: it spares none."""
    quotas: Mapping[str, int] = field(default_factory=dict)
    """Bytes that an index's files may have, by its name."""


class Janitor:
    """Looks after the cache of `keeper`. Use as an async context manager, while the keeper is open."""

    def __init__(
        self,
        keeper: Keeper,
        *,
        care: Care,
        observe: Observer | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._keeper = keeper
        self._care = care
        self._now = now
        self._trouble = Trouble("janitor", observe=observe)
        self._threads = Threads(count=1, name="janitor")
        self._scrubbing = Threads(count=1, name="scrub")
        self._scrub = Scrub(keeper)
        self._shares = self._shares_of(care)
        self._tasks: set[asyncio.Task[None]] = set()
        self._lock = -1
        self._stuck = 0
        self._anchor = (now(), time.monotonic())
        self.surveyed = asyncio.Event()
        """Set when a pass over all files has gone through, so that the sums are exact."""

    async def __aenter__(self) -> Self:
        await self._threads.run(self._begin)
        self.change(self._care)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._scrub.stop.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._threads.close()
        await self._scrubbing.close()
        if self._lock >= 0:
            os.close(self._lock)

    def change(self, care: Care) -> None:
        """Go by this from now on."""
        self._care = care
        for task in self._tasks:
            task.cancel()
        for work, name in ((self._flush_uses, "use times"), (self._lead, "janitor")):
            task = asyncio.create_task(self._always(work), name=name)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _always(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do it for ever: what goes wrong is told, and tried again. A bug in here mustn't stop the cache from being cared for."""
        while True:
            try:
                await work()
            except StoreError as error:
                self._trouble.tell("the cache can't be looked after", str(error))
            except Exception:
                log.exception("the janitor stumbled: a bug")
            await asyncio.sleep(RETRY)

    # In every process

    async def _flush_uses(self) -> None:
        while True:
            await asyncio.sleep(FLUSH)
            await self._threads.run(self._keeper.uses.flush)

    # In one of them

    async def _lead(self) -> None:
        await self._threads.run(self._begin)
        if not await self._threads.run(self._claim):
            return  # and come back
        work: list[Callable[[], Awaitable[None]]] = [self._keep_headroom, self._survey]
        if self._care.quotas:
            work.append(self._keep_quotas)
        if self._care.scrub is not None:
            work.append(functools.partial(self._keep_scrubbing, self._care.scrub))
        async with asyncio.TaskGroup() as group:
            for each in work:
                group.create_task(self._always(each))

    async def _keep_headroom(self) -> None:
        room, trimmed = self._keeper.room, 0
        while True:
            headroom = eviction.headroom(room.limits)
            if await self._threads.run(functools.partial(room.short, headroom // 2)):
                await self._make_headroom(headroom)
            await self._threads.run(self._keeper.mend)
            links = await self._threads.run(lambda: self._keeper.usage.sums.links)
            if room.limits.max_size is not None and links > max(room.limits.max_size // 8, trimmed):
                # Where most of them are in use, it is tried again when there are a tenth more.
                trimmed = await self._trim_links() * 11 // 10
            await asyncio.sleep(TICK)

    async def _make_headroom(self, headroom: int) -> None:
        need = functools.partial(self._keeper.room.short, headroom)
        step = functools.partial(self._keeper.evictor.free, need, most=FILES_AT_ONCE)
        gone = 1
        while gone:
            gone = await self._threads.run(step)
            await asyncio.sleep(PAUSE)
        self._stuck = self._stuck + 1 if await self._threads.run(self._keeper.room.short) else 0
        if self._stuck >= STUCK:
            self._trouble.tell("the cache is over its limits, and nothing in it may go")

    async def _trim_links(self) -> int:
        """Forget links that lead to nothing stored; how many bytes links have now."""
        keeper = self._keeper

        def stored(sha256: str) -> bool:
            return keeper.files.look(sha256) is not None

        for shard in range(SHARDS):
            work = functools.partial(trim_links, keeper.root, shard, keeper.usage, stored=stored)
            await self._threads.run(work)
            await asyncio.sleep(PAUSE / 10)
        return await self._threads.run(lambda: keeper.usage.sums.links)

    async def _survey(self) -> None:
        evictor = self._keeper.evictor
        while True:
            await self._threads.run(self._keeper.count_spools)
            going = True
            while going:
                began = time.monotonic()
                await self._expire(await self._threads.run(evictor.survey))
                going = evictor.passing
                # As long a pause as the step was: half of the time belongs to those who serve.
                await asyncio.sleep(max(PAUSE / 10, time.monotonic() - began))
            self._anchor = (self._now(), time.monotonic())
            self.surveyed.set()
            max_age = self._keeper.room.limits.max_age
            await asyncio.sleep(DAY if max_age is None else min(DAY, max(TICK, max_age / _RESURVEY)))

    async def _expire(self, found: list[Candidate]) -> None:
        """Evict those that nobody has used for `max_age`."""
        at, ticks = self._anchor
        # A clock that was set ahead since the last pass isn't believed before the next: until then what is in use is used.
        now = min(self._now(), at + time.monotonic() - ticks)
        limits = self._keeper.room.limits
        outlived = [candidate for candidate in found if eviction.outlived(candidate, limits, now)]
        for start in range(0, len(outlived), FILES_AT_ONCE):
            batch = outlived[start : start + FILES_AT_ONCE]
            await self._threads.run(functools.partial(self._keeper.evictor.evict, batch, "age"))
            await asyncio.sleep(PAUSE)

    async def _keep_quotas(self) -> None:
        while True:
            await self._threads.run(self._shares.enforce)
            await asyncio.sleep(QUOTAS)

    async def _keep_scrubbing(self, period: float) -> None:
        place = begun_at = await self._scrubbing.run(self._scrub.place)
        began = time.monotonic()
        while True:
            await asyncio.sleep(scrub.pause(period))
            count = scrub.due(begun_at=begun_at, elapsed=time.monotonic() - began, period=period) - place
            if count > 0:
                count = min(count, scrub.PLACES)
                for damage in await self._scrubbing.run(functools.partial(self._scrub.step, place, count)):
                    self._trouble.tell("a stored file was set aside", f"{damage.path.name}: {damage.why}")
                place += count

    # In a thread

    def _begin(self) -> None:
        care, keeper = self._care, self._keeper
        keeper.room.limits = care.limits
        keeper.room.settle()
        self._shares = self._shares_of(care)
        keeper.evictor.spared = self._shares.spared

    def _claim(self) -> bool:
        """Whether this process is the one that looks after the cache."""
        if self._lock < 0:
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            with contextlib.suppress(OSError):
                self._lock = os.open(self._keeper.root / "janitor", flags, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except (OSError, ValueError):
            return (
                True  # no locks here, or a disk that takes no file: better two that look after it than none
            )
        return True

    def _shares_of(self, care: Care) -> Shares:
        return Shares(self._keeper, pinned=care.pinned, quotas=care.quotas, now=self._now)
