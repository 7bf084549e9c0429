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

from aiohttp import hdrs, web
from aiohttp.abc import AbstractAccessLogger

from pypicache.errors import one_line
from pypicache.web.request import Request

MAX_PENDING = 64 << 10

BROKEN = 499
"""What stands for the status where there was none or not all of a response: nginx's number for a client that has left."""


class AccessLog(AbstractAccessLogger):
    """Gathers lines and writes them. Use as an async context manager: leaving writes the rest.

    The server calls `log` when a response has gone out or broken off.
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

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Note that the request was answered; `time` is by the event loop's clock, in seconds."""
        seconds = request.seconds if isinstance(request, Request) else time
        path = one_line(request.rel_url.raw_path)
        outcome = response.headers.get("Cache-Status", "-").removeprefix("pypicache; ")
        stamp = strftime("%Y-%m-%dT%H:%M:%S%z")
        line = (
            f'{stamp} access {request.remote or "-"} "{request.method} {path}" {response.status}'
            f' {sent(request, response)} {seconds * 1000:.1f}ms "{outcome}"\n'
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


def sent(request: web.BaseRequest, response: web.StreamResponse) -> int:
    """The bytes of the body that went out: none to HEAD, and fewer than Content-Length says when it broke off."""
    if request.method == hdrs.METH_HEAD or response.status == 304:  # noqa: PLR2004 - Not Modified
        return 0
    if response.status == BROKEN:  # it stands for another one, of which so much went out, headers included
        return request.writer.output_size
    if isinstance(request, Request) and request.sent is not None:
        return request.sent
    if isinstance(response, web.Response):
        return len(response.body) if isinstance(response.body, bytes | bytearray) else 0
    missing: int | None = getattr(request.writer, "length", None)
    if missing is not None and response.content_length is not None:
        return response.content_length - missing
    return request.writer.output_size
