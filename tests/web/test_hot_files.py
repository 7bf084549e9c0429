"""Stored files by the shortcut: whatever a client does, it gets all of the file in its order, or sees its connection break."""

from __future__ import annotations

import asyncio
import errno
import math
import os
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from pypicache.index.content import Content, Stored
from pypicache.index.lease import Lease
from pypicache.web.hot import Shortcut
from pypicache.web.limits import Limits
from pypicache.web.pace import Pace
from pypicache.web.request import Repeatable, Request
from pypicache.web.sending import LARGEST, MORE, at_hand
from pypicache.web.server import LINGER, Protocol
from tests.waiting import turns, until_so
from tests.web.serving import Run, blob, run
from tests.web.test_hot import Site, head

__all__ = ["run"]

pytestmark = pytest.mark.skipif(MORE is None, reason="the system can't send a head with what follows")

FILE = head("/file", "User-Agent: pip")

SIZE = 3_000_000
"""More than a connection of a client that reads nothing has room for."""


class FileSite(Site):
    """`/file` is a stored file of that size, as long as it is there."""

    def __init__(self, folder: Path, size: int) -> None:
        super().__init__()
        self.path = folder / "blob"
        self.data = random.Random(size).randbytes(size)
        self.path.write_bytes(self.data)
        self.opened = 0

    def stored(self) -> Content | None:
        """The file, opened."""
        if not self.path.exists():
            return None
        self.opened += 1
        return Stored(blob(self.path, self.path.read_bytes()))

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path != "/file":
            return await super().handle(request)
        assert isinstance(request, Request)
        self.handled.append(request.path)
        response = web.Response(body=self.data, headers={"ETag": '"file"'})
        await response.prepare(request)
        await response.write_eof()
        request.repeatable = Repeatable(Lease(-math.inf, math.inf, ()), None, None, self.stored)
        request.keep = self.repeats.keep
        return response


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connect(port: int) -> Connection:
    return await asyncio.open_connection("127.0.0.1", port)


async def body(reader: asyncio.StreamReader, size: int) -> bytes:
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
    return await reader.readexactly(size)


@asynccontextmanager
async def heated(
    site: FileSite, *, shutdown_timeout: float = 5.0
) -> AsyncIterator[tuple[web.ServerRunner, int]]:
    """A server that has the file's answer ready."""
    runner = web.ServerRunner(site.server, shutdown_timeout=shutdown_timeout)
    await runner.setup()
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)  # what it accepts inherits that
    sock.bind(("127.0.0.1", 0))
    port = sock.getsockname()[1]
    try:
        await web.SockSite(runner, sock).start()
        reader, writer = await connect(port)
        writer.write(FILE)
        assert await body(reader, len(site.data)) == site.data
        await until_so(lambda: len(site.repeats) == 1)
        writer.close()
        await until_so(lambda: not site.server.connections)
        yield runner, port
    finally:
        await runner.cleanup()


async def deaf(site: FileSite, port: int, *, asks: bytes = FILE) -> socket.socket:
    """A connection that has asked, and reads nothing; the file is on its way."""
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.setblocking(False)
    loop, opened = asyncio.get_running_loop(), site.opened
    await loop.sock_connect(slow, ("127.0.0.1", port))
    await loop.sock_sendall(slow, asks)
    await until_so(lambda: site.opened == opened + 1)
    await turns()
    assert on_their_way(site)
    return slow


def on_their_way(site: FileSite) -> list[Protocol]:
    """The connections that a file goes out on."""
    return [
        each for each in site.server.connections if isinstance(each, Protocol) and each._sending is not None
    ]


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("size", [1, 300_000, SIZE, LARGEST, LARGEST + 1])
def test_files_of_any_size_arrive(run: Run, tmp_path: Path, size: int) -> None:
    """One after the other on one connection, and no descriptor stays open; the largest go the ordinary way."""

    async def check() -> None:
        site = FileSite(tmp_path, size)
        async with heated(site) as (_, port):
            reader, writer = await connect(port)
            writer.write(FILE)
            assert await body(reader, size) == site.data
            before = descriptors()
            for _ in range(5):
                writer.write(FILE)
                assert await body(reader, size) == site.data
            assert descriptors() == before
            assert site.hits == (6 if size <= LARGEST else 0)
            writer.close()

    run(check())


def test_what_is_asked_for_meanwhile_is_answered_afterwards(run: Run, tmp_path: Path) -> None:
    """The same once more, and something that goes the ordinary way."""

    async def check() -> None:
        site = FileSite(tmp_path, SIZE)
        async with heated(site) as (_, port):
            slow = await deaf(site, port)
            (protocol,) = on_their_way(site)
            assert protocol.transport is not None
            assert not protocol.transport.is_reading()
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(slow, FILE)
            await loop.sock_sendall(slow, head("/other"))
            reader, writer = await asyncio.open_connection(sock=slow)
            for _ in range(2):
                assert await body(reader, SIZE) == site.data
            assert await body(reader, 6) == b"other\n"
            writer.close()

    run(check())


async def test_two_heads_in_one_turn_are_answered_in_their_order(tmp_path: Path) -> None:
    """The second is told the ordinary way, when the first has gone out."""
    site = FileSite(tmp_path, SIZE)
    async with heated(site) as (_, port):
        slow = await deaf(site, port, asks=FILE)
        (protocol,) = on_their_way(site)
        protocol.receive(head("/other"))
        reader, writer = await asyncio.open_connection(sock=slow)
        assert await body(reader, SIZE) == site.data
        assert await body(reader, 6) == b"other\n"
        writer.close()


async def test_a_client_whose_end_is_seen_meanwhile_gets_the_rest(tmp_path: Path) -> None:
    """Its end may be read in the turn of its request. The connection ends behind the file."""
    site = FileSite(tmp_path, SIZE)
    async with heated(site) as (_, port):
        slow = await deaf(site, port)
        (protocol,) = on_their_way(site)
        assert protocol.eof_received()
        reader, writer = await asyncio.open_connection(sock=slow)
        assert await body(reader, SIZE) == site.data
        async with asyncio.timeout(LINGER / 2):
            assert await reader.read() == b""
        writer.close()


def test_a_client_that_leaves_in_the_middle_leaves_nothing_behind(run: Run, tmp_path: Path) -> None:
    async def check() -> None:
        site = FileSite(tmp_path, SIZE)
        async with heated(site) as (_, port):
            before = descriptors()
            (await deaf(site, port)).close()
            await until_so(lambda: not site.server.connections)
            await until_so(lambda: descriptors() == before)
            reader, writer = await connect(port)
            writer.write(FILE)
            assert await body(reader, SIZE) == site.data
            writer.close()

    run(check())


def test_a_client_that_has_said_all_gets_the_file(run: Run, tmp_path: Path) -> None:
    """And the connection ends behind it, whether its end came with the request or while the file went out."""

    async def check() -> None:
        site = FileSite(tmp_path, SIZE)
        async with heated(site) as (_, port):
            reader, writer = await connect(port)
            writer.write(FILE)
            writer.write_eof()
            assert await body(reader, SIZE) == site.data
            assert await reader.read() == b""
            writer.close()
            slow = await deaf(site, port)
            slow.shutdown(socket.SHUT_WR)
            reader, writer = await asyncio.open_connection(sock=slow)
            assert await body(reader, SIZE) == site.data
            assert await reader.read() == b""
            writer.close()

    run(check())


def test_a_file_that_is_cut_short_breaks_the_connection(run: Run, tmp_path: Path) -> None:
    """In the middle of it; then the ordinary way sees what is wrong with it. One that is gone is left to that, too."""

    async def check() -> None:
        site = FileSite(tmp_path, SIZE)
        async with heated(site) as (_, port):
            slow = await deaf(site, port)
            os.truncate(site.path, 1000)
            reader, writer = await asyncio.open_connection(sock=slow)
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await body(reader, SIZE)
            writer.close()
            site.path.write_bytes(site.data)
            reader, writer = await connect(port)
            for spoiled in (True, False):
                handled = len(site.handled)
                writer.write(FILE)
                assert await body(reader, SIZE) == site.data
                assert len(site.handled) == handled + spoiled
            site.path.unlink()
            writer.write(FILE)
            assert await body(reader, SIZE) == site.data
            assert len(site.handled) == handled + 1
            writer.close()

    run(check())


def test_a_connection_with_a_file_on_its_way_isnt_idle(run: Run, tmp_path: Path) -> None:
    async def check() -> None:
        site = FileSite(tmp_path, SIZE)
        site.server.limit(Limits(keepalive_timeout=0.2))
        async with heated(site) as (_, port):
            slow = await deaf(site, port)
            loop = asyncio.get_running_loop()
            later = loop.create_future()
            loop.call_later(0.6, later.set_result, None)  # thrice as long as it may be idle
            await later
            reader, writer = await asyncio.open_connection(sock=slow)
            assert await body(reader, SIZE) == site.data
            ended = loop.time()
            assert await reader.read() == b""
            assert loop.time() - ended > 0.1
            writer.close()

    run(check())


def test_a_client_that_takes_nothing_of_it_is_cut_off(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Shortcut, "pace", Pace(least=1e6, period=0.2))

    async def check() -> None:
        site = FileSite(tmp_path, SIZE)
        async with heated(site) as (_, port):
            slow = await deaf(site, port)
            await until_so(lambda: not site.server.connections)
            slow.close()

    run(check())


def test_a_shutdown_waits_for_it(run: Run, tmp_path: Path) -> None:
    async def check() -> None:
        site = FileSite(tmp_path, SIZE)
        async with heated(site) as (runner, port):
            slow = await deaf(site, port)
            ending = asyncio.create_task(runner.cleanup())
            await turns()
            assert not ending.done()
            reader, writer = await asyncio.open_connection(sock=slow)
            assert await body(reader, SIZE) == site.data
            assert await reader.read() == b""
            await ending
            writer.close()

    run(check())


def test_a_shutdown_waits_no_longer_than_it_may(run: Run, tmp_path: Path) -> None:
    async def check() -> None:
        site, loop = FileSite(tmp_path, SIZE), asyncio.get_running_loop()
        async with heated(site, shutdown_timeout=0.3) as (runner, port):
            before = descriptors()
            slow = await deaf(site, port)
            began = loop.time()
            await runner.cleanup()
            assert loop.time() - began < 3
            await until_so(lambda: descriptors() == before)  # one that listened less, and the client's
            slow.close()

    run(check())


@pytest.mark.parametrize(
    ("number", "spoils"), [(errno.ETIMEDOUT, False), (errno.EHOSTUNREACH, False), (errno.EIO, True)]
)
async def test_whose_fault_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, spoils: bool
) -> None:
    """A client that can't be reached says nothing of the file; a disk that can't read it does."""
    site = FileSite(tmp_path, SIZE)
    async with heated(site) as (_, port):

        def fails(*_: object) -> int:
            raise OSError(number, os.strerror(number))

        with monkeypatch.context() as patch:
            patch.setattr(os, "sendfile", fails)
            reader, writer = await connect(port)
            writer.write(FILE)
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await body(reader, SIZE)
            writer.close()
        handled = len(site.handled)
        reader, writer = await connect(port)
        writer.write(FILE)
        assert await body(reader, SIZE) == site.data
        assert len(site.handled) == handled + spoils
        writer.close()


async def test_without_sendfile_it_is_read_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system may have none. The answer is the same, and stays ready."""
    site = FileSite(tmp_path, SIZE)

    def fails(*_: object) -> int:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    async with heated(site) as (_, port):
        monkeypatch.setattr(os, "sendfile", fails)
        reader, writer = await connect(port)
        for _ in range(2):
            writer.write(FILE)
            assert await body(reader, SIZE) == site.data
        assert site.handled == ["/file"]
        writer.close()


async def test_without_a_descriptor_it_goes_the_ordinary_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = FileSite(tmp_path, SIZE)
    async with heated(site) as (_, port):
        reader, writer = await connect(port)
        await until_so(lambda: site.server.connections)

        def fails(_: int) -> int:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

        before = descriptors()
        with monkeypatch.context() as patch:
            patch.setattr(os, "dup", fails)
            writer.write(FILE)
            assert await body(reader, SIZE) == site.data
        assert descriptors() == before
        assert site.handled == ["/file"] * 2
        writer.close()


def test_only_what_is_small_enough_is_sent_like_this(tmp_path: Path) -> None:
    for size, well in ((0, False), (1, True), (LARGEST, True), (LARGEST + 1, False)):
        content = Stored(blob(tmp_path / "blob", bytes(size)))
        assert at_hand(content) == well
        content.close()
