"""The access log: one line a request, written in batches.

`logging` takes more time for a line than a cached page takes to send, so lines are gathered and written
together, a second's worth or 64 kB at most. Paths are logged as they came, percent-encoded and made
printable; queries, which may hold secrets, aren't.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from aiohttp import web

from pypicache.errors import one_line

MAX_PENDING = 64 << 10

BROKEN = 499
"""What stands for the status where there was none or not all of a response: nginx's number for a client that has left."""


class AccessLog:
    """Gathers lines and writes them. Use as an async context manager: leaving writes the rest."""

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

    def record(self, request: web.BaseRequest, response: web.StreamResponse | None, seconds: float) -> None:
        """Note that the request was answered, or without a response, that its connection ended before that.

        The bytes are those that were sent, headers included.
        """
        path = one_line(request.rel_url.raw_path)
        status, outcome = BROKEN, "-"
        if response is not None:
            status = response.status
            outcome = response.headers.get("Cache-Status", "-").removeprefix("pypicache; ")
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        line = (
            f'{stamp} access {request.remote or "-"} "{request.method} {path}" {status}'
            f' {request.writer.output_size} {seconds * 1000:.1f}ms "{outcome}"\n'
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
