"""How many connections all downloads together may open, beyond the first of each."""

from __future__ import annotations

LANES = 32
"""Enough for eight large files at a time; more would only take from each other."""


class Budget:
    """So many and no more."""

    def __init__(self, count: int = LANES) -> None:
        self._left = count

    def take(self) -> bool:
        """Whether there is one more; it is then taken."""
        if not self._left:
            return False
        self._left -= 1
        return True

    def give_back(self) -> None:
        """One is free again."""
        self._left += 1
