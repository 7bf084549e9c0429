"""The scripted origin's side of one connection: requests in, replies out, byte by byte.

Written on asyncio's protocols, so that it can break every rule of HTTP where a `Reply` says so. A client that
leaves ends whatever is being done for it. It knows nothing of what is served.
"""

from __future__ import annotations

import array
import asyncio
import fcntl
import struct
import termios
import time
from collections.abc import Awaitable
from dataclasses import dataclass, field
from email.utils import formatdate
from socket import IPPROTO_TCP, SO_LINGER, SOL_SOCKET, TCP_NODELAY
from typing import Literal, Protocol
from urllib.parse import unquote, urlsplit

from tests.origin_reply import End, Framing, Gate, Release, Reply, reason

PIECE = 256 * 1024
"""Bytes of a body written at a time when nothing slows them down."""

State = Literal["open", "stalled", "complete", "reset", "closed", "left"]


@dataclass(eq=False, slots=True, kw_only=True)
class Request:
    """One request as it arrived, and how its answer went."""

    number: int
    """Its place in the order of arrival, from 0."""
    connection: int
    """Which connection it came on, from 0."""
    method: str
    target: str
    """As sent, query included."""
    headers: dict[str, str]
    """Names in lower case; repeated ones joined with a comma."""
    opened_at: float = field(default_factory=time.monotonic)
    status: int | None = None
    """What was answered; None until the head is sent."""
    bytes_sent: int = 0
    """Of the body: accepted by the kernel, which isn't yet received."""
    state: State = "open"
    """`left` means that the client closed the connection before the answer was complete."""
    closed_at: float | None = None
    finished: int | None = None
    """Its place in the order in which answers ended, from 0."""

    @property
    def path(self) -> str:
        """The target's path with its percent-encoding undone."""
        return unquote(urlsplit(self.target).path)

    @property
    def filename(self) -> str:
        """The path's last segment."""
        return self.path.rpartition("/")[2]


class Host(Protocol):
    """What a connection needs of the origin it belongs to."""

    latency: float
    handshake: float
    rate_per_connection: float | None

    def connected(self, connection: Connection) -> int:
        """Take the connection in; its number."""
        ...

    def disconnected(self, connection: Connection) -> None:
        """Forget the connection."""
        ...

    def arrived(self, connection: int, method: str, target: str, headers: dict[str, str]) -> Request:
        """Log a request."""
        ...

    def reply(self, request: Request) -> Reply:
        """Decide what to answer."""
        ...

    def changed(self, request: Request, state: State | None = None) -> None:
        """Tell those who watch; a state other than open and stalled ends the request."""
        ...

    def broke(self, error: BaseException) -> None:
        """Keep an error of the origin itself (or of a test's action), to be raised where a test sees it."""
        ...

    def gate(self) -> Gate:
        """What stalls wait for at the moment."""
        ...


class Connection(asyncio.Protocol):
    """One client's connection, served by a task that ends with it."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._received = bytearray()
        self._arrival = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._current: Request | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        # As servers do: a body mustn't wait until the client has acknowledged the head, which takes it 40 ms.
        transport.get_extra_info("socket").setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        # Drained means: accepted by the kernel. (TLS transports never drain below a limit of zero, and may hold back
        # a buffer more.)
        transport.set_write_buffer_limits(high=1 if transport.get_extra_info("ssl_object") else 0)
        self._number = self._host.connected(self)
        self._ready_at = asyncio.get_running_loop().time() + self._host.handshake
        self._task = asyncio.get_running_loop().create_task(self._serve())
        self._task.add_done_callback(self._served)

    def data_received(self, data: bytes) -> None:
        self._received += data
        self._arrival.set()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._current is not None:
            self._host.changed(self._current, "left")
        self._task.cancel()
        self._host.disconnected(self)

    async def drop(self) -> None:
        """Reset the connection now, whatever it is doing."""
        self._reset()
        await asyncio.wait([self._task])

    async def _serve(self) -> None:
        keep = True
        while keep:
            request = await self._read_request()
            if request is None:
                break
            self._current = request
            keep = await self._send(request, self._host.reply(request))
            self._current = None
        self._transport.close()

    def _served(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._host.broke(error)
            self._transport.abort()

    async def _read_request(self) -> Request | None:
        """The next request with its body read away; None for something that isn't one."""
        while b"\r\n\r\n" not in self._received:
            await self._more()
        await asyncio.sleep(self._ready_at - asyncio.get_running_loop().time())
        head, _, rest = bytes(self._received).partition(b"\r\n\r\n")
        start, *lines = head.decode("latin-1").split("\r\n")
        words = start.split(" ")
        if len(words) != 3:
            return None
        headers: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(":")
            key, value = name.strip().lower(), value.strip()
            headers[key] = f"{headers[key]}, {value}" if key in headers else value
        length = int(headers.get("content-length", 0))
        self._received[:] = rest
        while len(self._received) < length:
            await self._more()
        del self._received[:length]
        return self._host.arrived(self._number, words[0], words[1], headers)

    async def _more(self) -> None:
        self._arrival.clear()
        await self._arrival.wait()

    async def _send(self, request: Request, reply: Reply) -> bool:
        """Carry the reply out; whether the connection can take another request."""
        await asyncio.sleep(self._host.latency)
        await self._hold(request, reply.wait)
        if reply.garbage is not None:
            await self._write(reply.garbage)
            return await self._end(request, End.FIN)
        head = _head(reply)
        for cut in reply.cuts:
            if cut.in_head:
                await self._write(head[: cut.at])
                return await self._end(request, cut.end)
        request.status = reply.status
        await self._write(head)
        if request.method != "HEAD" and reply.status not in {204, 304}:
            ended = await self._send_body(request, reply)
            if ended is not None:
                return await self._end(request, ended)
        asked = request.headers.get("connection", "").lower()
        self._host.changed(request, "complete")
        return not (reply.close or reply.framing is Framing.CLOSE or asked == "close")

    async def _send_body(self, request: Request, reply: Reply) -> End | None:
        """Send the body as far as its cuts let it; how it broke off, or None if it didn't."""
        body = memoryview(reply.body)
        for cut in reply.cuts:
            await self._stream(request, reply, body, cut.at)
            if cut.end is not End.STALL:
                return cut.end
            await self._hold(request, cut.gate or Release())
        await self._stream(request, reply, body, len(body))
        if reply.framing is Framing.CHUNKED:
            await self._write(b"0\r\n\r\n")
        return None

    async def _stream(self, request: Request, reply: Reply, body: memoryview, stop: int) -> None:
        """Send the body from where it is up to `stop`."""
        rates = [rate for rate in (reply.rate, self._host.rate_per_connection) if rate is not None]
        rate = min(rates, default=None)
        piece = reply.piece or (PIECE if rate is None else max(1, min(PIECE, int(rate / 20))))
        loop = asyncio.get_running_loop()
        began, first, stop = loop.time(), request.bytes_sent, min(stop, len(body))
        while request.bytes_sent < stop:
            data = body[request.bytes_sent : min(stop, request.bytes_sent + piece)]
            if reply.framing is Framing.CHUNKED:
                await self._write(b"".join((b"%x\r\n" % len(data), data, b"\r\n")))
            else:
                await self._write(data)
            request.bytes_sent += len(data)
            self._host.changed(request)
            if rate is not None:
                await asyncio.sleep(began + (request.bytes_sent - first) / rate - loop.time())

    async def _hold(self, request: Request, until: float | Gate | Release | None) -> None:
        if until is None:
            return
        self._host.changed(request, "stalled")
        waiting: Awaitable[None]
        if isinstance(until, Gate):
            waiting = until.wait()
        elif isinstance(until, Release):
            waiting = self._host.gate().wait()
        else:
            waiting = asyncio.sleep(until)
        await waiting
        self._host.changed(request, "open")

    async def _write(self, data: bytes | memoryview) -> None:
        self._transport.write(data)
        await self._writable.wait()

    async def _end(self, request: Request, end: End) -> bool:
        """Break off; always False, since nothing can follow."""
        if end is End.RESET:
            await self._acknowledged()
            self._reset()
        self._host.changed(request, "reset" if end is End.RESET else "closed")
        self._current = None
        return False

    def _reset(self) -> None:
        socket = self._transport.get_extra_info("socket")
        if socket is not None and socket.fileno() >= 0:
            socket.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    async def _acknowledged(self) -> None:
        """Wait until the peer has everything: a reset throws away what the kernel still has to send."""
        socket, unsent = self._transport.get_extra_info("socket"), array.array("i", [1])
        while unsent[0] and not self._transport.is_closing():
            fcntl.ioctl(socket.fileno(), termios.TIOCOUTQ, unsent)
            await asyncio.sleep(0.001 if unsent[0] else 0)


def _head(reply: Reply) -> bytes:
    lines = [f"HTTP/1.1 {reply.status} {reason(reply.status)}"]
    names = {name.lower() for name, _ in reply.headers}
    if "date" not in names:
        lines.append(f"Date: {formatdate(usegmt=True)}")
    lines += [f"{name}: {value}" for name, value in reply.headers]
    if reply.framing is Framing.CHUNKED:
        lines.append("Transfer-Encoding: chunked")
    elif reply.framing is Framing.CLOSE:
        lines.append("Connection: close")
    elif reply.status not in {204, 304}:
        lines.append(f"Content-Length: {len(reply.body) if reply.length is None else reply.length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
