"""The blob store's contract in memory, for tests and trials: nothing survives the process.

Blobs and spools are nameless files in memory (memfd_create, else a temporary file without a name), so that
readers pread and sendfile them as they do the real ones. It has no limit of its own.

It may not import anything of the package but errors and its own folder.
"""

from __future__ import annotations

import functools
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

from pypicache.errors import StoreError
from pypicache.store.blobs import Blob, BlobInfo, Spool, SpoolBusy
from pypicache.store.fileblob import FileBlob
from pypicache.store.spool import FileSpool
from pypicache.store.threads import Threads


class MemoryBlobStore:
    """Implements `blobs.BlobStore`. Use as an async context manager. `now` gives seconds since the epoch."""

    def __init__(self, *, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._threads = Threads(count=2, name="memory")
        self._blobs: dict[str, tuple[FileBlob, float]] = {}
        self._spools: dict[str, FileSpool] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for spool in tuple(self._spools.values()):
            spool.close()
        await self._threads.close()
        for blob, _ in self._blobs.values():
            blob.close()
        self._blobs.clear()

    def open(self, sha256: str, size: int | None = None) -> Blob | None:
        """The blob, opened; see `BlobStore.open`."""
        if sha256 not in self._blobs:
            return None
        held, _ = self._blobs[sha256]
        if size is not None and size != held.size:
            return None
        self._blobs[sha256] = (held, self._now())
        return FileBlob(sha256, held.size, os.dup(held.fileno()))

    def there(self, sha256: str) -> bool:
        """Whether it is; see `BlobStore.there`."""
        return sha256 in self._blobs

    def glance(self, sha256: str) -> object:
        """What tells it from another; see `BlobStore.glance`."""
        if sha256 not in self._blobs:
            return None
        held, _ = self._blobs[sha256]
        self._blobs[sha256] = (held, self._now())
        return id(held)

    async def spool(
        self,
        key: str,
        size: int | None,
        *,
        resume: bool = False,  # noqa: ARG002 - nothing outlives its writer here
        small: bool = False,  # noqa: ARG002 - its files are in memory anyway
    ) -> FileSpool:
        """A fresh spool; see `BlobStore.spool`."""
        if key in self._spools:
            raise SpoolBusy("another download is writing this partial file")
        spool = self._spools[key] = FileSpool(
            key=key,
            size=size,
            fd=_nameless(),
            threads=self._threads,
            remove=_has_no_name,
            closed=functools.partial(self._spools.pop, key),
            reserves=False,
        )
        return spool

    async def follow(self, key: str) -> None:
        """There are no other processes here; see `BlobStore.follow`."""

    async def publish(self, spool: Spool, sha256: str) -> FileBlob:
        """Make it a blob; see `BlobStore.publish`."""
        assert isinstance(spool, FileSpool)
        await spool.idle()
        await spool.run(functools.partial(spool.settle, sha256))
        if sha256 not in self._blobs:
            self._blobs[sha256] = (FileBlob(sha256, spool.end, os.dup(spool.fileno())), self._now())
        spool.close()
        held, _ = self._blobs[sha256]
        return FileBlob(sha256, held.size, os.dup(held.fileno()))

    async def delete(self, sha256: str) -> bool:
        """Remove the blob; see `BlobStore.delete`."""
        held = self._blobs.pop(sha256, None)
        if held is not None:
            held[0].close()
        return held is not None

    def scan(self) -> Iterator[BlobInfo]:
        """Every blob, in no order."""
        for sha256, (held, used_at) in tuple(self._blobs.items()):
            yield BlobInfo(sha256=sha256, size=held.size, used_at=used_at)


def _nameless() -> int:
    """A new file without a name. Raises StoreError."""
    try:
        if hasattr(os, "memfd_create"):
            return os.memfd_create("pypicache")
        with tempfile.TemporaryFile() as file:
            return os.dup(file.fileno())
    except OSError as error:
        raise StoreError(f"no file in memory can be made: {error.strerror}") from error


def _has_no_name(_: int) -> None:
    """There is nothing to remove."""
