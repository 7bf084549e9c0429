"""One diskcache database and its two threads: opened, read, written, and replaced when it is damaged.

::

    closed --open--> open --damage seen--> damaged --replace--> closed
                     (another process may replace it, or somebody remove it: that counts as damage)

One thread reads, so that a read never waits behind a write, and one writes; each has its own connection.

It knows nothing of queues and retries nothing. It may not import anything of the package but errors and
its own folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import sqlite3
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import diskcache

from pypicache.errors import StoreError
from pypicache.store import bytesdisk
from pypicache.store.pending import Write
from pypicache.store.threads import Batches, Threads
from pypicache.store.trouble import Trouble

ERRORS = (sqlite3.Error, diskcache.Timeout, bytesdisk.Corrupt, bytesdisk.Locked, OSError, StoreError)
"""What `open`, `read` and `write` may raise: the database's troubles, not the caller's."""

_HOUR = 3600.0
_STEP = 1000


class Database:
    """The database in `directory`. `timeout` is how many seconds a statement waits for another process's lock."""

    def __init__(
        self,
        directory: Path,
        *,
        size_limit: int,
        timeout: float,
        trouble: Trouble,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._directory = directory
        self._size_limit = size_limit
        self._timeout = timeout
        self._trouble = trouble
        self._now = now
        self._reader = Threads(count=1, name="pages-read")
        self._writer = Threads(count=1, name="pages-write")
        self._reads = Batches(self._reader)
        self._cache: Any = None
        self._identity: tuple[int, int] | None = None
        self.damaged = False
        """Whether damage was seen; until `replace`, reads and writes may fail."""

    @property
    def usable(self) -> bool:
        """Whether it is open."""
        return self._cache is not None

    async def open(self) -> None:
        """Open it; a damaged one is set aside first and an empty one made. Raises one of `ERRORS`."""
        found = await self._writer.run(functools.partial(bytesdisk.identity, self._directory))
        try:
            await self._open()
        except ERRORS as error:
            if not bytesdisk.is_corrupt(error):
                raise
            self._trouble.tell("the database is damaged", bytesdisk.why(error))
            await self._set_aside(found)
            await self._open()

    async def read(self, key: str) -> bytes | None:
        """What is stored there. Raises one of `ERRORS`, or Refused for a row that isn't plain bytes of ours."""
        cache = self._cache
        if cache is None:
            return None
        try:
            return await self._reads.run(functools.partial(_read, cache, key))
        except ERRORS as error:
            self._note(error, cache)
            raise

    async def keys(self, prefix: str) -> list[str]:
        """Every key that begins with this, in their order; read in steps, so that no page waits for long. Raises as `read`.

        What isn't a key of ours is passed over.
        """
        cache = self._cache
        if cache is None:
            return []
        found: list[str] = []
        try:
            while step := await self._reader.run(
                functools.partial(_keys, cache, prefix, found[-1] if found else "")
            ):
                found += step
        except ERRORS as error:
            self._note(error, cache)
            raise
        return found

    async def write(self, batch: Mapping[str, Write]) -> None:
        """Store the batch, all of it or nothing. Raises one of `ERRORS`."""
        cache = self._cache
        try:
            await self._writer.run(functools.partial(_write, cache, batch, self._directory, self._identity))
        except ERRORS as error:
            self._note(error, cache)
            await self._disconnect(self._writer, cache)  # it may be in the middle of a transaction
            raise

    async def replace(self) -> None:
        """Let go of the damaged database and set it aside, if it is still the one there. Raises OSError."""
        cache, self._cache = self._cache, None
        self.damaged = False
        await self._disconnect(self._reader, cache)
        await self._disconnect(self._writer, cache)
        await self._set_aside(self._identity)

    async def close(self, patience: float) -> None:
        """Close it; waits `patience` seconds at most for each thing that hangs."""
        if self._cache is not None:
            cache, self._cache = self._cache, None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self._disconnect(self._reader, cache)
                    await self._disconnect(self._writer, cache)
        await self._reader.close(patience)
        await self._writer.close(patience)

    async def _open(self) -> None:
        work = functools.partial(
            bytesdisk.open_cache, self._directory, timeout=self._timeout, size_limit=self._size_limit
        )
        self._cache, self._identity = await self._writer.run(work)

    async def _set_aside(self, expected: tuple[int, int] | None) -> None:
        work = functools.partial(bytesdisk.set_aside, self._directory, expected=expected, now=self._now())
        if await self._writer.run(work):
            self._trouble.tell("a damaged database was set aside; starting with an empty one")

    async def _disconnect(self, threads: Threads, cache: Any) -> None:
        try:
            await threads.run(cache.close)
        except ERRORS as error:
            self._trouble.tell("can't close the database", bytesdisk.why(error))

    def _note(self, error: BaseException, cache: object) -> None:
        if bytesdisk.is_corrupt(error) and cache is self._cache:
            self.damaged = True


def _keys(cache: Any, prefix: str, after: str) -> list[str]:
    """The next keys. diskcache's own way to go through them ends at the first that is odd."""
    rows = cache._sql(  # noqa: SLF001 - see above
        "SELECT key FROM Cache WHERE raw = 1 AND typeof(key) = 'text' AND key >= ? AND key > ? ORDER BY key LIMIT ?",
        (prefix, after, _STEP),
    )
    return [key for (key,) in rows if key.startswith(prefix)]


def _read(cache: Any, key: str) -> bytes | None:
    """What is stored there, its checksum compared; in a thread, since that takes 10 ms for a large page."""
    data: bytes | None = cache.get(key)
    if data is None:
        return None
    value = bytesdisk.unseal(key, data)
    if value is None:
        raise bytesdisk.Refused("its checksum is wrong")
    return value


def _write(cache: Any, batch: Mapping[str, Write], directory: Path, identity: tuple[int, int] | None) -> None:
    """Put the batch into the database, in one transaction; in a thread."""
    if bytesdisk.identity(directory) != identity:
        raise bytesdisk.Corrupt("another database is in its place, or none")
    with cache.transact():
        for key, write in batch.items():
            if write.value is None:
                cache.delete(key)
            else:
                # The wall clock may jump: rows outlive what they are asked to by as much again.
                expire = None if write.expire is None else max(2 * write.expire, write.expire + _HOUR)
                cache.set(key, bytesdisk.seal(key, write.value), expire=expire)
