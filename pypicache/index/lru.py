"""A mapping that forgets what was used least recently, once its values weigh too much.

It knows nothing of what it holds: the caller says what a value weighs.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class ByteLRU(Generic[K, V]):
    """Values by key, `limit` bytes of them. A value heavier than the limit isn't kept."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.weight = 0
        self._held: OrderedDict[K, tuple[V, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def get(self, key: K) -> V | None:
        """The value, which thereby is the most recently used; None when it isn't held."""
        found = self._held.get(key)
        if found is None:
            return None
        self._held.move_to_end(key)
        return found[0]

    def put(self, key: K, value: V, weight: int) -> None:
        """Hold the value, `weight` bytes of it, and forget others as needed."""
        self.drop(key)
        if weight > self.limit:
            return
        self._held[key] = (value, weight)
        self.weight += weight
        while self.weight > self.limit:
            _, (_, freed) = self._held.popitem(last=False)
            self.weight -= freed

    def drop(self, key: K) -> None:
        """Forget it, if it is held."""
        found = self._held.pop(key, None)
        if found is not None:
            self.weight -= found[1]

    def clear(self) -> None:
        """Forget everything."""
        self._held.clear()
        self.weight = 0
