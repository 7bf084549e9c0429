"""What other processes have written, noticed without I/O: a small mapped file of counters that all workers share.

Each key falls into a row, each process has a column that only it writes, so no count is ever lost: a process adds one to its
own when a value of that row has been stored, and looks at the others' sum to see whether what it remembers may have been
overtaken. Two keys in a row cost a look at the disk, nothing else. The processes also take turns by it (`turns`). It may not
import anything of the package but errors and its own folder.
"""

from __future__ import annotations

import functools
import mmap
import os
import zlib
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from pypicache.store.pages import Mark
from pypicache.store.turns import Turns

ROWS = 1 << 14
_WIDTH = 8


class Generations:
    """The counters of `count` processes, of which this is the one with that `number`. A context manager; blocking.

    The file lives as long as the processes that share it: whoever comes first, before the others, makes it anew.
    """

    def __init__(self, path: Path, number: int = 0, count: int = 1) -> None:
        self.shared = count > 1
        """Whether there are others."""
        self._path = path
        self._number = number
        self._count = count
        self._fd = -1
        self._map: mmap.mmap | None = None
        self._cells: memoryview | None = None
        self.turns: Turns | None = None
        """Who asks a mirror for what; None when there is nobody to take turns with."""

    @staticmethod
    def make(path: Path, count: int) -> None:
        """Make the file, all zeros. Raises OSError."""
        temporary = path.with_suffix(".new")
        fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(fd, ROWS * count * _WIDTH)
        finally:
            os.close(fd)
        temporary.rename(path)

    def __enter__(self) -> Self:
        """Alone, there is nobody to notice. Raises OSError."""
        if self._count > 1:
            self._fd = os.open(self._path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            self._map = mmap.mmap(self._fd, ROWS * self._count * _WIDTH)
            self._cells = memoryview(self._map).cast("Q")
            self.turns = Turns(self._fd)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._cells is not None and self._map is not None:
            self._cells.release()
            self._map.close()
            os.close(self._fd)
        self._cells = self.turns = None

    def others(self, key: str) -> int:
        """A number that changes whenever another process has stored something in the key's row."""
        if self._cells is None:
            return 0
        begin = _row(key) * self._count
        return sum(self._cells[begin : begin + self._count]) - self._cells[begin + self._number]

    def marks(self, key: str) -> tuple[Mark, ...]:
        """What the others' counters of the key's row are now, and how to look at each of them again."""
        if self._cells is None:
            return ()
        look, begin = self._cells.__getitem__, _row(key) * self._count
        places = (begin + number for number in range(self._count) if number != self._number)
        return tuple((look, place, look(place)) for place in places)

    def stored(self, keys: Iterable[str]) -> None:
        """Values of these keys have been stored, where the others will find them."""
        if self._cells is not None:
            for key in keys:
                self._cells[_row(key) * self._count + self._number] += 1


@functools.lru_cache(maxsize=1024)
def _row(key: str) -> int:
    """The key's row."""
    return zlib.crc32(key.encode("utf-8", "surrogatepass")) % ROWS
