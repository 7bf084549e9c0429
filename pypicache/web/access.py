"""The access log: one line a request, written in batches.

`logging` takes more time for a line than a cached page takes to send, so lines are gathered and written
together, a second's worth or 64 kB at most. Paths are logged as they came, percent-encoded and made
printable; queries, which may hold secrets, aren't.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from time import strftime
from types import TracebackType
from typing import Self

from pypicache.errors import one_line
from pypicache.events import Answered

MAX_PENDING = 64 << 10


class AccessLog:
    """Gathers lines and writes them. Use as an async context manager: leaving writes the rest.

    `take` is called when a response has gone out or broken off.
    """

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._lines: list[str] = []
        self._size = 0
        self._due: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.flush()

    def take(self, answered: Answered) -> None:
        """Note that a request was answered."""
        path = one_line(answered.path)
        stamp = strftime("%Y-%m-%dT%H:%M:%S%z")
        line = (
            f'{stamp} access {answered.client or "-"} "{answered.method} {path}" {answered.status}'
            f' {answered.sent} {answered.seconds * 1000:.1f}ms "{answered.outcome}"\n'
        )
        self._lines.append(line)
        self._size += len(line)
        if self._size >= MAX_PENDING:
            self.flush()
        elif self._due is None:
            self._due = asyncio.get_running_loop().call_later(1.0, self.flush)

    def flush(self) -> None:
        """Write what has gathered. A log that can't be written is no reason to stop serving."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
        lines, self._lines, self._size = self._lines, [], 0
        if lines:
            with contextlib.suppress(OSError):
                self._write("".join(lines))
