"""The HTTP server below the edge: aiohttp's, with its own words made like ours.

What can't be parsed never reaches the edge; here it becomes the same plain line as every other error, and so does a
version of HTTP that isn't spoken. A request is recorded (`record`) when the last byte of its response has gone, so
that the record has the bytes that went out and the time it took. Connections beyond the limits (`limits`), and clients
that take too long with a head, are dealt with here, too. Nothing here knows paths or indexes.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence

from aiohttp import HttpVersion10, HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import ERROR

from pypicache.errors import one_line
from pypicache.events import Taker
from pypicache.web.address import Network, client_address
from pypicache.web.errors import plain, response_to
from pypicache.web.hot import Shortcut
from pypicache.web.ids import Ids
from pypicache.web.ledger import Ledger
from pypicache.web.limits import Admission, Limits, admit
from pypicache.web.punctual import HASTE
from pypicache.web.record import BROKEN, Recorder
from pypicache.web.repeating import Repeating
from pypicache.web.request import Request
from pypicache.web.sparing import Sparing
from pypicache.web.turn import Turn

log = logging.getLogger(__name__)

LINGER = 2.0
"""Seconds in which a refused request's body is read and thrown away, so that the refusal isn't lost in a reset; and
after which a connection that the client has closed is looked at again."""

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Protocol(Shortcut):
    """One connection.

    A client that closes its side may be one that has said all (`nc` does so with its request) and is to be answered, or
    one that has left, and looks no different. ::

        nothing is being answered                       it has left
        the request has been answered for LINGER        it has left
        otherwise: it stays, and after LINGER
            the answer is complete                      the connection ends
            nothing of the answer has been written      it has left
            else                                        it stays: if it has left, the kernel refuses the next bytes
    """

    __slots__ = ("_answered", "_said_all", "crowded")

    crowded: bool
    """Whether there are so many connections that this one is only told so."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has come."""
        self._answered = 0
        self._said_all = False
        self.crowded = False
        super().connection_made(transport)

    def crowd(self) -> None:
        """Only tell the client that there are too many, and soon."""
        self.crowded = True
        self._at_boundary = False  # no shortcut
        self.hurry(HASTE)

    def eof_received(self) -> bool:  # type: ignore[override] # asyncio's protocols may answer here, aiohttp's doesn't
        """The client closes its side; whether the connection stays nevertheless."""
        self._arrivals.settle()  # what it has said comes first
        self._said_all = True
        request = self._current_request
        waited = isinstance(request, Request) and request.seconds > LINGER
        if not self._due or (waited and self._due == 1):
            return False
        self._loop.call_later(LINGER, self._leave)
        return True

    @property
    def _due(self) -> int:
        """How many requests have come and aren't answered yet."""
        return self._request_count - self._answered + (self._sending is not None)

    def _leave(self) -> None:
        """End the connection of a client that has said all, unless it is being answered."""
        if self.transport is None:
            return
        request = self._current_request
        if not self._due or (request is not None and not request.writer.output_size):
            self.force_close()
        else:
            self._loop.call_later(LINGER, self._leave)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send what the handler left to send; the last of the answers to a client that has said all ends the connection."""
        finished = await super().finish_response(request, resp, start_time)
        self._answered += 1
        if self._said_all and not self._due:
            self.close()
        return finished

    def file_sent(self) -> None:
        """A file has gone out by the shortcut: the last answer to a client that has said all ends the connection."""
        if self._said_all and not self._due:
            self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to what can't be parsed, and to what slipped past the edge. The connection is closed after it."""
        if request.writer.output_size:
            raise ConnectionError("an answer has begun already")
        if status >= 500:  # noqa: PLR2004 - server errors
            response = response_to(exc if isinstance(exc, Exception) else RuntimeError(message))
        else:
            lines = (message or "").strip().splitlines() or ["malformed"]
            why = one_line(lines[0].rstrip(":"), 200)
            self.quietly.say("request from %s refused: %s", request.remote or "-", why)
            response = plain(status, f"the request can't be read: {why}")
        response.force_close()
        return response


class Server(Repeating):
    """Makes a `Protocol` for every connection; `handler` answers the requests, `takers` are told of each answer."""

    def __init__(
        self,
        handler: Handler,
        *,
        takers: Sequence[Taker],
        limits: Limits | None = None,
    ) -> None:
        self._handler = handler
        self.turn = Turn()
        self.limits = limits or Limits()
        self._quietly = Sparing(log, logging.INFO)
        self._crowd = Sparing(log, logging.WARNING, burst=1)
        self._served: set[web.RequestHandler] = set()
        self._told: set[web.RequestHandler] = set()
        self.ids = Ids()
        self.ledger = Ledger(takers, self.ids)
        self.recorder = Recorder(takers, self.ledger)
        super().__init__(
            self._handle,
            request_factory=self._request,
            handler_cancellation=True,
            keepalive_timeout=self.limits.keepalive_timeout,
            lingering_time=LINGER,
            auto_decompress=False,
            access_log=self.recorder,
            access_log_class=lambda shared, _: shared,
        )

    def __call__(self) -> Protocol:
        """A connection's protocol."""
        return Protocol(
            self, loop=self._loop, patience=self.limits.patience, quietly=self._quietly, **self._kwargs
        )

    def client_of(self, peer: str, forwarded: Sequence[str]) -> str:
        """Whom the connection's peer stands for, if it is trusted."""
        return client_address(peer, forwarded, self.recorder.trusted)

    def limit(self, limits: Limits, *, trusted: Sequence[Network] = ()) -> None:
        """Put other limits in force, for connections that come from now on; `trusted` proxies say who their clients are."""
        self.limits = limits
        self.recorder.trusted = trusted
        self._kwargs["keepalive_timeout"] = limits.keepalive_timeout

    @property
    def served(self) -> int:
        """Connections that are open, but for those that are only told that there are too many."""
        return len(self._served)

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Decide what becomes of a new connection."""
        sock = transport.get_extra_info("socket")
        admission = admit(
            self.limits, served=self.served, told=len(self._told), descriptor=sock.fileno() if sock else 0
        )
        super().connection_made(handler, transport)
        if admission is Admission.SERVED:
            self._served.add(handler)
            return
        self._crowd.say(
            "%d connections are open, and there is no room for more (server.max_connections %d, %d descriptors):"
            " new ones are answered 503",
            self.served,
            self.limits.max_connections,
            self.limits.descriptors,
        )
        self._told.add(handler)
        if admission is Admission.TOLD and isinstance(handler, Protocol):
            handler.crowd()
        else:
            transport.abort()

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        """The connection has ended."""
        self._served.discard(handler)
        self._told.discard(handler)
        super().connection_lost(handler, exc)

    async def shutdown(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - aiohttp's signature
        """Let running responses finish; after `timeout` seconds, break off those that haven't.

        aiohttp would wait that long once more, for handlers that don't notice.
        """
        self.arrivals.settle()
        await self.quiet.end()
        breaking = None if timeout is None else self._loop.call_later(timeout, self.break_off)
        try:
            await super().shutdown(timeout)
        finally:
            self.ledger.settle()
            if breaking is not None:
                breaking.cancel()

    def break_off(self) -> None:
        """End every connection, whatever it is sending."""
        for transport in tuple(self._connections.values()):
            transport.abort()

    def _request(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: web.RequestHandler,
        writer: AbstractStreamWriter,
        task: asyncio.Task[None],
    ) -> web.BaseRequest:
        version, refusal = message.version, None
        if version not in {HttpVersion10, HttpVersion11}:
            refusal = f"HTTP/{version.major}.{version.minor} is not spoken here"
        if refusal or message is ERROR:  # answered in the version that is spoken (RFC 9112 section 2.3)
            message = message._replace(version=HttpVersion11, should_close=True)
        elif message.upgrade and message.headers.get("Upgrade", "").lower() not in {"websocket", "tcp"}:
            # aiohttp loses what was pipelined after an upgrade that it doesn't know; the client must be told to ask again.
            message = message._replace(should_close=True)
        crowded = isinstance(protocol, Protocol) and protocol.crowded
        if crowded:
            message = message._replace(should_close=True)
        request = Request(message, payload, protocol, writer, task, self._loop)
        request.parsed = message
        request.name = self.ids.of(message.headers.get("X-Request-Id"))
        request.began = time.perf_counter()
        request.refusal = refusal
        request.turn = self.turn
        request.crowded = crowded
        if isinstance(protocol, Shortcut):
            request.head = protocol.next_head()
        return request

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if isinstance(request, Request) and request.refusal is not None:
            return plain(400, request.refusal)
        self.ledger.settle()  # it may ask for what that comes to
        try:
            return await self._handler(request)
        except asyncio.CancelledError:
            # The client has left: aiohttp records only what got an answer.
            self.recorder.log(request, plain(BROKEN, "the client has left"), 0.0)
            raise
