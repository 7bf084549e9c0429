"""A request as the server hands it to the edge: aiohttp's, and what others want to know of it: the access log, the shortcut.

It also puts the `Server` header on its response, whoever makes that, and its own name on errors.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import hdrs, web
from aiohttp.http_parser import RawRequestMessage

from pypicache.events import Answered
from pypicache.index.content import Content
from pypicache.index.lease import Lease
from pypicache.index.lru import ByteLRU
from pypicache.index.rendering import Rendering
from pypicache.web.places import Route
from pypicache.web.turn import Turn

if TYPE_CHECKING:
    from pypicache.web.repeats import Repeats

NAME = "pypicache"
"""What the Server header says: no versions, which only help who looks for holes (RFC 9110 section 10.2.4)."""


@dataclass(frozen=True, slots=True)
class Repeatable:
    """That the answer to a request is the answer to every one that equals it, and what it takes to give it again."""

    lease: Lease
    """While it holds."""
    body: tuple[ByteLRU[str, Rendering], str] | None
    """Where in memory its body is, as long as that is held, and under which key; None: it has none."""
    confirmed_at: float | None
    """What its Age is counted from, in seconds since the epoch; None: it has none."""
    stored: Callable[[], Content | None] | None = None
    """Opens the file that is its body, where that isn't in memory; it gives None when that is gone."""


class Request(web.BaseRequest):
    """One request. What is said of it here is set by whoever knows."""

    name = ""
    """What it is called in the log (`ids`)."""

    began = 0.0
    """When its turn came, by `time.perf_counter`: the loop's clock has milliseconds only."""

    refusal: str | None = None
    """Why it can't be answered, although it could be parsed."""

    crowded = False
    """Whether there are so many connections that this one is only told so."""

    sent: int | None = None
    """Bytes of the body that went out past aiohttp's writer; None when all of them go through it."""

    parsed: RawRequestMessage
    """What it was made of; set by the server."""

    turn: Turn
    """What its connection shares with all others of the server; set by that."""

    place: Route | None = None
    """What its path means; None as long as nobody has looked."""

    head: bytes | None = None
    """All of its head as it came, if nothing else came with it."""

    repeatable: Repeatable | None = None
    """Set by a handler whose answer others may get, too."""

    keep: Callable[[Request, web.StreamResponse], None] | None = None
    """What keeps its answer then, once it has gone out."""

    next_time: Callable[[], Lease | None] | None = None
    """Set by a handler that has asked a mirror: says how long the next such request is answered out of the cache, asking nobody."""

    again: Callable[[Request, Repeats], Awaitable[None]] | None = None
    """What makes its answer once more, for the table that is in force then: worth doing when it is quiet."""

    rehearsed = False
    """Whether it is one that nobody has made: see `rehearsal`."""

    record: Answered | None = None
    """What became of it, once that is known."""

    mirror = ""
    """The mirror that was asked for its sake and answered, if there was one."""

    guarded = False
    """Whether credentials were due for it: then no cache on the way may keep the answer (RFC 9111 section 5.2.2.7)."""

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return time.perf_counter() - self.began

    async def _prepare_hook(self, response: web.StreamResponse) -> None:
        response.headers[hdrs.SERVER] = NAME
        if response.status >= 400:  # noqa: PLR2004 - errors: what somebody may look for in the log
            response.headers["X-Request-Id"] = self.name
        if self.guarded and (said := response.headers.get(hdrs.CACHE_CONTROL)) is not None:
            response.headers[hdrs.CACHE_CONTROL] = said.replace("public", "private")


def note_mirror(request: web.BaseRequest, name: str) -> None:
    """Note, for the record, which mirror was asked for this request's sake."""
    if isinstance(request, Request):
        request.mirror = name
