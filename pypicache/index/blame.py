"""How mirrors have failed one download, and which of them it asks next. It opens nothing, and tells nobody."""

from __future__ import annotations

from collections.abc import Iterable

from pypicache.errors import UpstreamError, UpstreamTimeout
from pypicache.upstream.source import Copy

TRIES = 2
"""How often in a row a mirror may fail without bringing a byte."""


class Blame:
    """A download's memory of its mirrors, by name."""

    def __init__(self) -> None:
        self.causes: list[UpstreamError] = []
        """How mirrors have failed since the last byte came."""
        self._failures: dict[str, int] = {}
        self._breaks: dict[str, int] = {}
        self._no_help: set[str] = set()

    def failed(self, origin: str, cause: UpstreamError) -> None:
        """It brought nothing."""
        self._failures[origin] = self._failures.get(origin, 0) + 1
        self.causes.append(cause)

    def broke_off(self, origin: str, cause: UpstreamError) -> None:
        """It brought bytes, and then no more: what failed before that is forgotten."""
        self._failures.clear()
        self.causes.clear()
        breaks = TRIES if isinstance(cause, UpstreamTimeout) else 1  # its silence has cost enough
        self._breaks = {origin: self._breaks.get(origin, 0) + breaks}

    def no_help(self, origin: str) -> None:
        """It serves no parts, or not over more connections. That takes none of its tries."""
        self._no_help.add(origin)

    def may_help(self, copy: Copy) -> bool:
        """Whether it can be asked for a part of the file."""
        return not self._failures.get(copy.origin) and copy.origin not in self._no_help

    def best(self, copies: Iterable[Copy]) -> Copy | None:
        """The copy to ask next: fewest failures, then one that hasn't just broken twice, then the preferred one."""
        left = [copy for copy in copies if self._failures.get(copy.origin, 0) < TRIES]
        return min(
            left,
            key=lambda copy: (self._failures.get(copy.origin, 0), self._breaks.get(copy.origin, 0) // TRIES),
            default=None,
        )
