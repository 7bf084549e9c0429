"""The seam for what is kept about pages: small records and renderings by key, each with a time to live.

Values are bytes, keys are short strings, and anything may be gone at any time: whoever asks can make
it again. `diskpages` puts diskcache behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

Mark = tuple[Callable[[int], int], int, int]
"""How to look, where, and the number that was found there: while it is the same, that process has stored nothing there."""


class PageStore(Protocol):
    """Bytes by key, surviving restarts."""

    async def get(self, key: str) -> bytes | None:
        """What is stored there; None when nothing is, or when the store is in trouble (it says so in the log)."""
        ...

    def put(self, values: Mapping[str, bytes], expire: float | None = None) -> None:
        """Store these, soon and together, off the loop; kept for `expire` seconds (None: until there's no room).

        Returns at once. A value that can't be stored is logged and lost: this is a cache.
        """
        ...

    def drop(self, keys: tuple[str, ...]) -> None:
        """Forget these, soon, in the same order as `put`."""
        ...

    async def flush(self) -> None:
        """Wait until everything given so far is stored or lost."""
        ...


@runtime_checkable
class SharedPages(PageStore, Protocol):
    """A page store that other processes write to as well."""

    shared: bool
    """Whether any do."""

    def others(self, key: str) -> int:
        """A number that changes when another process has stored something there, and now and then when it hasn't."""
        ...

    def marks(self, key: str) -> tuple[Mark, ...]:
        """The same number, process by process, for who looks again and again."""
        ...

    def take(self, key: str) -> bool:
        """Have the turn to find out what belongs there, until `give`; False while another, of whatever process, has it."""
        ...

    def give(self, key: str) -> None:
        """Let the next one have it."""
        ...
