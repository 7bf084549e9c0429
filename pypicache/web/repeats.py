"""Answers that can be given again, ready to be sent, under the heads of their requests: the table that `hot` looks into.

An answer is kept when its handler offers it (`Repeatable`) and nothing about the request or the response is unusual. Whether it
holds is found out each time it is wanted, from its lease. Its body isn't kept here, only looked up where it is held.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from email.utils import formatdate

from aiohttp import HttpVersion11, hdrs, web

from pypicache.events import Answered, OnAnswered
from pypicache.index.lru import ByteLRU
from pypicache.web.request import Repeatable, Request

MEMORY = 8 << 20
"""Bytes of heads and what belongs to them. Bodies aren't counted: they are held elsewhere, and only looked up."""

_OBJECTS = 1500
"""About what an entry's objects weigh beside its bytes."""

_UNUSUAL = (hdrs.EXPECT, hdrs.UPGRADE, hdrs.CONTENT_LENGTH, hdrs.TRANSFER_ENCODING, "X-Request-Id")
"""What a request mustn't have, to be kept: the last one since it is another one each time."""

_REMADE = {hdrs.DATE, hdrs.AGE, "X-Request-Id"}
"""What a response has of its own each time."""


class Prepared:
    """An answer, ready to be sent again."""

    __slots__ = (
        "_body",
        "_fixed",
        "_head",
        "_head_from",
        "_head_until",
        "_lease",
        "_since",
        "forwarded",
        "record",
        "told",
    )

    def __init__(
        self, request: Request, response: web.StreamResponse, repeatable: Repeatable, record: Answered
    ) -> None:
        self._lease = repeatable.lease
        self._body = None if request.method == hdrs.METH_HEAD else repeatable.body
        self._since = repeatable.confirmed_at
        self.record = record
        """What is told of it; used again and again."""
        self.told: Sequence[OnAnswered] | None = None
        """Who is told, once that is known."""
        self.forwarded = tuple(request.headers.getall("X-Forwarded-For", ()))
        kept = {name: text for name, text in response.headers.items() if name not in _REMADE}
        lines = "".join(f"{name}: {text}\r\n" for name, text in kept.items())
        self._fixed = f"HTTP/1.1 {response.status} {response.reason}\r\n{lines}"
        self._head = b""
        self._head_from = math.inf
        self._head_until = -math.inf

    @property
    def weight(self) -> int:
        """What it costs to keep, in bytes."""
        return 2 * len(self._fixed) + _OBJECTS

    def parts(self, now: float) -> tuple[bytes, bytes] | None:
        """Head and body, as they are to be sent at that time; None when the answer holds no longer."""
        body = b""
        if not self._lease.holds(now):
            return None
        if self._body is not None:
            if (made := self._body()) is None:
                return None
            body = made.body
        if not self._head_from <= now < self._head_until:
            self._remake(now)
        return self._head, body

    def _remake(self, now: float) -> None:
        """Say in the head what time it is: right until the second, or the page's age, changes."""
        text = f"{self._fixed}Date: {formatdate(now, usegmt=True)}\r\n"
        until = math.floor(now) + 1.0
        if (since := self._since) is not None:
            passed = max(0, int(now - since))
            text += f"Age: {passed}\r\n"
            until = min(until, since + passed + 1)
        self._head = f"{text}\r\n".encode()
        self._head_from, self._head_until = now, until


class Repeats:
    """Prepared answers by the heads of their requests: a bounded number, those used last."""

    def __init__(self, *, clock: Callable[[], float], memory: int = MEMORY) -> None:
        self.clock = clock
        self._held: ByteLRU[bytes, Prepared] = ByteLRU(memory)
        self.find = self._held.get
        """The answer that was given to a request of that head, if it is kept; whether it holds, it says itself."""
        self.drop = self._held.drop
        """Keep it no longer."""

    def __len__(self) -> int:
        return len(self._held)

    def keep(self, request: Request, response: web.StreamResponse) -> None:
        """Keep the answer that the request was given and that has been recorded, if it may be given again."""
        if (
            request.head is not None
            and request.record is not None
            and request.repeatable is not None
            and request.repeatable.lease.holds(self.clock())
            and not request.guarded  # each time, the gate looks at who asks
            and _usual(request)
            and _framed(response)
        ):
            prepared = Prepared(request, response, request.repeatable, request.record)
            self._held.put(request.head, prepared, len(request.head) + prepared.weight)


def _usual(request: Request) -> bool:
    return (
        request.version == HttpVersion11
        and request.keep_alive
        and request.headers.get(hdrs.CONNECTION, "keep-alive").lower() == "keep-alive"
        and not any(name in request.headers for name in _UNUSUAL)
    )


def _framed(response: web.StreamResponse) -> bool:
    """Whether the client knows where it ends, and the connection stays."""
    length = hdrs.CONTENT_LENGTH in response.headers or response.status == 304  # noqa: PLR2004 - Not Modified
    return length and bool(response.keep_alive) and hdrs.CONNECTION not in response.headers
