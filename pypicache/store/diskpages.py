"""Pages, renderings and absences in diskcache, off the event loop and allowed to fail.

A write is queued at once, `get` sees it from then on, and one task stores what waits, in batches. Whatever goes
wrong below is told (`Trouble`) and never reaches who asks: a page that can't be kept is fetched again.

::

    opening --fine--> open --damage--> replacing --> opening
       ^ |             ^ |
       | failed        | locked: the batch waits and is tried again
       +-+             +-+ any other error: its values are lost, its drops are tried again

While there is no database, `get` finds what is queued and nothing else.

`expire` is for collecting garbage only. diskcache goes by the wall clock, which may jump, so rows are kept at
least twice as long, and are found in that time: who asks judges the age by what is in the value.

It may not import anything of the package but errors, events and its own folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from pypicache.errors import StoreError, StoreFull
from pypicache.events import Observer
from pypicache.store.bytesdisk import Refused, is_corrupt, is_locked, why
from pypicache.store.database import ERRORS, Database
from pypicache.store.generations import Generations
from pypicache.store.pages import Mark
from pypicache.store.pending import Pending
from pypicache.store.trouble import Trouble

_BATCH_COUNT = 256
_BATCH_BYTES = 8 << 20


class DiskPageStore:
    """Implements `pages.PageStore` in `directory`, which nothing else may use. Use as an async context manager.

    `size_limit` is of the database, in bytes; the rows stored longest ago go when it is reached. `max_count` and
    `max_bytes` bound the queue. All others are seconds: `timeout` is how long a statement waits for another
    process's lock, `open_patience` and `close_patience` how long opening and closing may hold up the caller, `retry`
    the pause after a failure.
    """

    def __init__(
        self,
        directory: Path,
        size_limit: int = 1 << 30,
        *,
        timeout: float = 2.0,
        max_count: int = 10_000,
        max_bytes: int = 64 << 20,
        open_patience: float = 5.0,
        close_patience: float = 5.0,
        retry: float = 1.0,
        observe: Observer | None = None,
        generations: Generations | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._generations = generations or Generations(directory)  # of one process, which has no file
        self.shared = self._generations.shared
        self._open_patience = open_patience
        self._close_patience = close_patience
        self._retry = retry
        self._clock = clock
        self._trouble = Trouble("pages", observe=observe, clock=clock)
        self._database = Database(
            directory, size_limit=size_limit, timeout=timeout, trouble=self._trouble, now=now
        )
        self._pending = Pending(max_count=max_count, max_bytes=max_bytes)
        self._blind_until = float("-inf")
        self._tried = asyncio.Event()
        self._wake = asyncio.Event()
        self._progress = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None
        self._tries = self._replaced = 0
        """How often a damaged database was to be replaced, and how often it was."""

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._work(), name="pages")
        tried = asyncio.create_task(self._tried.wait())
        try:
            await asyncio.wait(
                {tried, self._task}, timeout=self._open_patience, return_when=asyncio.FIRST_COMPLETED
            )
            if self._task.done():
                await self._task  # raises: the directory isn't ours
        except BaseException:
            self._task.cancel()
            await self._database.close(self._close_patience)
            raise
        finally:
            tried.cancel()
        if not self._tried.is_set():
            self._trouble.tell("the database takes long to open; going on without it")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._close_patience):
                await self.flush()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if len(self._pending):
            self._trouble.tell("closed before everything was stored", f"{len(self._pending)} values are lost")
        await self._database.close(self._close_patience)

    @property
    def lost(self) -> int:
        """How many values were lost since the start: no room in the queue, or an error below."""
        return self._pending.lost

    @property
    def usable(self) -> bool:
        """Whether there is a database at the moment."""
        return self._database.usable

    async def get(self, key: str) -> bytes | None:
        """What is stored or queued there; see `PageStore.get`."""
        write = self._pending.get(key)
        if write is not None:
            return write.value
        if self._clock() < self._blind_until or not _storable(key):
            return None
        try:
            return await self._database.read(key)
        except Refused as error:
            self._damaged_row(key, str(error))
            return None
        except ERRORS as error:
            self._trouble.tell("can't read", why(error))
            # The next one would wait for the same lock, with every request behind it in the one thread.
            self._blind_until = self._clock() + self._retry
            if self._database.damaged:
                self._wake.set()
            return None

    async def sound(self, key: str) -> bool:
        """Whether what is stored there is as it was written; so is nothing, and what can't be read at the moment."""
        try:
            await self._database.read(key)
        except Refused:
            return False
        except ERRORS as error:
            self._trouble.tell("can't read", why(error))
        return True

    async def keys(self, prefix: str) -> tuple[str, ...]:
        """Every key that begins with this and has a value, in their order; none while there is no database.

        For those who look after the store: it goes through all of it.
        """
        # Some of it may be stored while the database is read, or just after.
        waiting = tuple(self._pending.items())
        try:
            stored = set(await self._database.keys(prefix))
        except (Refused, *ERRORS) as error:
            self._trouble.tell("can't read", why(error))
            stored = set()
        for key, write in (*waiting, *self._pending.items()):
            if key.startswith(prefix):
                (stored.discard if write.value is None else stored.add)(key)
        return tuple(sorted(stored))

    def others(self, key: str) -> int:
        """See `SharedPages.others`."""
        return self._generations.others(key)

    def marks(self, key: str) -> tuple[Mark, ...]:
        """See `SharedPages.marks`."""
        return self._generations.marks(key)

    def take(self, key: str) -> bool:
        """See `SharedPages.take`."""
        return self._generations.turns is None or self._generations.turns.take(key)

    def give(self, key: str) -> None:
        """See `SharedPages.give`."""
        if self._generations.turns is not None:
            self._generations.turns.give(key)

    def put(self, values: Mapping[str, bytes], expire: float | None = None) -> None:
        """Queue these; see `PageStore.put`."""
        lost = self._pending.lost
        for key, value in values.items():
            if _storable(key):
                self._pending.put(key, bytes(value), expire)
        if self._pending.lost > lost:
            self._trouble.tell("the queue is full, and values are lost")
        self._wake.set()

    async def distrust(self) -> bool:
        """Somebody has found the database damaged: set it aside, and begin another; whether that was possible at once."""
        if not self._database.usable:
            return False
        self._database.damaged = True
        self._wake.set()
        tried, replaced = self._tries, self._replaced
        async with self._progress:
            await self._progress.wait_for(lambda: self._tries > tried)
        return self._replaced > replaced

    def drop(self, keys: tuple[str, ...]) -> None:
        """Forget these; see `PageStore.drop`. Counts from now on, and is tried until it succeeds."""
        for key in filter(_storable, keys):
            self._pending.put(key, None, None)
        self._wake.set()

    async def flush(self) -> None:
        """Wait until everything given so far is stored or lost; while the database is locked, that is long."""
        number = self._pending.number
        async with self._progress:
            await self._progress.wait_for(lambda: self._pending.settled(number))

    def _damaged_row(self, key: str, reason: str) -> None:
        self._trouble.tell("a damaged row was removed", reason)
        if key not in self._pending:
            self.drop((key,))

    async def _work(self) -> None:
        """Open, write and replace the database, one after the other, until cancelled."""
        while True:
            if not self._database.usable:
                fine = await self._open()
            elif self._database.damaged:
                fine = await self._replace()
            elif self._pending.waiting:
                fine = await self._write()
            else:
                self._wake.clear()
                await self._wake.wait()
                continue
            if not fine:
                await asyncio.sleep(self._retry)

    async def _open(self) -> bool:
        try:
            await self._database.open()
        except ERRORS as error:
            ours = isinstance(error, StoreError) and not isinstance(error, StoreFull)
            if ours and not self._tried.is_set():
                raise  # at the start only: who starts us must hear that the directory isn't ours
            self._trouble.tell("can't open the database", why(error))
        else:
            self._blind_until = float("-inf")
        self._tried.set()
        return self._database.usable

    async def _replace(self) -> bool:
        try:
            await self._database.replace()
        except OSError as error:
            self._trouble.tell("a damaged database can't be set aside", why(error))
            fine = False
        else:
            fine = True
        self._tries += 1
        self._replaced += fine
        async with self._progress:
            self._progress.notify_all()
        return fine

    async def _write(self) -> bool:
        """Store one batch; whether to go on at once."""
        batch = self._pending.take(max_count=_BATCH_COUNT, max_bytes=_BATCH_BYTES)
        try:
            await self._database.write(batch)
            self._generations.stored(batch)
        except ERRORS as error:
            self._trouble.tell("can't write", why(error))
            self._pending.keep(values=is_locked(error) or is_corrupt(error))
            fine = False
        else:
            self._pending.done()
            fine = True
        async with self._progress:
            self._progress.notify_all()
        return fine


def _storable(key: str) -> bool:
    """Whether SQLite takes it: a surrogate alone isn't text."""
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True
