"""A server round the sender alone, under either event loop, and contents to send: what the tests of `web` share."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
import uvloop
from aiohttp import web

from pypicache.errors import PypicacheError
from pypicache.index.content import Content, Told
from pypicache.store.fileblob import FileBlob
from pypicache.web.pace import PACE, Pace
from pypicache.web.sender import send

T = TypeVar("T")
Run = Callable[[Coroutine[Any, Any, None]], None]
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a coroutine under each event loop."""
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.SelectorEventLoop

    def under(work: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(work)

    return under


def blob(path: Path, data: bytes) -> FileBlob:
    """The bytes as a blob that is open."""
    path.write_bytes(data)
    return FileBlob("0" * 64, len(data), os.open(path, os.O_RDONLY))


class Arriving:
    """A content that arrives as a test says: up to where, and with which end."""

    verified = False
    sha256: str | None = None
    origin = ""
    patience: float | None = None

    def __init__(self, path: Path, *, size: int | None = None, in_file: bool = True) -> None:
        path.touch()
        self.size = size
        self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self._in_file = in_file
        self._mark = 0
        self._end: PypicacheError | bool = False
        self._changed = asyncio.Event()
        self.waiting = asyncio.Event()
        """Set when somebody has asked for more than there is."""
        self.closed = asyncio.Event()

    def add(self, data: bytes, *, cheat: int = 0) -> None:
        """These bytes have come; `cheat` of them are announced and aren't there."""
        os.pwrite(self._fd, data, self._mark)
        self._mark += len(data) + cheat
        self._tell()

    def end(self, how: PypicacheError | None = None) -> None:
        """That was all, or what went wrong."""
        self._end = how or True
        self._tell()

    def leave_file(self) -> None:
        """From here on the bytes are to be had by `read` only."""
        self._in_file = False

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    data = None

    def fileno(self) -> int | None:
        return self._fd if self._in_file else None

    async def read(self, offset: int, most: int) -> bytes:
        return os.pread(self._fd, min(most, self._mark - offset), offset)

    async def aside(self, start: int, stop: int) -> bytes | None:
        return None

    async def begun(self) -> None:
        return None

    async def available(self, offset: int) -> int:
        while self._mark <= offset:
            if isinstance(self._end, PypicacheError):
                raise self._end
            if self._end:
                return offset
            self.waiting.set()
            await self._changed.wait()
        return self._mark

    async def suspect(self) -> None:
        """Nothing is stored."""

    async def whole(self, told: Told | None = None) -> int:
        raise NotImplementedError

    def close(self) -> None:
        if not self.closed.is_set():
            os.close(self._fd)
            self.closed.set()


class Served:
    """A running server that sends contents; what became of each request is in `outcomes`."""

    def __init__(self) -> None:
        self.port = 0
        self.outcomes: asyncio.Queue[int | BaseException] = asyncio.Queue()
        self.requests: list[web.BaseRequest] = []
        self.responses: list[web.StreamResponse] = []

    def connect(self, *, receive_buffer: int | None = None) -> socket.socket:
        """A new connection to it, with a timeout."""
        connection = socket.socket()
        if receive_buffer is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.settimeout(20)
        connection.connect(("127.0.0.1", self.port))
        return connection


@asynccontextmanager
async def serving(
    make: Callable[[], Content],
    *,
    tls: ssl.SSLContext | None = None,
    start: int = 0,
    stop: Callable[[Content], int | None] = lambda content: content.size,
    pace: Pace = PACE,
    prepare: Callable[[web.TCPSite], None] = lambda _: None,
) -> AsyncIterator[Served]:
    """Every request gets a content that `make` makes, bytes [start, stop) of it."""
    served = Served()
    with ThreadPoolExecutor(2) as disk:

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            content = make()
            response = web.StreamResponse()
            served.requests.append(request)
            served.responses.append(response)
            upto = stop(content)
            if upto is not None:
                response.content_length = upto - start
            elif request.version >= (1, 1):
                response.enable_chunked_encoding()
            try:
                sent = await send(request, response, content, start=start, stop=upto, disk=disk, pace=pace)
            except ConnectionError as error:
                served.outcomes.put_nowait(error)
            except BaseException as error:
                served.outcomes.put_nowait(error)
                raise
            else:
                served.outcomes.put_nowait(sent)
            finally:
                content.close()
            return response

        server = web.Server(handle, handler_cancellation=True)
        runner = web.ServerRunner(server, shutdown_timeout=1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
            await site.start()
            prepare(site)
            served.port = runner.addresses[0][1]
            yield served
        finally:
            await runner.cleanup()
