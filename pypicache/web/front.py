"""The edge in force, and how another one takes its place without a request being dropped.

A reload makes a new `Edge`; requests that came before it are answered by the one that they came to. Whoever swaps
is told when the last of those has gone, and may then close what was behind it. It knows no paths and no configuration.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from pypicache.web.app import Edge


class _Turn:
    """An edge, and how many requests it is answering."""

    __slots__ = ("edge", "idle", "users")

    def __init__(self, edge: Edge) -> None:
        self.edge = edge
        self.users = 0
        self.idle = asyncio.Event()
        """Set once another edge has taken its place and its last request has been answered."""


class Front:
    """Hands each request to the edge that is in force when it comes."""

    def __init__(self, edge: Edge) -> None:
        self._turn = _Turn(edge)
        self._over: list[_Turn] = []
        """Those that another one has taken the place of, and that still answer requests."""

    @property
    def edge(self) -> Edge:
        """The edge in force."""
        return self._turn.edge

    @property
    def in_flight(self) -> int:
        """How many requests are being answered."""
        return self._turn.users + sum(turn.users for turn in self._over)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request, whatever happens; the answer has been sent when it is returned."""
        turn = self._turn
        turn.users += 1
        try:
            return await turn.edge.handle(request)
        finally:
            turn.users -= 1
            if not turn.users and turn is not self._turn:
                self._over.remove(turn)
                turn.idle.set()

    def swap(self, edge: Edge) -> tuple[asyncio.Event, ...]:
        """Put `edge` in force. Once all of the events are set, no request is left that came before that.

        What the last edge used, those before it may have used, too: a reload keeps what it needn't change.
        """
        if self._turn.users:
            self._over.append(self._turn)
        self._turn = _Turn(edge)
        return tuple(turn.idle for turn in self._over)
