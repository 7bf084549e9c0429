"""How long an answer stands without being thought about again: what it was read from, and until when that is fresh.

Memory holds no truth, so nothing tells an answer that it has become wrong; instead it remembers what it was made of. As
long as each of those would be read just so once more, and the time hasn't come at which something else would be decided,
making it again would give the same. To look costs less than a microsecond, and neither awaits nor reads the disk.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Look = Callable[[Any], object]
"""Gives what memory holds under a key."""

Read = tuple[Look, Any, object]
"""How to look, the key, and what was seen. To look doesn't count as a use, or it would cost three times as much."""

Use = tuple[Look, Any]
"""The same, where it counts as a use, so that what is wanted stays in memory."""


@dataclass(frozen=True, slots=True)
class Lease:
    """Good from `since` until before `until` (seconds since the epoch), while every one of `reads` gives what it gave."""

    since: float
    until: float
    reads: tuple[Read, ...]
    uses: tuple[Use, ...] = ()

    def holds(self, now: float) -> bool:
        """Whether the answer is still the right one."""
        if not self.since <= now < self.until:
            return False
        for read, key, value in self.reads:
            found = read(key)
            if found is not value and found != value:
                return False
        return True

    def use(self) -> None:
        """The answer has been wanted: to be told now and then, once a second is enough."""
        for use, key in self.uses:
            use(key)

    def __and__(self, other: Lease) -> Lease:
        """Good while both are."""
        return Lease(
            max(self.since, other.since),
            min(self.until, other.until),
            self.reads + other.reads,
            self.uses + other.uses,
        )
