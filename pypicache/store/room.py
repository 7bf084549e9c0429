"""Whether there is room for a download, and booking it: the one way in which a spool comes to take space.

A size that is known is booked whole before the first byte, a size that isn't piece by piece. Where there is no room,
the evictor is asked to make some, in the caller's thread; a file that could never fit evicts nothing.

It may not import anything of the package but errors, rules.eviction and its own folder.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

from pypicache.errors import StoreFull
from pypicache.rules import eviction
from pypicache.rules.eviction import Limits
from pypicache.store.files import entries
from pypicache.store.usage import Sums, Usage

COUNTED = {"blobs", "links", "spool"}
"""The folders of the cache whose bytes `Usage` knows."""

_ATTEMPTS = 3
_REMEMBER = 1.0


class Room:
    """The limits of the cache in `root`. `make` is given what still has to be freed, as a function, and frees as much."""

    def __init__(
        self, root: Path, *, usage: Usage, limits: Limits, make: Callable[[Callable[[], int]], object]
    ) -> None:
        self.limits = limits
        self._root = root
        self._usage = usage
        self._make = make
        self._others: tuple[float, int, int] = (float("-inf"), 0, 0)

    def settle(self) -> None:
        """See what can be attained on this file system; blocking."""
        with contextlib.suppress(OSError):
            found = os.statvfs(self._root)
            self.limits = eviction.attainable(self.limits, found.f_blocks * found.f_frsize)

    @property
    def held(self) -> int:
        """Bytes of all that is in the cache directory."""
        return self._usage.sums.total + self.others

    @property
    def others(self) -> int:
        """Bytes of what isn't summed: pages, lists, the quarantine. Looked at when that has changed, and once a second."""
        at, changed, size = self._others
        now, change = time.monotonic(), _changed(self._root / "quarantine")
        if now - at > _REMEMBER or change != changed:
            size = _size_of_others(self._root)
            self._others = (now, change, size)
        return size

    def short(self, incoming: int = 0) -> int:
        """Bytes that have to go before so many may come."""
        return self._short(self._usage.sums, incoming)

    def fits(self, sums: Sums, size: int) -> bool:
        """Whether so many bytes have room as it is; `sums` are locked by the caller, who books them."""
        return not self._short(sums, size)

    def take(self, size: int) -> None:
        """Book so many bytes for a spool, evicting what must go. Raises StoreFull."""
        if size <= 0:
            self.give(-size)
            return
        for _ in range(_ATTEMPTS):
            with self._usage.locked() as sums:
                if not self._short(sums, size):
                    sums.spools += size
                    return
                if not self._could_fit(sums, size):
                    break
            self._make(lambda: self.short(size))
        raise StoreFull(f"the cache has no room for {size} more bytes (cache.max_size, cache.min_free)")

    def give(self, size: int) -> None:
        """So many bytes of a spool are gone."""
        with self._usage.locked() as sums:
            sums.spools -= size

    def _short(self, sums: Sums, incoming: int) -> int:
        limits = self.limits
        free = _free(self._root) if limits.min_free else 0
        held = sums.total + self.others if limits.max_size is not None else 0
        return eviction.to_free(limits, held=held, free=free, incoming=incoming)

    def _could_fit(self, sums: Sums, size: int) -> bool:
        """Whether the bytes would have room if every blob and every broken download went."""
        if self.limits.max_size is not None and size > self.limits.max_size - sums.links - self.others:
            return False
        return not self.limits.min_free or (
            _free(self._root) + sums.blobs + sums.spools >= size + self.limits.min_free
        )


def _free(root: Path) -> int:
    """Bytes that this user may still write to the file system; a great many where that can't be known."""
    try:
        found = os.statvfs(root)
    except OSError:
        return 1 << 62
    return found.f_bavail * found.f_frsize


def _changed(directory: Path) -> int:
    """When something last came or went there."""
    try:
        return directory.stat().st_mtime_ns
    except OSError:
        return 0


def _size_of_others(root: Path) -> int:
    size = 0
    for entry in entries(root, depth=1):
        if entry.name not in COUNTED:
            size += _size(entry)
    return size


def _size(entry: os.DirEntry[str]) -> int:
    """Bytes of that file, or of what is in that directory."""
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError:
        return 0
    if stat.S_ISDIR(status.st_mode):
        return sum(_size(inner) for inner in entries(entry.path, depth=1))
    return status.st_size
