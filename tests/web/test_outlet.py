"""The way past the transport: the order of bytes, and what a client has really taken."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import http.client
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from pypicache.web.outlet import Outlet
from tests.web.serving import Handler, Run, run
from tests.wheels import padding

__all__ = ["run"]

DATA = padding(500_000, seed="outlet")


@asynccontextmanager
async def answering(handler: Handler) -> AsyncIterator[int]:
    """A server's port."""
    runner = web.ServerRunner(web.Server(handler), shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def slow_client(port: int) -> socket.socket:
    """A connection that takes next to nothing as long as nobody reads it."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(20)
    connection.connect(("127.0.0.1", port))
    return connection


def buffer_of(request: web.BaseRequest, size: int) -> None:
    """Have the kernel take so many bytes, about, before the client does."""
    assert request.transport is not None
    request.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)


def test_a_file_waits_for_what_was_written_before_it(run: Run, tmp_path: Path) -> None:
    """The end of an earlier response can still be in the transport's buffer when a pipelined request is answered."""
    (tmp_path / "file").write_bytes(DATA)
    earlier = b"e" * 60_000
    waited = []

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/earlier":
            buffer_of(request, 4096)
            return web.Response(body=earlier)
        assert request.transport is not None
        waited.append(request.transport.get_write_buffer_size())
        response = web.StreamResponse()
        response.content_length = len(DATA)
        await response.prepare(request)
        fd = os.open(tmp_path / "file", os.O_RDONLY)
        with Outlet(request, response) as outlet:
            assert await outlet.send_file(fd, 0, len(DATA)) == len(DATA)
        os.close(fd)
        await response.write_eof()
        return response

    def client(port: int) -> None:
        with slow_client(port) as connection:
            connection.sendall(
                b"GET /earlier HTTP/1.1\r\nHost: x\r\n\r\nGET /file HTTP/1.1\r\nHost: x\r\n\r\n"
            )
            stream = connection.makefile("rb")
            for body in (earlier, DATA):
                assert stream.readline() == b"HTTP/1.1 200 OK\r\n"
                http.client.parse_headers(stream)
                assert stream.read(len(body)) == body

    async def story() -> None:
        async with answering(handle) as port:
            await asyncio.to_thread(client, port)

    run(story())
    assert waited[0] > 0


def test_bytes_in_the_kernels_buffer_are_not_delivered(run: Run, tmp_path: Path) -> None:
    """A client that has stalled is known by what it acknowledges, however much its connection has swallowed."""
    (tmp_path / "file").write_bytes(DATA)
    counts: list[tuple[int, int]] = []

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        buffer_of(request, 2 * len(DATA))
        response = web.StreamResponse()
        response.content_length = len(DATA)
        await response.prepare(request)
        outlet = Outlet(request, response)
        await response.write(DATA[:1000])
        fd = os.open(tmp_path / "file", os.O_RDONLY)
        with outlet:
            await outlet.send_file(fd, 1000, len(DATA))
        os.close(fd)
        await response.write_eof()
        counts.append((request.writer.output_size, outlet.delivered()))
        return response

    def client(port: int) -> None:
        with slow_client(port) as connection:
            connection.sendall(b"GET /file HTTP/1.1\r\nHost: x\r\n\r\n")
            while not counts:
                assert connection.recv(1, socket.MSG_PEEK)

    async def story() -> None:
        async with answering(handle) as port:
            await asyncio.to_thread(client, port)

    run(story())
    ((sent, delivered),) = counts
    assert sent > len(DATA)
    assert 0 <= delivered < len(DATA) // 4


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ETIMEDOUT, ConnectionResetError),
        (errno.EHOSTUNREACH, ConnectionResetError),
        (errno.EIO, OSError),
    ],
)
def test_a_client_that_cant_be_reached_is_told_from_a_file_that_cant_be_read(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[OSError]
) -> None:
    """Whoever sends a file has it judged after an error that isn't the client's."""
    (tmp_path / "file").write_bytes(DATA)
    seen: list[type[BaseException]] = []

    def fails(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(len(DATA))})
        await response.prepare(request)
        with (tmp_path / "file").open("rb") as file, Outlet(request, response) as outlet:
            try:
                await outlet.send_file(file.fileno(), 0, len(DATA))
            except OSError as error:
                seen.append(type(error))
                outlet.break_off()
        return response

    async def check() -> None:
        async with answering(handler) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            with contextlib.suppress(ConnectionError):
                assert DATA not in await reader.read()
            writer.close()

    monkeypatch.setattr(os, "sendfile", fails)
    run(check())
    assert seen == [kind]
