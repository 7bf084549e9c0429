"""What names a request in logs: what the proxy in front called it, or a name made here.

It imports nothing of the package.
"""

from __future__ import annotations

import re
import secrets

_SANE = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}", re.ASCII)
"""What is taken over: no spaces, quotes or control characters, so that it may stand in any line."""


class Ids:
    """Names requests: no name is given twice, in this process or another."""

    def __init__(self) -> None:
        self.prefix = f"{secrets.token_hex(4)}-"
        self._next = 1

    def of(self, said: str | None) -> str:
        """The name of a request whose X-Request-Id says that."""
        if said is not None and _SANE.fullmatch(said):
            return said
        return self.make()

    def make(self) -> str:
        """A new name."""
        return f"{self.prefix}{self.take(1)}"

    def take(self, count: int) -> int:
        """So many new names: `prefix`, and numbers from the one on that is returned."""
        first = self._next
        self._next += count
        return first
