"""Files of all indexes: stored, in flight, or to be fetched.

The library owns the downloads: at most one of an object at a time, whoever asks and whoever leaves. Two
indexes that list the same bytes share one blob and one download. It knows what a file is, not which
page said so (that is the index's business), and no HTTP.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Collection, Sequence
from types import TracebackType
from typing import Self

from pypicache.errors import FileNotFound, UpstreamError
from pypicache.events import Observer
from pypicache.index.budget import Budget
from pypicache.index.content import Stored
from pypicache.index.lru import ByteLRU
from pypicache.index.reader import Reader
from pypicache.index.tasks import Tasks
from pypicache.index.transfer import Transfer
from pypicache.simple.model import File
from pypicache.store.blobs import BlobStore
from pypicache.upstream.source import Copy


class Library:
    """Files by digest. Use as an async context manager: leaving ends the downloads."""

    def __init__(self, *, store: BlobStore, observer: Observer) -> None:
        self._store = store
        self._lanes = Budget()
        self._marks: ByteLRU[str, set[str]] = ByteLRU(1 << 20)
        self._observer = observer
        self._tasks = Tasks()
        self._transfers: dict[str, Transfer] = {}
        self._owned: set[asyncio.Task[str]] = set()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._tasks.__aexit__(kind, error, trace)

    @property
    def transfers(self) -> Collection[Transfer]:
        """The downloads in flight."""
        return tuple(self._transfers.values())

    async def settle(self) -> None:
        """Wait for the end of those that are in flight now, however they end."""
        if self._owned:
            await asyncio.wait(tuple(self._owned))

    def stored(self, sha256: str | None, size: int | None) -> Stored | None:
        """The file of that digest, if it is in the cache."""
        blob = self._store.open(sha256, size) if sha256 else None
        return Stored(blob) if blob is not None else None

    def there(self, sha256: str | None) -> bool:
        """Whether the file of that digest is in the cache. That is no use of it."""
        return sha256 is not None and self._store.there(sha256)

    def glance(self, sha256: str) -> object:
        """What tells the stored file of that digest from another one in its place; None when there is none. It counts as a use."""
        return self._store.glance(sha256)

    def joined(self, file: File) -> Reader | None:
        """A reader of the download in flight, if there is one."""
        transfer = self._transfers.get(key_of(file))
        return self._reader(transfer) if transfer is not None else None

    def fetch(
        self, file: File, copies: Sequence[Copy], *, max_size: int | None = None
    ) -> tuple[Reader, asyncio.Task[str]]:
        """A reader of a new download, and its task: the SHA-256 of what it publishes. Await that through `asyncio.shield`."""
        transfer = Transfer(
            key=key_of(file),
            file=file,
            copies=self._ranked(key_of(file), copies),
            store=self._store,
            lanes=self._lanes,
            observer=self._observer,
            max_size=max_size,
        )
        reader = self._reader(transfer)
        self._transfers[transfer.key] = transfer
        task = self._tasks.start(self._own(transfer), name=f"transfer of {file.filename}")
        self._owned.add(task)
        task.add_done_callback(self._owned.discard)
        return reader, task

    def _reader(self, transfer: Transfer) -> Reader:
        name = f"stream of {transfer.file.filename}"
        return Reader(transfer, start_task=lambda work: self._tasks.start(work, name=name))

    def _ranked(self, key: str, copies: Sequence[Copy]) -> list[Copy]:
        """The copies, those last whose mirrors have sent wrong bytes for this file: they order, they never exclude."""
        marked = self._marks.get(key) or set()
        return sorted(copies, key=lambda copy: copy.origin in marked)

    async def _own(self, transfer: Transfer) -> str:
        try:
            return await transfer.run()
        finally:
            # Stored files are found before transfers are looked at, so nobody can fall between the two.
            del self._transfers[transfer.key]
            if transfer.rejected:
                self._marks.put(transfer.key, transfer.rejected, 500)
            if not transfer.readers:
                transfer.close()

    async def size_of(self, file: File, copies: Sequence[Copy]) -> int | None:
        """The size of a file whose page doesn't tell, by asking for one byte; None when no mirror says it.

        Never by HEAD: some mirrors send another Content-Length there than with the file.
        """
        if (transfer := self._transfers.get(key_of(file))) is not None and transfer.size is not None:
            return transfer.size
        failure: UpstreamError | None = None
        for copy in copies:
            try:
                async with await copy.open(0, 1) as body:
                    return body.total
            except UpstreamError as error:
                failure = error
            except FileNotFound as error:
                failure = UpstreamError(copy.origin, str(error))
        if failure is not None:
            raise failure
        return None


def key_of(file: File) -> str:
    """What names the bytes of a file that may not be here yet: its digest, else where it is."""
    best = file.best_digest
    return str(best) if best is not None else "url:" + hashlib.sha256(file.url.encode()).hexdigest()
