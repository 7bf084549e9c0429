"""How far a long piece of work has come, for whoever shows it: the work says, and knows nothing of who looks."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Is told what is done; quickly, from any thread."""

    def begin(self, what: str, total: int) -> None:
        """Another stage begins, of so many bytes (or things) in all."""
        ...

    def step(self, count: int) -> None:
        """So many more of them are done."""
        ...


class Silent:
    """A `Progress` that nobody looks at."""

    def begin(self, what: str, total: int) -> None:
        """Another stage begins."""

    def step(self, count: int) -> None:
        """So many more are done."""
