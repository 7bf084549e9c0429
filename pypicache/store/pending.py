"""Values on their way to the page store: bounded, in order, and readable until they are stored.

A value that is given again replaces the one that waits. When there is no room, the oldest values go, since a
newer page is worth more; that a key was dropped is never lost that way, since what was purged must not come
back. It does no I/O and knows nothing of databases or of asyncio.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Write:
    """One key's new state."""

    value: bytes | None
    """None: the key is dropped."""

    expire: float | None
    number: int
    """Writes are numbered in the order in which they were given."""
    drops: bool = False
    """Whether it stands for a drop too, which must be done even if its value finds no room: what is stored is void."""

    @property
    def weight(self) -> int:
        """The bytes of its value."""
        return 0 if self.value is None else len(self.value)


class Pending:
    """The queue. Between `take` and `done` a batch is at the writer, and still counts and can be read."""

    def __init__(self, *, max_count: int, max_bytes: int) -> None:
        self._max_count = max_count
        self._max_bytes = max_bytes
        self._waiting: dict[str, Write] = {}
        self._taken: dict[str, Write] = {}
        self._bytes = 0
        self._number = 0
        self.lost = 0
        """How many values found no room, since the start."""

    def __len__(self) -> int:
        return len(self._waiting) + len(self._taken)

    def __contains__(self, key: object) -> bool:
        return key in self._waiting or key in self._taken

    def items(self) -> Iterator[tuple[str, Write]]:
        """The newest write of each key here."""
        yield from (self._taken | self._waiting).items()

    @property
    def nbytes(self) -> int:
        """Bytes of all values here."""
        return self._bytes

    @property
    def waiting(self) -> bool:
        """Whether there is something to take."""
        return bool(self._waiting)

    @property
    def number(self) -> int:
        """The number of the last write given."""
        return self._number

    def get(self, key: str) -> Write | None:
        """The newest write of that key that isn't stored yet."""
        return self._waiting.get(key) or self._taken.get(key)

    def put(self, key: str, value: bytes | None, expire: float | None) -> bool:
        """Queue it; whether there was room for it."""
        before = self._waiting.get(key)
        self._remove(key)
        self._number += 1
        write = Write(value, expire, self._number, drops=before is not None and before.drops)
        if value is None:
            write = replace(write, drops=True)
        elif not self._make_room(write.weight):
            self._lose(key, write)
            return False
        self._waiting[key] = write
        self._bytes += write.weight
        return True

    def take(self, *, max_count: int, max_bytes: int) -> Mapping[str, Write]:
        """The oldest writes, up to these limits and at least one; to be followed by `done`."""
        assert not self._taken
        weight = 0
        for key, write in self._waiting.items():
            weight += write.weight
            if self._taken and (len(self._taken) >= max_count or weight > max_bytes):
                break
            self._taken[key] = write
        for key in self._taken:
            del self._waiting[key]
        return self._taken

    def done(self) -> None:
        """The batch is stored."""
        self._bytes -= sum(write.weight for write in self._taken.values())
        self._taken = {}

    def keep(self, *, values: bool) -> int:
        """The batch wasn't stored: back to the front with it, or at least with what was dropped; how many values are lost."""
        lost = 0
        back: dict[str, Write] = {}
        for key, write in self._taken.items():
            if key in self._waiting:
                self._bytes -= write.weight  # something newer is waiting
                newer = self._waiting[key]
                self._waiting[key] = replace(newer, drops=newer.drops or write.drops)
            elif write.value is None or values:
                back[key] = write
            else:
                self._bytes -= write.weight
                lost += 1
                if write.drops:
                    back[key] = replace(write, value=None)
        self._waiting = back | self._waiting
        self._taken = {}
        self.lost += lost
        return lost

    def settled(self, number: int) -> bool:
        """Whether every write up to that number is stored or lost."""
        oldest = min(
            (w.number for part in (self._waiting, self._taken) for w in part.values()), default=number + 1
        )
        return oldest > number

    def _remove(self, key: str) -> None:
        write = self._waiting.pop(key, None)
        if write is not None:
            self._bytes -= write.weight

    def _make_room(self, weight: int) -> bool:
        if weight > self._max_bytes:
            return False
        while len(self) >= self._max_count or self._bytes + weight > self._max_bytes:
            oldest = next((key for key, write in self._waiting.items() if write.value is not None), None)
            if oldest is None:
                return False
            write = self._waiting[oldest]
            self._remove(oldest)
            self._lose(oldest, write)
        return True

    def _lose(self, key: str, write: Write) -> None:
        """The value found no room; the drop that it stands for remains to be done."""
        self.lost += 1
        if write.drops:
            self._waiting[key] = replace(write, value=None)
