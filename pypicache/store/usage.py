"""How many bytes the cache holds: one small file of sums that all processes on the directory share.

The truth is the directory; these are sums of it. Whoever adds or removes a file does so under the lock and changes the sum in
the same breath, so that nobody who asks for room is told of room that another was given. Blobs and links are summed
by *shard*, the first two digits of their names: a shard can be counted again at any time, under the lock and within
milliseconds, and then its sum is exact, whatever a crash or somebody's `rm` did to it before. Spools are one sum, which is
counted when nobody writes one.

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

_MAGIC = b"pypiuse1"
_NUMBERS = 3 * SHARDS + 1
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
        return self._numbers[-1]

    @spools.setter
    def spools(self, value: int) -> None:
        self._numbers[-1] = max(0, value)

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

    def counted_links(self, shard: int, size: int) -> None:
        """The shard's links were counted: so many bytes they have."""
        self._numbers[2 * SHARDS + shard] = size

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
    def locked(self) -> Iterator[Sums]:
        """The sums, to be changed together with what they are sums of; nobody else reads or changes them meanwhile.

        What was changed counts also when the block raises: the files that it speaks of came or went before.
        """
        with self._lock:
            before = self._acquire()
            try:
                yield self._known
            finally:
                if before is not None:
                    self._release(before)

    def _acquire(self) -> bytes | None:
        """Lock the file and learn what it says; None where it can't be locked or read."""
        if self._fd < 0:
            return None
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX)
            data = os.pread(self._fd, _BYTES + 1, 0)
        except OSError:
            return None
        if data != self._seen:
            # What can't be sums says nothing: what is known here goes on, and the next count is right.
            self._known = Sums.parse(data) or self._known
        return data

    def _release(self, before: bytes) -> None:
        """Write what was changed, and give the lock back."""
        with contextlib.suppress(OSError):
            if (after := self._known.dump()) != before:
                os.pwrite(self._fd, after, 0)
                self._seen = after
                if len(before) > _BYTES:
                    os.ftruncate(self._fd, _BYTES)
        with contextlib.suppress(OSError):
            fcntl.flock(self._fd, fcntl.LOCK_UN)
