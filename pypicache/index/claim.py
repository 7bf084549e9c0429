"""A download's place on disk: a spool of our own, or the sight of another process's.

At most one process writes a spool. Whoever finds it taken follows it, looking at its journal now and then, and takes it
over when its writer is gone: crash recovery, sharing between processes and starting afresh are one code path.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pypicache.rules import pieces
from pypicache.rules.pieces import Spans
from pypicache.simple.model import File
from pypicache.store.blobs import Blob, BlobStore, Partial, Spool, SpoolBusy

LOOK = 0.05
"""Seconds between two looks at a spool that another process writes."""

KEEP = 256 << 10
"""Bytes of a published file that stay in memory, if they were there, for those who wait for it: as many as are answered in one piece."""


class Claim:
    """The spool of the download called `key`. `progress` is called when another process has brought more."""

    def __init__(self, *, key: str, file: File, store: BlobStore, progress: Callable[[], None]) -> None:
        self.size = file.size
        """As the page says, or else the process that is being followed."""
        self.spool: Spool | None = None
        self.lost = 0
        """How often bytes that were seen have gone: the file was begun again."""
        self.verified = False
        """Whether what is there is the whole file, and right."""
        self.kept: bytes | None = None
        """All of what was published, if it was small and in memory."""
        self._key = key
        self._file = file
        self._store = store
        self._progress = progress
        self._partial: Partial | None = None
        self._seen: Spans = ()

    @property
    def held(self) -> Spans:
        """The spans of bytes that are there."""
        return self.spool.held if self.spool is not None else self._seen

    @property
    def followed(self) -> bool:
        """Whether another process has brought bytes."""
        return bool(self._seen)

    @property
    def data(self) -> bytearray | None:
        """All that has come, while it is in memory and in no file."""
        return self.spool.data if self.spool is not None else None

    def fileno(self) -> int:
        """The descriptor of the spool, whoever writes it. Only while there are bytes, and `data` isn't."""
        file = self.spool or self._partial
        assert file is not None
        return file.fileno()

    async def obtain(self) -> Blob | None:
        """Have a spool, or the blob if another process has made it meanwhile. Raises StoreFull or StoreError."""
        while self.spool is None:
            try:
                # Only a digest says that what an earlier writer left is the beginning of the same file.
                resume = self._file.best_digest is not None
                self.spool = await self._store.spool(self._key, self.size, resume=resume, small=True)
            except SpoolBusy:
                await self._follow()
        self._unfollow()
        # With the size that the page gives: a blob that was cut short may not have been set aside yet.
        wanted = self._file.sha256
        blob = self._store.open(wanted, self._file.size) if wanted is not None else None
        if blob is None:
            self._saw(self.spool.held)
        else:
            await self.spool.discard()
            self.spool = None
        return blob

    async def publish(self, sha256: str) -> Blob:
        """Make the spool's bytes, which are verified, a blob."""
        assert self.spool is not None
        self.verified, data = True, self.spool.data
        blob = await self._store.publish(self.spool, sha256)
        self.kept = bytes(data) if data is not None and len(data) <= KEEP else None
        self.spool = None
        return blob

    async def reject(self) -> None:
        """Set the spool's bytes aside: they are wrong."""
        if self.spool is not None:
            self._seen = self.spool.held
            await self.spool.reject()
            self.spool = None
            self._saw(())

    async def discard(self) -> None:
        """Remove the spool."""
        if self.spool is not None:
            self._seen = self.spool.held
            await self.spool.discard()
            self.spool = None

    def let_go(self) -> None:
        """Leave the spool as it is to whoever claims it next, which may be us."""
        self._unfollow()
        if self.spool is not None:
            self._seen = self.spool.held
            self.spool.close()
            self.spool = None

    async def _follow(self) -> None:
        """Look once at what the other process has brought."""
        if self._partial is None:
            self._partial = await self._store.follow(self._key)
        if self._partial is not None:
            size, held = await self._partial.look()
            self._saw(held)
            self.size = self.size if size is None else size
            self._progress()
        await asyncio.sleep(LOOK)

    def _saw(self, held: Spans) -> None:
        if pieces.mark(held) < pieces.mark(self._seen):
            self.lost += 1
        self._seen = held

    def _unfollow(self) -> None:
        if self._partial is not None:
            self._partial.close()
            self._partial = None
