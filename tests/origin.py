"""A scripted real HTTP/1.1 index on loopback, which lies, breaks off and stalls as a test tells it.

This is the harness's front: what tests import is here. The origin runs in a thread of its own, so that it serves
plain tests, coroutines and subprocesses alike and an idle test loop never holds it up; every method may be called
from any thread. It takes no part in deciding whether a test passes, but an error inside it fails the test that
closes it.

    with Origin() as origin:
        origin.add(wheel("demo", "1.0", size=5_000_000))
        origin.script("demo-1.0-py3-none-any.whl", ResetAt(1_000_000))
        ...
        assert len(origin.gets("demo-1.0-py3-none-any.whl")) == 2
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

from tests.origin_faults import (
    Action,
    Body,
    Both,
    Chunked,
    CloseAfter,
    CloseAt,
    CloseBeforeStatus,
    Delay,
    Drip,
    Garbage,
    Gzipped,
    Hang,
    Headers,
    IgnoreRange,
    LieLength,
    NoLength,
    Normal,
    Rate,
    Redirect,
    ResetAt,
    ResetBeforeStatus,
    ResetInHead,
    StallAt,
    Status,
    Without,
    WrongBytes,
    WrongContentRange,
)
from tests.origin_log import RequestLog
from tests.origin_pages import Entry, Page
from tests.origin_reply import Gate, Reply
from tests.origin_site import Script, Site
from tests.origin_wire import Connection, Request
from tests.waiting import end_connections, stop_accepting

__all__ = [
    "Action",
    "BlackHole",
    "Body",
    "Both",
    "Chunked",
    "CloseAfter",
    "CloseAt",
    "CloseBeforeStatus",
    "Delay",
    "Drip",
    "Entry",
    "Garbage",
    "Gate",
    "Gzipped",
    "Hang",
    "Headers",
    "IgnoreRange",
    "LieLength",
    "NoLength",
    "Normal",
    "Origin",
    "Page",
    "Rate",
    "Redirect",
    "Reply",
    "Request",
    "ResetAt",
    "ResetBeforeStatus",
    "ResetInHead",
    "Script",
    "StallAt",
    "Status",
    "Without",
    "WrongBytes",
    "WrongContentRange",
]

T = TypeVar("T")
HOST = "127.0.0.1"
SEND_BUFFER = 256 * 1024
"""Bytes that the kernel takes per connection beyond what the client has: small, so that `bytes_sent` means something."""


class Origin(Site, RequestLog):
    """One index at one address. Use as a context manager, or call `start` and `stop`."""

    def __init__(
        self,
        *,
        name: str = "origin",
        tls: ssl.SSLContext | None = None,
        rate_per_connection: float | None = None,
        latency: float = 0.0,
        handshake: float = 0.0,
    ) -> None:
        Site.__init__(self)
        RequestLog.__init__(self)
        self.name = name
        """What a mirror's configuration calls it."""
        self.rate_per_connection = rate_per_connection
        """Bytes a second that one connection gets, however many there are."""
        self.latency = latency
        """Seconds before every answer."""
        self.handshake = handshake
        """Seconds after which a connection is open for its client, as it takes a round trip to somebody far away: no
        request arrives before."""
        self.connections = 0
        """How many connections were ever accepted."""
        self.peak_connections = 0
        """The most that were open at one time."""
        self._tls = tls
        self._open: set[Connection] = set()
        self._gate = Gate()
        self._errors: list[BaseException] = []
        self._server: asyncio.Server | None = None
        self._loop = asyncio.SelectorEventLoop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        # Bound and never listening: it keeps the port while the origin is closed.
        self._claim = _bound()
        self.port: int = self._claim.getsockname()[1]

    @property
    def url(self) -> str:
        """The origin's address, without a slash at the end."""
        return f"{'https' if self._tls else 'http'}://{HOST}:{self.port}"

    @property
    def simple(self) -> str:
        """What a client's index URL is."""
        return f"{self.url}/simple/"

    @property
    def open_connections(self) -> int:
        """How many connections are open now."""
        return len(self._open)

    def start(self) -> Self:
        """Listen, in a thread of its own."""
        self._thread.start()
        self.reopen()
        return self

    start_in_thread = start

    def stop(self) -> None:
        """End everything, and raise what went wrong inside the origin, if anything did."""
        self.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._claim.close()
        if self._errors:
            raise RuntimeError("the origin itself failed") from self._errors[0]

    def close(self, *, drop: bool = True) -> None:
        """Refuse new connections from now on and, with `drop`, reset those that are open. `reopen` undoes it."""
        self._call(self._close(drop=drop))

    def reopen(self) -> None:
        """Listen again, at the same address."""
        self._call(self._listen())

    def drop_connections(self) -> None:
        """Reset every open connection, idle ones too; new ones are welcome."""
        self._call(self._drop())

    def release(self) -> None:
        """Let everything go on that stalls now; what stalls later stalls again."""
        gate, self._gate = self._gate, Gate()
        gate.open()

    def connected(self, connection: Connection) -> int:
        """Take a connection in; its number (called by the connection)."""
        self._open.add(connection)
        self.connections += 1
        self.peak_connections = max(self.peak_connections, len(self._open))
        return self.connections - 1

    def disconnected(self, connection: Connection) -> None:
        """Forget a connection (called by the connection)."""
        self._open.discard(connection)
        self.notify()

    def reply(self, request: Request) -> Reply:
        """Decide what to answer (called by the connection)."""
        return self.respond(request, self.url)

    def broke(self, error: BaseException) -> None:
        """Keep an error for `stop` to raise (called by the connection)."""
        self._errors.append(error)

    def gate(self) -> Gate:
        """What stalls wait for now (called by the connection)."""
        return self._gate

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        return self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=20)

    async def _listen(self) -> None:
        if self._server is None:
            listening = _bound(self.port)
            self._server = await self._loop.create_server(
                lambda: Connection(self), sock=listening, ssl=self._tls, backlog=1024
            )

    async def _close(self, *, drop: bool) -> None:
        if self._server is not None:
            server, self._server = self._server, None
            await stop_accepting(server)
        if drop:
            await self._drop()
            await end_connections(self.port)

    async def _drop(self) -> None:
        for connection in list(self._open):
            await connection.drop()


class BlackHole:
    """An address where connecting takes for ever: the listener's queue is full and nobody empties it."""

    def __init__(self, host: str = HOST, port: int = 0) -> None:
        self._sockets = [_bound(port, host)]
        self._sockets[0].listen(0)
        self._address = self._sockets[0].getsockname()
        self.port: int = self._address[1]
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    def __enter__(self) -> Self:
        while self._connects():
            pass
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one in self._sockets:
            one.close()

    def _connects(self) -> bool:
        """Whether one more connection was taken, within a time in which loopback always answers."""
        one = socket.socket(self._sockets[0].family)
        self._sockets.append(one)
        one.settimeout(0.3)
        try:
            one.connect(self._address)
        except TimeoutError:
            return False
        return True


def _bound(port: int = 0, host: str = HOST) -> socket.socket:
    one = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    one.bind((host, port))
    return one
