"""A connection whose client must come to the point: the head of a request is there in time, or the connection ends.

aiohttp's own deadline is for idle connections. It would bear a head that comes byte by byte for as long as a connection
may be idle, and that is long. What is known here of aiohttp's `RequestHandler` is when it waits for a request
(`_waiter`), how many there were (`_request_count`) and when it hangs up on idle connections (`_next_keepalive_close_time`). Nothing here knows paths.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from pypicache.web.sparing import Sparing

HASTE = 5.0
"""Seconds for the head of a request that will only be told that there are too many."""

_TOO_LATE = (
    b"HTTP/1.1 408 Request Timeout\r\nContent-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n"
    b"Content-Length: 31\r\nConnection: close\r\n\r\nthe request's head took so long"
)


class Punctual(web.RequestHandler):
    """One connection. A head that isn't complete `patience` seconds after its first byte ends it."""

    __slots__ = ("_deadline", "_patience", "quietly")

    def __init__(self, *args: Any, patience: float, quietly: Sparing, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._patience = patience
        self._deadline: asyncio.TimerHandle | None = None
        self.quietly = quietly
        """Where lines about what clients do wrong go."""

    def connection_lost(self, exc: BaseException | None) -> None:
        """The connection has ended."""
        self._relax()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """The client says something."""
        super().data_received(data)
        waiter = self._waiter  # None, too, before the connection's task has begun
        if not (self._request_count == 0 if waiter is None else not waiter.done()):
            self._relax()  # a request is there
        elif self._deadline is None:
            self.hurry(self._patience)
            # A connection on which a head has begun isn't idle: aiohttp's deadline would end it without a word.
            self._next_keepalive_close_time = self._loop.time() + self._patience + 1

    def hurry(self, seconds: float) -> None:
        """Have the connection end unless a head is complete in that time."""
        self._relax()
        self._deadline = self._loop.call_later(seconds, self._too_late)

    def _relax(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        self._deadline = None
        if self.transport is None or self._waiter is None:
            return
        name = self.peername
        self.quietly.say(
            "request from %s refused: its head took too long", name[0] if isinstance(name, tuple) else "-"
        )
        self.transport.write(_TOO_LATE)
        self.force_close()
