"""What a file link needs, kept beside the blobs and outliving the page: one small file for each link.

A page may go (a mirror forgets it, the page store is set aside) and a client still holds a link from a lock
file. The record that the link leads to says which blob it was, of which index and file, and what was last
thought of it, so that a stored file is served even then (contract.md section 3).

A record is at `links/abc/<name>-<path>`: half a SHA-256 of (index, file name), then half a SHA-256 of
(index, path), both with lengths before the parts, so that no two can run together; `abc` are the first digits.
So all links to one file name of one index are in one directory of at most a few hundred entries, and
`by_filename`, which devpi's `+f` links need, is one listing of it and no second index that could disagree.

Records carry a checksum and repeat their key; one that is damaged or stands in a wrong place is removed and
counts as absent. The memory before them is checked by a stat on each use: another process may have
written. It judges nothing. It may not import anything of the package but errors, events, its own folder
and `simple.model` for digests.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import os
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Annotated, Self

import msgspec

from pypicache.errors import StoreError
from pypicache.events import Observer
from pypicache.simple.model import Digest
from pypicache.store.files import (
    READ,
    entries,
    make_directories,
    private_directory,
    replace_file,
    store_error,
)
from pypicache.store.root import prepare_root
from pypicache.store.threads import Batches, Threads
from pypicache.store.trouble import Trouble
from pypicache.store.usage import Usage

Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
Size = Annotated[int, msgspec.Meta(ge=0)]

MAX_RECORD = 64 << 10
"""Bytes of a record; a longer one is damage, and is not written either."""

_HALF = 32
_STALE = 60.0


class Sidecar(msgspec.Struct, frozen=True, kw_only=True):
    """The file's metadata (PEP 658), as it is stored."""

    sha256: Sha256
    size: Size


class LinkRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known about the file behind one link. A field is only ever added, with a default."""

    index: str
    project: str
    path: str
    """Below `packages/`, decoded; its last segment is the file's name."""
    filename: str
    url: str
    """Where the origin has it, as its page said."""
    origin: str
    """The mirror whose page said so."""
    sha256: Sha256 | None = None
    """What names the blob; None until it is known."""
    size: Size | None = None
    digests: tuple[Digest, ...] = ()
    """As the page gave them."""
    verdict: str = "ok"
    """What was said last when it was asked for: "ok", or "removed: " or "refused: " and the reason."""
    stored_at: float = 0.0
    """When it was first seen, in seconds since the epoch."""
    sidecar: Sidecar | None = None


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(LinkRecord)

_State = tuple[int, int, int]


class LinkStore:
    """Link records below `root/links`. Use as an async context manager.

    `remember` is how many records are held in memory. `now` gives seconds since the epoch. `usage` is told what
    records weigh; one that isn't open is told in vain.
    """

    def __init__(
        self,
        root: Path,
        *,
        remember: int = 4096,
        observe: Observer | None = None,
        now: Callable[[], float] = time.time,
        usage: Usage | None = None,
    ) -> None:
        self._root = root
        self._usage = usage or Usage(root / "usage")
        self._links = root / "links"
        self._temporary = root / "links" / "tmp"
        self._remember = remember
        self._now = now
        self._trouble = Trouble("links", observe=observe)
        self._threads = Threads(count=1, name="links")
        self._writes = Batches(self._threads)
        self._memory: OrderedDict[tuple[str, str], tuple[_State, LinkRecord]] = OrderedDict()
        self._numbers = itertools.count()

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

    def get(self, index: str, path: str) -> LinkRecord | None:
        """The record of that link; None when there is none. On the event loop: one stat, or one small file's read."""
        held, file = self._memory.get((index, path)), self._file(index, path)
        try:
            if held is not None and held[0] == _state(os.lstat(file)):
                self._memory.move_to_end((index, path))
                return held[1]
            state, data = _read(file)
        except FileNotFoundError:
            self._memory.pop((index, path), None)
            return None
        except OSError as error:
            if not Path(file).is_symlink():
                self._trouble.tell("a link record can't be read", error.strerror or "")
                return None
            data = b""
        record = _parse(data)
        if record is None or (record.index, record.path) != (index, path):
            self._trouble.tell("a damaged link record was removed", Path(file).name)
            with contextlib.suppress(StoreError):  # in the writer's thread: before whatever is put there next
                self._threads.start(self._delete, Path(file))
            return None
        self._keep(record, state)
        return record

    async def put(self, record: LinkRecord) -> None:
        """Write the record, whole or not at all, in place of what was there. Raises StoreFull or StoreError."""
        data = _dump(record)
        if len(data) > MAX_RECORD:
            raise StoreError(f"a link record of {len(data)} bytes is too long to keep")
        file = self._file(record.index, record.path)
        state = await self._writes.run(functools.partial(self._write, Path(file), next(self._numbers), data))
        self._keep(record, state)

    async def delete(self, index: str, path: str) -> bool:
        """Forget the link; whether it was there. Raises StoreError."""
        self._memory.pop((index, path), None)
        return await self._writes.run(functools.partial(self._delete, Path(self._file(index, path))))

    async def by_filename(self, index: str, filename: str) -> tuple[LinkRecord, ...]:
        """Every record of that index whose file has this name, in the order of their paths. Off the loop."""
        prefix = _half(index, filename)
        found = await self._threads.run(functools.partial(_matching, self._links / prefix[:3], prefix))
        records = (r for r in found if (r.index, r.filename) == (index, filename))
        return tuple(sorted(records, key=lambda record: record.path))

    def _file(self, index: str, path: str) -> str:  # a `Path` would take longer to make than to open
        return f"{self._links}/{place_of(index, path)}"

    def _keep(self, record: LinkRecord, state: _State) -> None:
        self._memory[record.index, record.path] = (state, record)
        self._memory.move_to_end((record.index, record.path))
        if len(self._memory) > self._remember:
            self._memory.popitem(last=False)

    # In a thread, from here on.

    def _start(self) -> None:
        prepare_root(self._root)
        private_directory(self._links)
        private_directory(self._temporary)
        # A put takes milliseconds, so a temporary file that is older is a dead process's.
        with contextlib.suppress(OSError):
            for path in tuple(self._temporary.iterdir()):
                with contextlib.suppress(OSError):
                    if self._now() - path.lstat().st_mtime > _STALE:
                        path.unlink()

    def _write(self, file: Path, number: int, data: bytes) -> _State:
        try:
            make_directories(file.parent, self._links)
            with self._usage.locked(link=file.name) as sums:
                before = _size(file)
                replace_file(file, self._temporary / f"{os.getpid()}-{number}", data)
                sums.link(file.name, len(data) - before)
            return _state(file.lstat())
        except OSError as error:
            raise store_error("the cache can't write a link record", error) from error

    def _delete(self, file: Path) -> bool:
        try:
            with self._usage.locked(link=file.name) as sums:
                size = _size(file)
                file.unlink()
                sums.link(file.name, -size)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise store_error("the cache can't delete a link record", error) from error
        return True


@functools.lru_cache(maxsize=1024)
def place_of(index: str, path: str) -> str:
    """Where the record of that link is, below `links`."""
    prefix = _half(index, path.rpartition("/")[2])
    return f"{prefix[:3]}/{prefix}-{_half(index, path)}"


def _half(*parts: str) -> str:
    """Half of the SHA-256 of the parts, each with its length before it: no two lists of parts look the same."""
    hasher = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        hasher.update(b"%d:%b" % (len(data), data))
    return hasher.hexdigest()[:_HALF]


def _state(status: os.stat_result) -> _State:
    return status.st_ino, status.st_mtime_ns, status.st_size


def _read(file: Path | str) -> tuple[_State, bytes]:
    """The plain file's content, up to one byte more than a record may have. Raises OSError."""
    fd = os.open(file, READ)
    try:
        state = _state(os.fstat(fd))
        return state, os.read(fd, MAX_RECORD + 1)
    finally:
        os.close(fd)


def _checksum(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).hexdigest().encode()


def _dump(record: LinkRecord) -> bytes:
    data = _ENCODER.encode(record)
    return _checksum(data) + b"\n" + data


def _parse(data: bytes) -> LinkRecord | None:
    """The record that `_dump` wrote, or None."""
    checksum, _, body = data.partition(b"\n")
    if len(data) > MAX_RECORD or checksum != _checksum(body):
        return None
    try:
        return _DECODER.decode(body)
    except ValueError:
        return None


def read_record(file: Path | str) -> LinkRecord | None:
    """The record in that file; None when there is none, or a damaged one. Blocking."""
    try:
        return _parse(_read(file)[1])
    except OSError:
        return None


def _matching(directory: Path, prefix: str) -> list[LinkRecord]:
    named = (entry.path for entry in entries(directory, depth=1) if entry.name.startswith(prefix))
    return [record for record in map(read_record, named) if record is not None]


def _size(file: Path) -> int:
    """The record's size; 0 when there is none."""
    try:
        return file.lstat().st_size
    except OSError:
        return 0
