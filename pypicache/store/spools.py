"""Spools on the disk: how each comes about, and how it becomes a blob.

A spool is a named file, `spool/<SHA-256 of its key>.part`, locked (flock) by its writer, so that other
processes on the same directory see it, can follow it, and know when its writer has died: the lock falls
with the process. It is renamed into its place only when the caller has verified it, so a kill at any
instant leaves a whole blob, or a spool that the next start sweeps. A rename needs nothing of the file
system that links don't, and two workers that publish the same digest replace equal bytes by equal bytes.

A file that may be small is in memory meanwhile (`light`), and is written, named and booked in one go. Who writes
which download is told by `claims` before there is a file, and by the file's lock as well once there is one.

A spool is booked before it is written (`room`), so that the cache never holds more than its limits allow; where there
is no room, colder files go first, or the download is refused with StoreFull.

It may not import anything of the package but errors and its own folder.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable
from pathlib import Path

from pypicache.store import journal, light, parts
from pypicache.store.blobfiles import SHA256
from pypicache.store.blobs import Spool
from pypicache.store.claims import Claims
from pypicache.store.fileblob import FileBlob, share
from pypicache.store.files import store_error, write_at
from pypicache.store.keeper import Keeper
from pypicache.store.light import LightSpool
from pypicache.store.partial import FilePartial
from pypicache.store.spool import FileSpool
from pypicache.store.threads import Batches, Threads


class Spools:
    """The spools of the cache that `keeper` looks after. `blob` makes a blob of a SHA-256, a size and a descriptor.

    With `fsync`, a blob is on the disk before it has its name.
    """

    def __init__(
        self, keeper: Keeper, threads: Threads, *, fsync: bool, blob: Callable[[str, int, int], FileBlob]
    ) -> None:
        self._keeper = keeper
        self._threads = threads
        # Small files that come meanwhile share a hop, and a thread.
        self._small = Batches(threads)
        self._fsync = fsync
        self._blob = blob
        self._claims = Claims(keeper.root / "claims")
        self._open: set[FileSpool | LightSpool] = set()
        self._promised = 0

    def open(self) -> None:
        """Blocking; after the directory has been made."""
        self._claims.open()

    def leave(self) -> None:
        """Stop writing all that are open; what is in files stays."""
        for spool in tuple(self._open):
            spool.close()

    def close(self) -> None:
        """Give all claims back."""
        self._claims.close()

    async def begin(
        self, key: str, size: int | None, *, resume: bool = False, small: bool = False
    ) -> FileSpool | LightSpool:
        """The spool, claimed; see `BlobStore.spool`."""
        self._claims.take(key)
        # Without claims that others see it is the file that tells them; and what is in one goes on there.
        if small and self._claims.shared and self._may_gather(size, self._part(key)):
            spool = LightSpool(key=key, size=size, land=self._file_spool, closed=self._ended)
            self._open.add(spool)
            self._promised += spool.promised
            return spool
        try:
            return await self._file_spool(key, size, resume=resume)
        except BaseException:
            self._claims.give(key)
            raise

    def _part(
        self, key: str
    ) -> str:  # for each download, and a `Path` would take longer to make than to look for
        return f"{self._keeper.spools}/{parts.part_name(key)}"

    def _may_gather(self, size: int | None, path: str) -> bool:
        """Whether a file of that size may be in memory until it is whole. One look at the disk."""
        if os.path.lexists(path):
            return False
        return (size or 0) <= light.MOST and self._promised + light.promise(size) <= light.ALL

    def _ended(self, spool: FileSpool | LightSpool) -> None:
        self._open.discard(spool)
        self._claims.give(spool.key)
        self._promised -= spool.promised if isinstance(spool, LightSpool) else 0

    async def _file_spool(self, key: str, size: int | None, *, resume: bool = False) -> FileSpool:
        path, quarantine = self._keeper.spools / parts.part_name(key), self._keeper.quarantine
        part = await self._threads.run(
            functools.partial(parts.claim, path, quarantine), undo=functools.partial(self._abandon, path)
        )
        kept = resume and part.entry.size is not None and part.entry.size == (size or part.entry.size)
        spool = FileSpool(
            key=key,
            size=part.entry.size if kept else size,
            fd=part.fd,
            journal=part.journal,
            held=part.entry.held if kept else (),
            threads=self._threads,
            remove=functools.partial(parts.remove, path),
            set_aside=functools.partial(parts.set_aside, path, quarantine),
            closed=lambda: self._ended(spool),
            room=self._keeper.room,
            booked=part.booked,
        )
        self._open.add(spool)
        try:
            await spool.run(spool.go_on if kept else spool.start_over)
        except BaseException:
            await spool.discard()
            raise
        return spool

    async def follow(self, key: str) -> FilePartial | None:
        """Another process's spool; see `BlobStore.follow`."""
        path = self._keeper.spools / parts.part_name(key)
        found = await self._threads.run(functools.partial(parts.open_partial, path))
        return None if found is None else FilePartial(*found)

    async def publish(self, spool: Spool, sha256: str) -> FileBlob:
        """Make it a blob; see `BlobStore.publish`."""
        if not SHA256.fullmatch(sha256):
            raise ValueError(f"not a SHA-256: {sha256!r}")
        file = spool.file if isinstance(spool, LightSpool) else spool
        if isinstance(spool, LightSpool) and file is None:
            put = functools.partial(self._put, spool.key, spool.settled(sha256), sha256)
            blob = await self._small.run(put, undo=FileBlob.close)
            spool.close()
            return blob
        assert isinstance(file, FileSpool)
        blob = await self._publish(file, sha256)
        spool.close()
        return blob

    async def _publish(self, spool: FileSpool, sha256: str) -> FileBlob:
        await spool.idle()
        work = functools.partial(self._name, spool, spool.fileno(), sha256)
        blob = await spool.run(work, undo=FileBlob.close)
        spool.close()
        share(blob.fileno())
        return blob

    # In a thread, from here on.

    def _abandon(self, path: Path, part: parts.Part) -> None:
        parts.abandon(path, part)
        self._keeper.room.give(part.booked)

    def _name(self, spool: FileSpool, fd: int, sha256: str) -> FileBlob:
        part = self._keeper.spools / parts.part_name(spool.key)
        try:
            spool.settle(sha256)
            self._keeper.files.publish(part, fd, sha256, spool.end, charged=spool.booked, fsync=self._fsync)
            spool.published()
            journal.path_of(part).unlink(missing_ok=True)
            return self._blob(sha256, spool.end, os.dup(fd))
        except OSError as error:
            raise store_error("the cache can't publish a file", error) from error

    def _put(self, key: str, data: bytes, sha256: str) -> FileBlob:
        """All that there is to do for a small file: written, booked and named."""
        room, files = self._keeper.room, self._keeper.files
        part, fd, size, booked = self._part(key), -1, len(data), 0
        try:
            fd = parts.fresh(part)
            write_at(fd, 0, [data])
            if not files.put(part, fd, sha256, size, fits=room.fits, fsync=self._fsync):
                room.take(size)
                booked = size
                files.publish(Path(part), fd, sha256, size, charged=size, fsync=self._fsync)
        except BaseException as error:
            room.give(booked)
            if fd >= 0:
                with contextlib.suppress(OSError):
                    parts.remove(Path(part), fd)
                os.close(fd)
            if isinstance(error, OSError):
                raise store_error("the cache can't publish a file", error) from error
            raise
        share(fd)
        return self._blob(sha256, size, fd)
