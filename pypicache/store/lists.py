"""Lists of all projects as files: `lists/<digest of the index's name>/<generation>.<part>`, and a record of which counts.

A list is written to new files while the old ones are served, and counts from the instant at which the record names it:
one rename. So a kill at any instant leaves the old list or the new one, and files that the next start sweeps. Open files
stay readable when theirs is no longer the list.

It knows nothing of what is in the parts. Another process on the same directory may publish too: the last one wins, and a
part that has gone makes the record be read again. It may not import anything of the package but errors, events and its
own folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from pypicache.errors import StoreError, StoreFull
from pypicache.events import Observer
from pypicache.store.blobs import Blob
from pypicache.store.fileblob import FileBlob
from pypicache.store.files import open_plain, private_directory, replace_file, store_error, write_at
from pypicache.store.threads import Threads
from pypicache.store.trouble import Trouble

MAX_BYTES = 512 << 20
"""Bytes of one list, all its parts together; a larger one isn't stored."""

ABANDONED = 3600.0
"""Seconds after which a file that nobody writes to, and that is of no list, is removed at a start."""

_RECORD = "record"
_PART = re.compile(r"[a-z][a-z.]{0,15}")
_CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class PartRecord(msgspec.Struct, frozen=True, array_like=True):
    """One part of a list: its bytes and their SHA-256."""

    size: int
    sha256: str


class ListRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a stored list. Times are seconds since the epoch."""

    index: str
    generation: str
    """What its files are called."""
    parts: dict[str, PartRecord]
    checked_at: float
    """When a mirror last confirmed it."""
    count: int
    """How many projects it has."""
    origin: str = ""
    etag: str | None = None
    """The mirror's, to ask it again with."""


class ListStore:
    """Lists by index, in `root/lists`. Use as an async context manager; only one task at a time drafts an index's list."""

    def __init__(
        self, root: Path, *, observe: Observer | None = None, now: Callable[[], float] = time.time
    ) -> None:
        self._directory = root / "lists"
        self._now = now
        self._threads = Threads(count=1, name="lists")
        self._trouble = Trouble("lists", observe=observe)
        self._records: dict[str, ListRecord | None] = {}

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
        await self._threads.close()

    def held(self, index: str) -> ListRecord | None:
        """The record of the index's list; None when there is none. On the event loop: a small file, once."""
        if index not in self._records:
            self._records[index] = self._read(index)
        return self._records[index]

    def open(self, index: str, part: str) -> Blob | None:
        """That part of the index's list, opened; None when there is none. On the event loop: an open, an fstat."""
        for _ in range(2):
            record = self.held(index)
            if record is None:
                return None
            if (blob := self._open(record, part)) is not None:
                return blob
            # Another process has published since, or somebody has tidied up: the record on the disk knows.
            self._records.pop(index)
        self._records[index] = None
        return None

    async def draft(self, index: str) -> Draft:
        """Begin a list of that index. Raises StoreFull or StoreError."""
        return await self._threads.run(lambda: self._begin(index), undo=Draft.close)

    async def note(self, record: ListRecord) -> None:
        """Remember what has become known of a list that is stored already. Raises StoreFull or StoreError."""
        await self._threads.run(lambda: self._write(record))
        self._records[record.index] = record

    async def publish(
        self, draft: Draft, *, checked_at: float, count: int, origin: str, etag: str | None
    ) -> ListRecord:
        """Make the draft the index's list, and remove the one before. Raises StoreFull or StoreError."""
        before = self.held(draft.index)
        record = ListRecord(
            index=draft.index,
            generation=draft.generation,
            parts=draft.parts(),
            checked_at=checked_at,
            count=count,
            origin=origin,
            etag=etag,
        )
        await self._threads.run(lambda: self._write(record))
        self._records[draft.index] = record
        draft.close()
        if before is not None:
            await self._threads.run(lambda: self._remove(before))
        return record

    async def drop(self, index: str) -> None:
        """Remove the index's list, if there is one. Raises StoreError."""
        record = self.held(index)
        self._records[index] = None
        if record is not None:
            await self._threads.run(lambda: self._drop(record))

    def forget(self) -> None:
        """Let go of what is remembered: the disk knows better."""
        self._records.clear()

    def _open(self, record: ListRecord, part: str) -> Blob | None:
        known = record.parts.get(part)
        if known is None:
            return None
        try:
            found = open_plain(self._path(record.index) / f"{record.generation}.{part}")
        except OSError:
            return None
        if isinstance(found, str):
            return None
        fd, status = found
        if status.st_size != known.size:
            os.close(fd)
            self._trouble.tell("a stored list is damaged", f"{record.index}: {part} has another size")
            return None
        return FileBlob(known.sha256, known.size, fd)

    def _read(self, index: str) -> ListRecord | None:
        try:
            data = (self._path(index) / _RECORD).read_bytes()
            record = msgspec.msgpack.decode(data, type=ListRecord)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as error:
            self._trouble.tell("a list's record can't be read", str(error))
            return None
        sound = (
            record.index == index and record.generation.isalnum() and all(map(_PART.fullmatch, record.parts))
        )
        return record if sound else None

    def _path(self, index: str) -> Path:
        return self._directory / hashlib.sha256(index.encode("utf-8", "surrogatepass")).hexdigest()[:32]

    # In a thread, from here on.

    def _start(self) -> None:
        private_directory(self._directory.parent)
        private_directory(self._directory)
        with contextlib.suppress(OSError):
            for directory in self._directory.iterdir():
                self._sweep(directory)

    def _sweep(self, directory: Path) -> None:
        try:
            record = msgspec.msgpack.decode((directory / _RECORD).read_bytes(), type=ListRecord)
            kept = record.generation
        except (OSError, msgspec.MsgspecError):
            kept = ""
        with contextlib.suppress(OSError):
            for path in directory.iterdir():
                if path.name != _RECORD and path.name.partition(".")[0] != kept:
                    with contextlib.suppress(OSError):
                        if self._now() - path.stat().st_mtime > ABANDONED:
                            path.unlink()

    def _begin(self, index: str) -> Draft:
        directory = self._path(index)
        private_directory(directory)
        return Draft(index=index, directory=directory, threads=self._threads)

    def _write(self, record: ListRecord) -> None:
        path = self._path(record.index) / _RECORD
        try:
            replace_file(
                path, path.with_name(f"{record.generation}.{os.getpid()}"), msgspec.msgpack.encode(record)
            )
        except OSError as error:
            raise store_error("the cache can't store a list", error) from error

    def _drop(self, record: ListRecord) -> None:
        try:
            (self._path(record.index) / _RECORD).unlink(missing_ok=True)
        except OSError as error:
            raise store_error("the cache can't remove a list", error) from error
        self._remove(record)

    def _remove(self, record: ListRecord) -> None:
        for part in record.parts:
            with contextlib.suppress(OSError):
                (self._path(record.index) / f"{record.generation}.{part}").unlink()


class Draft:
    """A list that is being written. `ListStore.publish` makes it count, `discard` removes it."""

    def __init__(self, *, index: str, directory: Path, threads: Threads) -> None:
        self.index = index
        self.generation = secrets.token_hex(8)
        self._directory = directory
        self._threads = threads
        self._files: dict[str, tuple[int, hashlib._Hash]] = {}
        self._sizes: dict[str, int] = {}

    async def write(self, parts: Mapping[str, bytes]) -> None:
        """Append to each of these parts. Raises StoreFull (also for a list that is too large) or StoreError."""
        await self._threads.run(lambda: self._write(parts))

    def parts(self) -> dict[str, PartRecord]:
        """What has been written."""
        return {
            part: PartRecord(self._sizes[part], hasher.hexdigest())
            for part, (_, hasher) in self._files.items()
        }

    async def discard(self) -> None:
        """Remove what has been written, unless it was published; more than once is fine."""
        if self._files:
            await self._threads.run(self._remove)

    def close(self) -> None:
        """Let go of the files, which stay."""
        files, self._files = self._files, {}
        for fd, _ in files.values():
            os.close(fd)

    def _write(self, parts: Mapping[str, bytes]) -> None:
        try:
            for part, data in parts.items():
                fd, hasher = self._file(part)
                if sum(self._sizes.values()) + len(data) > MAX_BYTES:
                    raise StoreFull(f"a list of over {MAX_BYTES >> 20} MiB isn't stored")
                write_at(fd, self._sizes[part], [data])
                hasher.update(data)
                self._sizes[part] += len(data)
        except OSError as error:
            raise store_error("the cache can't store a list", error) from error

    def _file(self, part: str) -> tuple[int, hashlib._Hash]:
        if part not in self._files:
            if not _PART.fullmatch(part):
                raise StoreError("a part of a list has an odd name")
            fd = os.open(self._directory / f"{self.generation}.{part}", _CREATE, 0o600)
            self._files[part] = fd, hashlib.sha256()
            self._sizes[part] = 0
        return self._files[part]

    def _remove(self) -> None:
        names = tuple(self._files)
        self.close()
        for part in names:
            with contextlib.suppress(OSError):
                (self._directory / f"{self.generation}.{part}").unlink()
