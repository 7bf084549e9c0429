"""Text that must not be seen: it prints as `***`, whoever prints it.

It doesn't encrypt anything; it keeps passwords and tokens out of logs, errors and tracebacks by accident.
This module imports nothing of the package.
"""

from __future__ import annotations

import hmac


class Secret:
    """A password, a token or a header's value; `reveal` is the one way to its text."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself: for the wire, and nothing else."""
        return self._text

    def __repr__(self) -> str:
        return "***"

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._text))
