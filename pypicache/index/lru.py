"""A mapping that forgets what was used least recently, once its values weigh too much.

It knows nothing of what it holds: the caller says what a value weighs.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class ByteLRU(Generic[K, V]):
    """Values by key, `limit` bytes of them. A value heavier than the limit isn't kept."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.weight = 0
        self._held: dict[K, V] = {}
        self._weights: OrderedDict[K, int] = OrderedDict()
        self.peek = self._held.get
        """The value, which isn't used thereby, or None: a third of what `get` takes, for those who look at every turn."""

    def __len__(self) -> int:
        return len(self._held)

    def get(self, key: K) -> V | None:
        """The value, which thereby is the most recently used; None when it isn't held."""
        found = self._held.get(key)
        if found is not None:
            self._weights.move_to_end(key)
        return found

    def put(self, key: K, value: V, weight: int) -> None:
        """Hold the value, `weight` bytes of it, and forget others as needed."""
        self.drop(key)
        if weight > self.limit:
            return
        self._held[key] = value
        self._weights[key] = weight
        self.weight += weight
        while self.weight > self.limit:
            oldest, freed = self._weights.popitem(last=False)
            del self._held[oldest]
            self.weight -= freed

    def drop(self, key: K) -> None:
        """Forget it, if it is held."""
        if key in self._held:
            del self._held[key]
            self.weight -= self._weights.pop(key)

    def take(self, wanted: Callable[[K], bool]) -> list[V]:
        """The values whose keys are wanted, which are forgotten; in the order of their use. All keys are looked at."""
        keys = [key for key in self._weights if wanted(key)]
        found = [self._held[key] for key in keys]
        for key in keys:
            self.drop(key)
        return found

    def clear(self) -> None:
        """Forget everything."""
        self._held.clear()
        self._weights.clear()
        self.weight = 0
