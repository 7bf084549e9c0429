"""Blobs as files: `blobs/sha256/ab/cd/<64 digits>`, published by rename; spools in `spool/`.

What stands where a blob should be and can't be one (a link, a FIFO, a directory) is set aside when it is
met. A wrong size alone proves nothing, since it is a page that tells it and a page may lie to get another
index's file evicted: the answer is None, and the file is hashed behind; it is set aside if its bytes are wrong.

How spools come about and become blobs is `spools`' business.

It may not import anything of the package but errors, events, rules.eviction and its own folder. flock on a network file system
is only as good as that file system's.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from pypicache.errors import StoreError
from pypicache.events import BlobEvicted, Observer
from pypicache.rules.eviction import Limits
from pypicache.store.blobfiles import SHA256
from pypicache.store.blobs import Blob, BlobInfo, Spool
from pypicache.store.evictor import Gone
from pypicache.store.fileblob import FileBlob, share
from pypicache.store.files import open_plain
from pypicache.store.glances import Glances
from pypicache.store.inspection import Damage
from pypicache.store.keeper import Keeper
from pypicache.store.light import LightSpool
from pypicache.store.partial import FilePartial
from pypicache.store.spool import FileSpool
from pypicache.store.spools import Spools
from pypicache.store.threads import Threads
from pypicache.store.trouble import Trouble

_SET_ASIDE = "a stored file was set aside"
_DOUBTS = 1024


class DiskBlobStore:
    """Implements `blobs.BlobStore` in the directory `root`. Use as an async context manager.

    With `fsync`, a blob is on the disk before it has its name; without, a power cut may leave a short
    or empty file under it, which its size or the scrub gives away. `patience` is how many seconds
    closing waits for threads that hang on the disk. `group` names the group that may read blobs too. `now` gives seconds
    since the epoch.
    """

    def __init__(
        self,
        root: Path,
        *,
        limits: Limits | None = None,
        fsync: bool = False,
        threads: int = 4,
        observe: Observer | None = None,
        patience: float = 5.0,
        group: str | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.keeper = Keeper(root, limits=limits, group=group, told=self._evicted, now=now)
        """What looks after the directory: for the janitor, and for whoever wants to know."""
        self._blobs = str(self.keeper.files.directory)
        self._now = now
        self._threads = Threads(count=threads, name="disk")
        self._observe = observe
        self._trouble = Trouble("blobs", observe=observe)
        self._patience = patience
        self._loop: asyncio.AbstractEventLoop | None = None
        self._glances = Glances(self._place, self.keeper.uses.note, self._time)
        self._spools = Spools(self.keeper, self._threads, fsync=fsync, blob=self._blob)
        self._doubted: set[tuple[str, int, int]] = set()
        self._judging: set[asyncio.Future[Damage | None]] = set()

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        try:
            await self._threads.run(self.keeper.open)
            await self._threads.run(self._spools.open)
        except BaseException:
            await self._threads.close()
            self.keeper.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._spools.leave()
        with contextlib.suppress(StoreError, TimeoutError):
            async with asyncio.timeout(self._patience):
                await self._threads.run(self.keeper.uses.flush)
        if not await self._threads.close(self._patience):
            self._trouble.tell("the disk hangs; its threads are left behind")
        self._spools.close()
        self.keeper.usage.close()

    def open(self, sha256: str, size: int | None = None) -> Blob | None:
        """The blob, opened; see `BlobStore.open`. On the event loop: an open, an fstat, and the lock that says it is read."""
        if not SHA256.fullmatch(sha256):
            return None
        try:
            found = open_plain(self._place(sha256))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self._trouble.tell("a stored file can't be opened", error.strerror or "")
            return None
        if isinstance(found, str):
            self._set_aside(self.keeper.files.path(sha256), found)
            return None
        fd, status = found
        if size is None or status.st_size == size:
            share(fd)
            self.keeper.uses.note(sha256)
            return self._blob(sha256, status.st_size, fd)
        os.close(fd)
        self._doubt(sha256, status)
        return None

    def there(self, sha256: str) -> bool:
        """Whether it is; see `BlobStore.there`."""
        return self._glances.there(sha256)

    def glance(self, sha256: str) -> object:
        """What tells it from another; see `BlobStore.glance`."""
        return self._glances.look(sha256)

    def _time(self) -> float:
        return 0.0 if self._loop is None else self._loop.time()

    def _place(self, sha256: str) -> str:
        """Where the blob is, as `BlobFiles.path` has it: for each request, and a `Path` would take longer to make than to open."""
        return f"{self._blobs}/{sha256[:2]}/{sha256[2:4]}/{sha256}"

    async def beginning_with(self, digits: str) -> str | None:
        """The digest of the one blob whose digest begins so; None if there is none or several."""
        return await self._threads.run(functools.partial(self.keeper.files.beginning_with, digits))

    async def spool(
        self, key: str, size: int | None, *, resume: bool = False, small: bool = False
    ) -> FileSpool | LightSpool:
        """The spool, claimed; see `BlobStore.spool`."""
        return await self._spools.begin(key, size, resume=resume, small=small)

    async def follow(self, key: str) -> FilePartial | None:
        """Another process's spool; see `BlobStore.follow`."""
        return await self._spools.follow(key)

    async def publish(self, spool: Spool, sha256: str) -> FileBlob:
        """Make it a blob; see `BlobStore.publish`."""
        return await self._spools.publish(spool, sha256)

    async def delete(self, sha256: str) -> bool:
        """Remove the blob; see `BlobStore.delete`. Raises StoreError."""
        return await self._threads.run(functools.partial(self.keeper.delete, sha256)) is not None

    def scan(self) -> Iterator[BlobInfo]:
        """Every blob, in no order; blocking, for use off the loop. Follows no links; skips what goes away meanwhile."""
        for each in self.keeper.scan():
            yield BlobInfo(sha256=each.sha256, size=each.size, used_at=each.used_at)

    async def last_used(self, names: Sequence[str]) -> Mapping[str, float]:
        """Those of these SHA-256s that are stored, and when each was last used. A few microseconds each, in a thread."""
        return await self._threads.run(functools.partial(self._last_used, names))

    async def settled(self) -> None:
        """Wait until every file in doubt has been hashed and judged."""
        while self._judging:
            await asyncio.wait(set(self._judging))

    def _set_aside(self, path: Path, why: str) -> None:
        self._trouble.tell(_SET_ASIDE, f"{path.name}: {why}")
        try:
            self.keeper.quarantine.take(path)
            self._threads.start(self.keeper.quarantine.trim)
        except OSError as error:
            self._trouble.tell("a wrong file can't be set aside", error.strerror or "")
        except StoreError:
            pass  # closing; the next start trims

    def _doubt(self, sha256: str, status: os.stat_result) -> None:
        """The file isn't of the size that somebody expects: find out, behind, who is right; once for each state of it."""
        state = (sha256, status.st_size, status.st_mtime_ns)
        if state in self._doubted:
            return
        if len(self._doubted) >= _DOUBTS:
            self._doubted.clear()
        self._doubted.add(state)
        with contextlib.suppress(StoreError):
            self._judge(sha256)

    def _judge(self, sha256: str) -> asyncio.Future[Damage | None]:
        """Hash the file, and set it aside if it isn't what its name says. Raises StoreError."""
        future = self._threads.start(self.keeper.verify, sha256, repair=True)
        self._judging.add(future)
        future.add_done_callback(functools.partial(self._judged, sha256))
        return future

    def _blob(self, sha256: str, size: int, fd: int) -> FileBlob:
        async def judge() -> None:
            with contextlib.suppress(StoreError):
                await asyncio.shield(self._judge(sha256))

        return FileBlob(sha256, size, fd, judge=judge)

    def _judged(self, sha256: str, future: asyncio.Future[Damage | None]) -> None:
        self._judging.discard(future)
        if not future.cancelled() and future.exception() is None and (damage := future.result()) is not None:
            self._trouble.tell(_SET_ASIDE, f"{sha256}: {damage.why}")

    # In a thread, from here on.

    def _evicted(self, gone: Gone) -> None:
        """Tell the observer, on the event loop."""
        if self._observe is None or self._loop is None:
            return
        event = BlobEvicted(
            sha256=gone.blob.sha256,
            size=gone.blob.size,
            why=gone.why,
            unused_for=max(0.0, self._now() - gone.blob.used_at),
        )
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._observe, event)

    def _last_used(self, names: Sequence[str]) -> Mapping[str, float]:
        found = ((name, self.keeper.files.look(name)) for name in names if SHA256.fullmatch(name))
        return {name: each.used_at for name, each in found if each is not None}
