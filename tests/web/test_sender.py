"""Bytes to clients over real sockets, under both event loops: whole, in parts, broken off, and to clients that don't take them."""

from __future__ import annotations

import asyncio
import errno
import http.client
import os
import socket
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp import web

from pypicache.errors import IntegrityError, UpstreamTimeout
from pypicache.index.content import Content, Stored
from pypicache.web import sender
from pypicache.web.pace import Pace, limit_silence
from pypicache.web.turn import MOST
from tests.store.conftest import open_descriptors
from tests.web.serving import Arriving, Run, Served, blob, run, serving
from tests.wheels import padding

__all__ = ["run"]

DATA = padding(9_000_001, seed="sender")
"""More than two spans, and no multiple of anything."""

REQUEST = b"GET /file HTTP/1.1\r\nHost: x\r\n\r\n"


def read_response(connection: socket.socket | ssl.SSLSocket) -> tuple[http.client.HTTPResponse, bytes]:
    """One response off a connection that stays open. Raises IncompleteRead."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    return response, response.read()


def no_sendfile(*_: Any) -> int:
    raise OSError(errno.EINVAL, "not on this file system")


async def until(true: Callable[[], bool]) -> None:
    """Let the loop go on until it is."""
    while not true():  # noqa: ASYNC110 - nobody tells when a descriptor has gone
        await asyncio.sleep(0)


@pytest.fixture(params=["sendfile", "pieces"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With sendfile, and where the file system can't do it."""
    if request.param == "pieces":
        monkeypatch.setattr(os, "sendfile", no_sendfile)
    return str(request.param)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What each call of `os.sendfile` has sent."""
    real, made = os.sendfile, []

    def counting(out: int, file: int, offset: int, count: int) -> int:
        sent = real(out, file, offset, count)
        made.append(sent)
        return sent

    monkeypatch.setattr(os, "sendfile", counting)
    return made


def stored(tmp_path: Path, data: bytes = DATA) -> Callable[[], Content]:
    return lambda: Stored(blob(tmp_path / "blob", data))


def test_a_connection_serves_one_response_after_the_other(run: Run, tmp_path: Path, way: str) -> None:
    """Keep-alive holds after bodies that went past the transport, and responses come in order, pipelined ones too."""

    def client(served: Served) -> None:
        with served.connect() as connection:
            for _ in range(3):
                connection.sendall(REQUEST)
                assert read_response(connection)[1] == DATA
            connection.sendall(REQUEST * 4)
            # One reader for all of them: what it has read ahead belongs to the next response.
            stream = connection.makefile("rb")
            for _ in range(4):
                assert stream.readline() == b"HTTP/1.1 200 OK\r\n"
                head = http.client.parse_headers(stream)
                assert stream.read(int(head["Content-Length"])) == DATA

    async def story() -> None:
        async with serving(stored(tmp_path)) as served:
            await asyncio.to_thread(client, served)
            assert [await served.outcomes.get() for _ in range(7)] == [len(DATA)] * 7

    run(story())


def test_plain_connections_get_files_by_sendfile(run: Run, tmp_path: Path, calls: list[int]) -> None:
    """Not more than a step at a time: between two of them the event loop has its turn."""

    def client(served: Served) -> None:
        with served.connect() as connection:
            connection.sendall(REQUEST)
            assert read_response(connection)[1] == DATA

    async def story() -> None:
        async with serving(stored(tmp_path)) as served:
            await asyncio.to_thread(client, served)

    run(story())
    assert sum(calls) == len(DATA)
    assert max(calls) <= MOST


def test_the_counts_that_aiohttp_keeps_are_right(run: Run, tmp_path: Path, way: str) -> None:
    """Its access log, its keep-alive and its refusal of bytes too many rest on them: this fails when it changes them."""

    def client(served: Served) -> int:
        with served.connect() as connection:
            connection.sendall(REQUEST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            count = 0
            while piece := connection.recv(1 << 20):
                count += len(piece)
            return count

    async def story() -> None:
        async with serving(stored(tmp_path)) as served:
            on_the_wire = await asyncio.to_thread(client, served)
        request, response = served.requests[0], served.responses[0]
        assert request.writer.output_size == response.body_length == on_the_wire > len(DATA)
        assert request.writer.length == 0
        assert response.keep_alive is False

    run(story())


def test_a_part_of_a_file(run: Run, tmp_path: Path, way: str) -> None:
    start, stop = 12_345, 8_500_000

    def client(served: Served) -> None:
        with served.connect() as connection:
            connection.sendall(REQUEST)
            assert read_response(connection)[1] == DATA[start:stop]

    async def story() -> None:
        async with serving(stored(tmp_path), start=start, stop=lambda _: stop) as served:
            await asyncio.to_thread(client, served)

    run(story())


def test_tls_and_chunks_get_pieces(run: Run, tmp_path: Path, calls: list[int]) -> None:
    """Where something stands between file and socket, the bytes are read and written."""
    authority = trustme.CA()
    theirs, ours = ssl.create_default_context(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.configure_trust(theirs)
    authority.issue_cert("127.0.0.1").configure_cert(ours)

    def client(served: Served, tls: ssl.SSLContext | None) -> bytes:
        with served.connect() as plain:
            connection = tls.wrap_socket(plain, server_hostname="127.0.0.1") if tls else plain
            with connection:
                connection.sendall(REQUEST)
                return read_response(connection)[1]

    async def story() -> None:
        async with serving(stored(tmp_path), tls=ours) as served:
            assert await asyncio.to_thread(client, served, theirs) == DATA
        async with serving(stored(tmp_path), stop=lambda _: None) as served:
            assert await asyncio.to_thread(client, served, None) == DATA

    run(story())
    assert calls == []


def test_http_1_0(run: Run, tmp_path: Path) -> None:
    """With a length the connection may stay open; without one, it ends where the body does."""

    def client(served: Served) -> bytes:
        with served.connect() as connection:
            connection.sendall(b"GET /file HTTP/1.0\r\n\r\n")
            received = bytearray()
            while piece := connection.recv(1 << 20):
                received += piece
            head, _, body = bytes(received).partition(b"\r\n\r\n")
            assert b"Transfer-Encoding" not in head
            return body

    async def story() -> None:
        for stop in (lambda content: content.size, lambda _: None):
            async with serving(stored(tmp_path), stop=stop) as served:
                assert await asyncio.to_thread(client, served) == DATA

    run(story())


def test_a_file_that_arrives_is_sent_as_it_comes(run: Run, tmp_path: Path, way: str) -> None:
    """And goes on when the content leaves its file in the middle, as it does on a full disk."""

    async def story() -> None:
        content = Arriving(tmp_path / "part", size=len(DATA))
        async with serving(lambda: content) as served:
            content.add(DATA[:1])
            with served.connect() as connection:
                connection.sendall(REQUEST)
                reply = http.client.HTTPResponse(connection)
                await asyncio.to_thread(reply.begin)
                assert await asyncio.to_thread(reply.read, 1) == DATA[:1]
                for start, stop in [(1, 2), (2, 300_000), (300_000, 5_000_000)]:
                    content.add(DATA[start:stop])
                    assert await asyncio.to_thread(reply.read, stop - start) == DATA[start:stop]
                content.leave_file()
                content.add(DATA[5_000_000:])
                content.end()
                assert await asyncio.to_thread(reply.read) == DATA[5_000_000:]
            assert await served.outcomes.get() == len(DATA)

    run(story())


WRONG = IntegrityError("a-1.whl", expected="sha256:aa", got="sha256:bb")


@pytest.mark.parametrize("size", [len(DATA), None], ids=["length", "chunked"])
def test_what_goes_wrong_breaks_the_body(
    run: Run, tmp_path: Path, way: str, size: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    """*Nothing unverified is committed*: a client can't take what it got for the whole file."""

    def client(served: Served) -> None:
        with served.connect() as connection:
            connection.sendall(REQUEST)
            with pytest.raises((http.client.IncompleteRead, ConnectionError)):
                read_response(connection)

    async def story() -> None:
        content = Arriving(tmp_path / "part", size=size)
        async with serving(lambda: content) as served:
            content.add(DATA[:-1])
            content.end(WRONG)
            await asyncio.to_thread(client, served)
            assert isinstance(await served.outcomes.get(), ConnectionAbortedError)

    run(story())
    assert f"broke off /file at byte {len(DATA) - 1}: a-1.whl" in caplog.text


def test_a_body_without_length_or_chunks_is_broken_by_a_reset(run: Run, tmp_path: Path, way: str) -> None:
    """HTTP/1.0: where the end of the connection is the end of the body, a clean end would be a lie."""

    def take_all(connection: socket.socket) -> None:
        while connection.recv(1 << 20):
            pass

    def client(served: Served) -> None:
        with served.connect() as connection:
            connection.sendall(b"GET /file HTTP/1.0\r\n\r\n")
            with pytest.raises(ConnectionResetError):
                take_all(connection)

    async def story() -> None:
        content = Arriving(tmp_path / "part")
        async with serving(lambda: content) as served:
            content.add(DATA[:-1])
            content.end(UpstreamTimeout("origin", "silent"))
            await asyncio.to_thread(client, served)

    run(story())


def test_a_file_that_ends_early_breaks_the_body(run: Run, tmp_path: Path, way: str) -> None:
    """L7: truncated under us, or announced and not there."""

    def client(served: Served) -> None:
        with served.connect() as connection:
            connection.sendall(REQUEST)
            with pytest.raises((http.client.IncompleteRead, ConnectionError)):
                read_response(connection)

    async def story() -> None:
        content = Arriving(tmp_path / "part", size=len(DATA))
        async with serving(lambda: content) as served:
            content.add(DATA[:-5000], cheat=5000)
            await asyncio.to_thread(client, served)
            assert isinstance(await served.outcomes.get(), ConnectionAbortedError)

    run(story())


def test_a_client_that_leaves_is_noticed_while_bytes_are_awaited(run: Run, tmp_path: Path) -> None:
    """It doesn't hold the content, a descriptor or a task until the next byte comes, which may be never."""

    async def story() -> None:
        content = Arriving(tmp_path / "part", size=len(DATA))
        async with serving(lambda: content) as served:
            before, tasks = open_descriptors(), len(asyncio.all_tasks())
            content.add(DATA[:1000])
            connection = served.connect()
            connection.sendall(REQUEST)
            await content.waiting.wait()
            connection.close()
            assert isinstance(await served.outcomes.get(), asyncio.CancelledError)
            await content.closed.wait()
            await until(lambda: len(asyncio.all_tasks()) <= tasks)
            await until(lambda: open_descriptors() == before - 1)

    run(story())


def test_a_client_that_leaves_in_the_middle_leaves_nothing_behind(run: Run, tmp_path: Path, way: str) -> None:
    async def story() -> None:
        async with serving(stored(tmp_path)) as served:
            before = open_descriptors()
            for _ in range(5):
                with served.connect(receive_buffer=4096) as connection:
                    connection.sendall(REQUEST)
                    await asyncio.to_thread(connection.recv, 1000)
                assert isinstance(await served.outcomes.get(), ConnectionError | asyncio.CancelledError)
            await until(lambda: open_descriptors() <= before)

    run(story())


@pytest.mark.parametrize("takes", [0, 1], ids=["stalled", "crawling"])
def test_a_client_that_takes_too_little_is_cut_off(
    run: Run, tmp_path: Path, way: str, takes: int, caplog: pytest.LogCaptureFixture
) -> None:
    """L13: what it has taken counts, not what waits for it in buffers; so a large buffer buys no time."""
    caplog.set_level("INFO", logger=sender.__name__)

    async def story() -> None:
        # All of it within the first 0.3 s at the least: the buffers between hold less than that.
        async with serving(stored(tmp_path), pace=Pace(least=3e7, period=0.3)) as served:
            with served.connect() as connection:
                connection.sendall(REQUEST)
                outcome = asyncio.ensure_future(served.outcomes.get())
                while takes and not outcome.done():
                    await asyncio.wait_for(asyncio.to_thread(connection.recv, 1), 10)
                    await asyncio.sleep(0.01)
                assert isinstance(
                    await asyncio.wait_for(outcome, 10), ConnectionError | asyncio.CancelledError
                )

    run(story())
    assert "cut off 127.0.0.1" in caplog.text


def test_the_kernel_ends_a_connection_whose_client_is_silent(run: Run, tmp_path: Path) -> None:
    """L13: accepted sockets inherit the option from the listening one."""

    def prepare(site: web.TCPSite) -> None:
        assert site._server is not None
        for listener in getattr(site._server, "sockets", ()):
            limit_silence(listener, 0.5)

    async def story() -> None:
        async with serving(stored(tmp_path), prepare=prepare) as served:
            with served.connect(receive_buffer=4096) as connection:
                connection.sendall(REQUEST)
                outcome = await asyncio.wait_for(served.outcomes.get(), 20)
                assert isinstance(outcome, ConnectionError | asyncio.CancelledError)
                transport = served.requests[0].transport
                assert transport is None or transport.is_closing()

    run(story())


async def test_pieces_that_are_small_are_read_in_one(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as disk:
        content = Stored(blob(tmp_path / "blob", DATA))
        assert await sender.read_small(content, 10, 200_000, disk) == DATA[10:200_000]
        content.close()
        passing = Arriving(tmp_path / "part", in_file=False)
        passing.add(DATA[:400_000])
        assert await sender.read_small(passing, 0, 400_000, disk) == DATA[:400_000]
        with pytest.raises(ConnectionAbortedError):
            await sender.read_small(passing, 0, 400_001, disk)
        passing.close()
