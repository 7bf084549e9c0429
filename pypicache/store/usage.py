"""How many bytes the cache holds: one small file of sums that all processes on the directory share.

The truth is the directory; these are sums of it. Whoever adds or removes a file does so under the lock and changes the sum in
the same breath, so that nobody who asks for room is told of room that another was given. Blobs and links are summed
by *shard*, the first two digits of their names: a shard can be counted again at any time, under the lock and within
milliseconds, and then its sum is exact, whatever a crash or somebody's `rm` did to it before. Spools are one sum, which is
counted when nobody writes one.

A file and its sum don't change in one instant. So a shard is marked before a file of it comes or goes, and the mark taken away
with the new sum: what is marked while nobody has the lock, somebody was killed over, and is to be counted (`Sums.torn`).

Where the file can't be locked or written, this process goes on with what it knows. All of it blocks. It counts nothing
itself, and may not import anything of the package but errors and the file helpers.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from pypicache.store.files import store_error

SHARDS = 256

_MAGIC = b"pypiuse2"
_SPOOLS = 3 * SHARDS
_MARKS = _SPOOLS + 1
_MARKED = 32
"""Marks in one number: of the shards of blobs, and then of those of links."""
_NUMBERS = _MARKS + 2 * SHARDS // _MARKED
_BYTES = len(_MAGIC) + 8 * _NUMBERS
_MOST = 1 << 56


class Sums:
    """Bytes and counts, of blobs and links by shard. Made of what `dump` gave, or empty."""

    def __init__(self, data: bytes = _MAGIC + bytes(8 * _NUMBERS)) -> None:
        self._numbers = array("q", data[len(_MAGIC) :])

    @classmethod
    def parse(cls, data: bytes) -> Self | None:
        """What the file says; None when that can't be sums."""
        if len(data) != _BYTES or not data.startswith(_MAGIC):
            return None
        sums = cls(data)
        return sums if min(sums._numbers) >= 0 and max(sums._numbers) < _MOST else None

    @property
    def blobs(self) -> int:
        """Bytes of all blobs."""
        return sum(self._numbers[:SHARDS])

    @property
    def count(self) -> int:
        """How many blobs there are."""
        return sum(self._numbers[SHARDS : 2 * SHARDS])

    @property
    def links(self) -> int:
        """Bytes of all link records."""
        return sum(self._numbers[2 * SHARDS : 3 * SHARDS])

    @property
    def spools(self) -> int:
        """What downloads under way have written or reserved, and what broken ones have left."""
        return self._numbers[_SPOOLS]

    @spools.setter
    def spools(self, value: int) -> None:
        self._numbers[_SPOOLS] = max(0, value)

    @property
    def total(self) -> int:
        """All bytes."""
        return self.blobs + self.links + self.spools

    def blob(self, sha256: str, size: int, count: int = 0) -> None:
        """A blob of that many bytes has come, or gone when they are negative; `count` of them."""
        shard = shard_of(sha256)
        self._add(shard, size)
        self._add(SHARDS + shard, count)

    def link(self, name: str, size: int) -> None:
        """The link record of that name has so many bytes more, or less."""
        self._add(2 * SHARDS + shard_of(name), size)

    def counted_blobs(self, shard: int, *, size: int, count: int) -> None:
        """The shard's blobs were counted: these they are."""
        self._numbers[shard], self._numbers[SHARDS + shard] = size, count
        self.mark(shard, set_to=False)

    def counted_links(self, shard: int, size: int) -> None:
        """The shard's links were counted: so many bytes they have."""
        self._numbers[2 * SHARDS + shard] = size
        self.mark(SHARDS + shard, set_to=False)

    @property
    def torn(self) -> list[int]:
        """The shards that have to be counted, since somebody was killed while a file of theirs came or went."""
        if not any(self._numbers[_MARKS:]):
            return []
        marked = (n for n in range(2 * SHARDS) if self._numbers[_MARKS + n // _MARKED] >> n % _MARKED & 1)
        return sorted({place % SHARDS for place in marked})

    def mark(self, place: int, *, set_to: bool) -> bool:
        """Mark the shard of blobs, or SHARDS and the shard of links, or take its mark away; whether that changed anything."""
        number, bit = _MARKS + place // _MARKED, 1 << place % _MARKED
        before = self._numbers[number]
        self._numbers[number] = before | bit if set_to else before & ~bit
        return self._numbers[number] != before

    def dump(self) -> bytes:
        """As the file has it."""
        return _MAGIC + self._numbers.tobytes()

    def _add(self, place: int, number: int) -> None:
        # Never below nothing: a sum that a crash left too small must not make room that isn't there.
        self._numbers[place] = max(0, self._numbers[place] + number)


def shard_of(name: str) -> int:
    """Which shard a blob or a link is of, by its hexadecimal name."""
    return int(name[:2], 16)


class Usage:
    """The sums in the file `path`. Open it before use; more than one in a process exclude each other too."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1
        self._known = Sums()
        self._seen = b""
        self._lock = threading.Lock()

    def open(self) -> None:
        """Raises StoreFull or StoreError."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            self._fd = os.open(self._path, flags, 0o600)
        except OSError as error:
            raise store_error(f"{self._path} can't be opened", error) from error

    def close(self) -> None:
        """More than once is fine."""
        with self._lock:
            fd, self._fd = self._fd, -1
            if fd >= 0:
                os.close(fd)

    @property
    def sums(self) -> Sums:
        """As they are now; changing them changes nothing."""
        with self.locked() as sums:
            return Sums(sums.dump())

    @contextlib.contextmanager
    def locked(self, *, blob: str | None = None, link: str | None = None) -> Iterator[Sums]:
        """The sums, to be changed together with what they are sums of; nobody else reads or changes them meanwhile.

        `blob` or `link` is the name of what comes or goes, if anything does. What was changed counts also when the
        block raises: the files that it speaks of came or went before.
        """
        place = shard_of(blob) if blob is not None else SHARDS + shard_of(link) if link is not None else -1
        with self._lock:
            before = self._acquire()
            marked = place >= 0 and self._known.mark(place, set_to=True)
            if marked and before is not None:
                before = self._write()
            try:
                yield self._known
            finally:
                if marked:
                    self._known.mark(place, set_to=False)
                if before is not None:
                    self._release(before)

    def _acquire(self) -> bytes | None:
        """Lock the file and learn what it says; None where it can't be locked or read."""
        if self._fd < 0:
            return None
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX)
            data = os.pread(self._fd, _BYTES + 1, 0)
            if len(data) > _BYTES:
                os.ftruncate(self._fd, _BYTES)
        except OSError:
            return None
        if data != self._seen:
            # What can't be sums says nothing: what is known here goes on, and the next count is right.
            self._known = Sums.parse(data) or self._known
        return data

    def _release(self, before: bytes) -> None:
        """Write what was changed, and give the lock back."""
        if self._known.dump() != before:
            self._write()
        with contextlib.suppress(OSError):
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    def _write(self) -> bytes:
        """Have the file say what is known here; that."""
        data = self._known.dump()
        with contextlib.suppress(OSError):
            os.pwrite(self._fd, data, 0)
            self._seen = data
        return data
