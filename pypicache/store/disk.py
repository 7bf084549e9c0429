"""Blobs as files: `blobs/sha256/ab/cd/<64 digits>`, published by rename; spools in `spool/`.

A spool is a named file, `spool/<SHA-256 of its key>.part`, locked (flock) by its writer, so that other
processes on the same directory see it, can follow it, and know when its writer has died: the lock falls
with the process. It is renamed into its place only when the caller has verified it, so a kill at any
instant leaves a whole blob, or a spool that the next start sweeps. A rename needs nothing of the file
system that links don't, and two workers that publish the same digest replace equal bytes by equal bytes.

What stands where a blob should be and can't be one (a link, a FIFO, a directory) is set aside when it is
met. A wrong size alone proves nothing, since it is a page that tells it and a page may lie to get another
index's file evicted: the answer is None, and the file is hashed behind; it is set aside if its bytes are wrong.

It never evicts. It may not import anything of the package but errors, events and its own folder. flock
on a network file system is only as good as that file system's.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import os
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from pypicache.errors import StoreError
from pypicache.events import Observer
from pypicache.store import journal
from pypicache.store.blobs import Blob, BlobInfo, Spool
from pypicache.store.files import (
    entries,
    hash_into,
    open_plain,
    private_directory,
    same_file,
    store_error,
    sync_directory,
)
from pypicache.store.partial import FilePartial
from pypicache.store.parts import abandon, claim, open_partial, part_name, remove, set_aside, sweep
from pypicache.store.quarantine import Quarantine
from pypicache.store.root import prepare_root
from pypicache.store.sharing import Sharing
from pypicache.store.spool import FileBlob, FileSpool
from pypicache.store.threads import Threads
from pypicache.store.trouble import Trouble

_SHA256 = re.compile(r"[0-9a-f]{64}")
_SET_ASIDE = "a stored file was set aside"
_DOUBTS = 1024

KEEP = 7 * 86400.0
"""Seconds that a partial file without a writer is kept for somebody to go on with it."""


class DiskBlobStore:
    """Implements `blobs.BlobStore` in the directory `root`. Use as an async context manager.

    With `fsync`, a blob is on the disk before it has its name; without, a power cut may leave a short
    or empty file under it, which its size or the scrub gives away. `patience` is how many seconds
    closing waits for threads that hang on the disk. `group` names the group that may read blobs too.
    """

    def __init__(
        self,
        root: Path,
        *,
        fsync: bool = False,
        threads: int = 4,
        observe: Observer | None = None,
        patience: float = 5.0,
        group: str | None = None,
    ) -> None:
        self._root = root
        self._blobs = root / "blobs" / "sha256"
        self._spools = root / "spool"
        self._quarantine = Quarantine(root / "quarantine")
        self._sharing = Sharing(group)
        self._fsync = fsync
        self._threads = Threads(count=threads, name="disk")
        self._trouble = Trouble("blobs", observe=observe)
        self._patience = patience
        self._open_spools: set[FileSpool] = set()
        self._doubted: set[tuple[str, int, int]] = set()
        self._judging: set[asyncio.Future[bool]] = set()

    async def __aenter__(self) -> Self:
        try:
            await self._threads.run(self._start)
        except BaseException:
            await self._threads.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for spool in tuple(self._open_spools):
            spool.close()
        if not await self._threads.close(self._patience):
            self._trouble.tell("the disk hangs; its threads are left behind")

    def open(self, sha256: str, size: int | None = None) -> Blob | None:
        """The blob, opened; see `BlobStore.open`. On the event loop: one open, one fstat."""
        if not _SHA256.fullmatch(sha256):
            return None
        path = self._path(sha256)
        try:
            found = open_plain(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._trouble.tell("a stored file can't be opened", error.strerror or "")
            return None
        if isinstance(found, str):
            self._set_aside(path, found)
            return None
        fd, status = found
        if size is None or status.st_size == size:
            return FileBlob(sha256, status.st_size, fd)
        os.close(fd)
        self._doubt(sha256, status)
        return None

    async def spool(self, key: str, size: int | None, *, resume: bool = False) -> FileSpool:
        """The spool, claimed; see `BlobStore.spool`."""
        path = self._spools / part_name(key)
        part = await self._threads.run(
            functools.partial(claim, path, self._quarantine), undo=functools.partial(abandon, path)
        )
        kept = resume and part.entry.size is not None and part.entry.size == (size or part.entry.size)
        spool = FileSpool(
            key=key,
            size=part.entry.size if kept else size,
            fd=part.fd,
            journal=part.journal,
            held=part.entry.held if kept else (),
            threads=self._threads,
            remove=functools.partial(remove, path),
            set_aside=functools.partial(set_aside, path, self._quarantine),
            closed=lambda: self._open_spools.discard(spool),
        )
        self._open_spools.add(spool)
        try:
            await spool.run(spool.go_on if kept else spool.start_over)
        except BaseException:
            await spool.discard()
            raise
        return spool

    async def follow(self, key: str) -> FilePartial | None:
        """Another process's spool; see `BlobStore.follow`."""
        found = await self._threads.run(functools.partial(open_partial, self._spools / part_name(key)))
        return None if found is None else FilePartial(*found)

    async def publish(self, spool: Spool, sha256: str) -> FileBlob:
        """Make it a blob; see `BlobStore.publish`."""
        assert isinstance(spool, FileSpool)
        if not _SHA256.fullmatch(sha256):
            raise ValueError(f"not a SHA-256: {sha256!r}")
        await spool.idle()
        work = functools.partial(self._publish, spool, spool.fileno(), sha256)
        blob = await spool.run(work, undo=FileBlob.close)
        spool.close()
        return blob

    async def delete(self, sha256: str) -> bool:
        """Remove the blob; see `BlobStore.delete`. Raises StoreError."""
        if not _SHA256.fullmatch(sha256):
            return False
        return await self._threads.run(functools.partial(self._delete, self._path(sha256)))

    def scan(self) -> Iterator[BlobInfo]:
        """Every blob, in no order; blocking, for use off the loop. Follows no links; skips what goes away meanwhile."""
        for entry in entries(self._blobs, depth=3):
            if not _SHA256.fullmatch(entry.name):
                continue
            with contextlib.suppress(OSError):
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(status.st_mode):
                    used_at = max(status.st_atime, status.st_mtime)
                    yield BlobInfo(sha256=entry.name, size=status.st_size, used_at=used_at)

    async def settled(self) -> None:
        """Wait until every file in doubt has been hashed and judged."""
        while self._judging:
            await asyncio.wait(set(self._judging))

    def _path(self, sha256: str) -> Path:
        return self._blobs / sha256[:2] / sha256[2:4] / sha256

    def _set_aside(self, path: Path, why: str) -> None:
        self._trouble.tell(_SET_ASIDE, f"{path.name}: {why}")
        try:
            self._quarantine.take(path)
            self._threads.start(self._quarantine.trim)
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
            future = self._threads.start(self._judge, sha256)
            self._judging.add(future)
            future.add_done_callback(functools.partial(self._judged, sha256))

    def _judged(self, sha256: str, future: asyncio.Future[bool]) -> None:
        self._judging.discard(future)
        if not future.cancelled() and future.exception() is None and future.result():
            self._trouble.tell(_SET_ASIDE, f"{sha256}: its bytes are not those of its name")

    # In a thread, from here on.

    def _start(self) -> None:
        prepare_root(self._root)
        for directory in (self._root / "blobs", self._blobs, self._spools, self._quarantine.directory):
            private_directory(directory)
        self._sharing.settle(self._root, self._blobs)
        sweep(self._spools, self._quarantine, before=time.time() - KEEP)
        self._quarantine.trim()

    def _publish(self, spool: FileSpool, fd: int, sha256: str) -> FileBlob:
        part, path = self._spools / part_name(spool.key), self._path(sha256)
        try:
            spool.settle(sha256)
            self._sharing.file(fd)
            if self._fsync:
                os.fdatasync(fd)
            if not same_file(part, fd):
                raise StoreError("a partial file was removed from the cache while it was written")
            self._sharing.make_directories(path.parent, self._blobs)
            try:
                part.rename(path)
            except IsADirectoryError:
                self._quarantine.take(path)
                part.rename(path)
            journal.path_of(part).unlink(missing_ok=True)
            if self._fsync:
                sync_directory(path.parent)
            return FileBlob(sha256, spool.end, os.dup(fd))
        except OSError as error:
            raise store_error("the cache can't publish a file", error) from error

    def _delete(self, path: Path) -> bool:
        try:
            path.unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise store_error("the cache can't delete a file", error) from error
        return True

    def _judge(self, sha256: str) -> bool:
        """Hash the file, and set it aside if its bytes are wrong or can't be read; whether that was so."""
        path = self._path(sha256)
        try:
            found = open_plain(path)
        except OSError:
            return False
        if isinstance(found, str):
            return False  # it is another thing by now; the next `open` sees that
        fd, status = found
        try:
            hasher = hashlib.sha256()
            with contextlib.suppress(OSError, StoreError):
                hash_into(hasher, fd, 0, status.st_size)
            if hasher.hexdigest() == sha256 or not same_file(path, fd):
                return False
            self._quarantine.take(path)
            self._quarantine.trim()
        finally:
            os.close(fd)
        return True
