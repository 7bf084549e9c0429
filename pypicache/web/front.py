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

    @property
    def edge(self) -> Edge:
        """The edge in force."""
        return self._turn.edge

    @property
    def in_flight(self) -> int:
        """How many requests the edge in force is answering."""
        return self._turn.users

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request, whatever happens; the answer has been sent when it is returned."""
        turn = self._turn
        turn.users += 1
        try:
            return await turn.edge.handle(request)
        finally:
            turn.users -= 1
            if not turn.users and turn is not self._turn:
                turn.idle.set()

    def swap(self, edge: Edge) -> asyncio.Event:
        """Put `edge` in force; the event is set when the one before answers no request any more."""
        before, self._turn = self._turn, _Turn(edge)
        if not before.users:
            before.idle.set()
        return before.idle
