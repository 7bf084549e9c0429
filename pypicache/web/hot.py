"""The shortcut: a request that has come before, byte for byte, is answered straight from the socket, while its answer still holds.

pip and uv repeat the heads of their requests to the letter. So what was answered once in the ordinary way is kept under
the whole head of its request, ready to be sent; and a connection that waits for a request looks there first. Of
the ordinary way (parsing, a task, routing, negotiation, building headers) nothing is left then, which is nine
tenths of what a cached page costs.

It stays a shortcut. Whether an answer may be repeated is said by the handler that gave it (`Repeatable`), and how long, by
the index (`index.lease`): it is asked each time. Everything else goes the ordinary way, on which alone answers are made:

    a head that comes in pieces, or with others behind it      a body, or the end of one, before it
    a connection that answers, ends, or has much left to write HTTP/1.0, Connection: close, Expect, Upgrade
    what the handler didn't offer; what holds no longer        an edge that a reload has replaced (each has its own table)

What is known here of aiohttp's `RequestHandler` is when it waits (`_waiter`), whether it ends (`_close`, `_force_close`), what it has
parsed (`_messages`, `_request_count`) and when it hangs up on idle connections (`_next_keepalive_close_time`).
`tests/web/test_hot.py` fails when they change. It knows nothing of indexes and paths.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Callable, Sequence
from email.utils import formatdate
from typing import Any

from aiohttp import HttpVersion11, hdrs, web
from aiohttp.streams import EMPTY_PAYLOAD

from pypicache.events import Answered
from pypicache.index.lru import ByteLRU
from pypicache.web.outlet import unsent
from pypicache.web.pace import PACE, Watch
from pypicache.web.punctual import Punctual
from pypicache.web.record import record_of
from pypicache.web.request import Repeatable, Request

log = logging.getLogger(__name__)

LONGEST = 4096
"""Bytes of a head that is kept; installers' have less than a thousand."""

MEMORY = 8 << 20
"""Bytes of heads and what belongs to them. Bodies aren't counted: they are held elsewhere, and only looked up."""

_OBJECTS = 1500
"""About what an entry's objects weigh beside its bytes."""

_UNUSUAL = (hdrs.EXPECT, hdrs.UPGRADE, hdrs.CONTENT_LENGTH, hdrs.TRANSFER_ENCODING, "X-Request-Id")
"""What a request mustn't have, to be kept: the last one since it is another one each time."""

_REMADE = {hdrs.DATE, hdrs.AGE, "X-Request-Id"}
"""What a response has of its own each time."""

COPIED = 256 << 10
"""Bytes of a body from which on only transports that keep a reference to it, and copy nothing, are handed all of it."""


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
    )

    def __init__(self, request: Request, response: web.StreamResponse, repeatable: Repeatable) -> None:
        self._lease = repeatable.lease
        self._body = None if request.method == hdrs.METH_HEAD else repeatable.body
        self._since = repeatable.confirmed_at
        self.record = record_of(request, response, 0.0)
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

    def keep(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        """Keep the answer that the request was given, if it may be given again."""
        if (
            isinstance(request, Request)
            and request.head is not None
            and request.repeatable is not None
            and not request.guarded  # each time, the gate looks at who asks
            and _usual(request)
            and _framed(response)
        ):
            prepared = Prepared(request, response, request.repeatable)
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


class Repeating(web.Server):
    """What a `Shortcut` needs of its server."""

    repeats: Repeats | None = None
    """The table of the edge in force; None: no shortcut is taken."""

    def repeated(self, record: Answered) -> None:
        """An answer has been repeated; the record is to be read at once, since it is used again."""
        raise NotImplementedError

    def client_of(self, peer: str, forwarded: Sequence[str]) -> str:
        """The client's address, when X-Forwarded-For says that."""
        raise NotImplementedError


class Shortcut(Punctual):
    """One connection, with the shortcut: a base for the server's own protocol."""

    __slots__ = ("_at_boundary", "_by_reference", "_client", "_head", "_made", "_number", "_server", "_watch")

    pace = PACE
    """The least that a client must take of what it was handed."""

    def __init__(self, server: Repeating, **options: Any) -> None:
        self._server = server
        super().__init__(server, **options)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has come."""
        self._at_boundary = True
        self._head: bytes | None = None
        self._number = self._made = 0
        self._watch = contextlib.ExitStack()
        plain = transport.get_extra_info("sslcontext") is None
        self._by_reference = plain and type(transport).__module__.startswith("uvloop")
        peer = transport.get_extra_info("peername")
        self._client = str(peer[0]) if isinstance(peer, tuple) else str(peer or "")
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """The connection has ended."""
        self._watch.close()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes of requests have come: one that has an answer ready, or others."""
        waiter = self._waiter
        # It waits for a request, or is about to, having come a moment ago.
        idle = not self._request_count if waiter is None else not waiter.done()
        if (
            idle
            and self._at_boundary
            and not (
                self._close or self._force_close or self._paused or self._buffer_paused or self._deadline
            )
            and self._repeat(data)
        ):
            return
        self._watch.close()  # what is sent from here on has a watch of its own
        before = self._request_count
        super().data_received(data)
        # A head that came by itself, and all of it: then nothing is left in the parser.
        whole = (
            self._request_count == before + 1
            and data.endswith(b"\r\n\r\n")
            and bool(self._messages)
            and self._messages[-1][1] is EMPTY_PAYLOAD
            and not (self._upgraded or self._buffer_paused)
        )
        self._head = data if whole and self._at_boundary and len(data) <= LONGEST else None
        self._number = self._request_count
        self._at_boundary = whole

    def _repeat(self, data: bytes) -> bool:
        """Answer the request of that head, if its answer is at hand; whether it was."""
        began = time.perf_counter()
        repeats = self._server.repeats
        if repeats is None or (prepared := repeats.find(data)) is None:
            return False
        if (parts := prepared.parts(repeats.clock())) is None:
            repeats.drop(data)
            return False
        head, body = parts
        if len(body) > COPIED and not self._by_reference:
            return False
        assert self.transport is not None
        if body:
            self.transport.writelines((head, body))
        else:
            self.transport.write(head)
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        record = prepared.record
        record.client = self._client
        if prepared.forwarded:
            record.client = self._server.client_of(self._client, prepared.forwarded)
        record.sent = len(body)
        record.seconds = time.perf_counter() - began
        self._server.repeated(record)
        return True

    def next_head(self) -> bytes | None:
        """The head of the request that is made of the next message, if it came by itself."""
        self._made += 1
        return self._head if self._number == self._made else None

    # Clients that are slow to take what they were handed: it waits in the transport, nobody waits for it.

    def pause_writing(self) -> None:
        """The client has a lot to take; if nobody else looks after that, see that it does."""
        super().pause_writing()
        if self._request_in_progress or self.transport is None:
            return
        transport = self.transport
        waiting = self._waiting(transport)

        def cut() -> None:
            log.info("cut off %s, which takes next to nothing", self._client)
            transport.abort()

        self._watch.enter_context(Watch(lambda: waiting - self._waiting(transport), cut, pace=self.pace))

    def resume_writing(self) -> None:
        """It has taken most of it."""
        self._watch.close()
        super().resume_writing()

    def _waiting(self, transport: asyncio.Transport) -> int:
        sock = transport.get_extra_info("socket")
        return transport.get_write_buffer_size() + (0 if sock is None else unsent(sock.fileno()))

    async def shutdown(self, timeout: float | None = 15.0) -> None:  # noqa: ASYNC109 - aiohttp's signature
        """End the connection, when the client has taken what it was handed."""
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(timeout):
                if self.transport is not None and not self._request_in_progress:
                    await self._drain_helper()
        await super().shutdown(timeout)
