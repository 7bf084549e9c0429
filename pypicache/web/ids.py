"""What names a request in logs: what the proxy in front called it, or a name made here.

It imports nothing of the package.
"""

from __future__ import annotations

import itertools
import re
import secrets
from collections.abc import Sequence

_SANE = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}", re.ASCII)
"""What is taken over: no spaces, quotes or control characters, so that it may stand in any line."""


class Ids:
    """Names requests: no name is given twice, in this process or another."""

    def __init__(self) -> None:
        self._prefix = f"{secrets.token_hex(4)}-"
        self._count = itertools.count(1)

    def of(self, said: str | None) -> str:
        """The name of a request whose X-Request-Id says that."""
        if said is not None and _SANE.fullmatch(said):
            return said
        return self.make()

    def make(self) -> str:
        """A new name."""
        return f"{self._prefix}{next(self._count)}"

    def make_many(self, count: int) -> Sequence[str]:
        """So many new names."""
        prefix = self._prefix
        return [f"{prefix}{number}" for number in itertools.islice(self._count, count)]
