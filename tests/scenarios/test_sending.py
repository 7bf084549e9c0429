"""Stored files through a real daemon: connections that go on, clients that leave, stall or are many, and files that go."""

from __future__ import annotations

import hashlib
import http.client
import re
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from tests.client import get, raw
from tests.daemon import Daemon, config_for
from tests.origin import Origin
from tests.wheels import Wheel, artifact, wheel

Make = Callable[..., Daemon]

LARGE = 500 << 20


def connected(url: str, *, receive_buffer: int | None = None) -> socket.socket:
    """A connection to the URL's host, with a timeout."""
    connection = socket.socket()
    if receive_buffer is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.settimeout(30)
    connection.connect((urlsplit(url).hostname, urlsplit(url).port))
    return connection


def request(url: str, *headers: str, method: str = "GET") -> bytes:
    """A request for the URL, of HTTP/1.1."""
    return "\r\n".join((f"{method} {urlsplit(url).path} HTTP/1.1", "Host: x", *headers, "", "")).encode()


def blob_of(daemon: Daemon, sha256: str) -> Path:
    return daemon.cache / "blobs" / "sha256" / sha256[:2] / sha256[2:4] / sha256


@pytest.fixture
def item() -> Wheel:
    return wheel("sent", "1.0", size=3_000_000)


@pytest.fixture
def running(origin: Origin, daemon: Make, item: Wheel) -> Daemon:
    """A daemon that has the item stored."""
    origin.add(item)
    started = daemon(config_for(origin))
    assert get(started.link(item)).body == item.data
    return started


def test_requests_of_every_kind_on_one_connection(running: Daemon, item: Wheel) -> None:
    """What went past aiohttp's transport leaves the connection as good as new, pipelined requests included."""
    url = running.link(item)
    story: list[tuple[bytes, int, bytes]] = [
        (request(url), 200, item.data),
        (request(url, method="HEAD"), 200, b""),
        (request(url, "Range: bytes=1000000-"), 206, item.data[1_000_000:]),
        (request(url, "Range: bytes=-10"), 206, item.data[-10:]),
        (request(url, f'If-None-Match: "{item.sha256}"'), 304, b""),
        (request(url), 200, item.data),
        (request(f"{running.url}/healthz"), 200, b"ok\n"),
        (request(url, "Range: bytes=99999999-"), 416, b"no such bytes\n"),
        (request(url), 200, item.data),
    ]
    with connected(url) as connection:
        stream = connection.makefile("rb")

        def check(sent: bytes, status: int, body: bytes) -> None:
            assert int(stream.readline().split()[1]) == status
            head = http.client.parse_headers(stream)
            if status != 304:
                expected = len(item.data) if sent.startswith(b"HEAD") else len(body)
                assert int(head["Content-Length"]) == expected
            assert stream.read(len(body)) == body

        for turn in story:
            connection.sendall(turn[0])
            check(*turn)
        connection.sendall(b"".join(sent for sent, *_ in story))
        for turn in story:
            check(*turn)


def test_http_1_0_gets_a_length_and_an_end(running: Daemon, item: Wheel) -> None:
    url = urlsplit(running.link(item))
    answer = raw(url.hostname or "", url.port or 0, f"GET {url.path} HTTP/1.0\r\n\r\n".encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(item.data)}".encode() in head
    assert body == item.data


def test_a_unix_socket_serves_files_too(origin: Origin, daemon: Make, item: Wheel, tmp_path: Path) -> None:
    origin.add(item)
    path = tmp_path / "socket"
    running = daemon(config_for(origin, server={"listen": ["127.0.0.1:0", f"unix:{path}"]}))
    url = running.link(item)
    for _ in range(2):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(30)
            connection.connect(str(path))
            connection.sendall(request(url))
            response = http.client.HTTPResponse(connection)
            response.begin()
            assert response.read() == item.data


def test_a_file_that_is_evicted_while_it_is_sent_is_sent_to_its_end(
    running: Daemon, origin: Origin, daemon: Make
) -> None:
    """L20: an open file outlives its name, and the next request fetches it anew."""
    big = wheel("evicted", "1.0", size=30 << 20)
    origin.add(big)
    url = running.link(big)
    assert get(url).body == big.data
    with connected(url, receive_buffer=65536) as connection:
        connection.sendall(request(url))
        response = http.client.HTTPResponse(connection)
        response.begin()
        first = response.read(1000)
        blob_of(running, big.sha256).unlink()
        assert get(url).body == big.data
        assert first + response.read() == big.data
    assert len(origin.gets(big.filename)) == 2
    assert "Traceback" not in running.log


def test_fifty_clients_at_once(running: Daemon, item: Wheel) -> None:
    url = running.link(item)
    with ThreadPoolExecutor(50) as pool:
        bodies = set(pool.map(lambda _: get(url).body, range(100)))
    assert bodies == {item.data}


def test_the_access_log_knows_what_was_sent(running: Daemon, item: Wheel) -> None:
    """The bytes are the body's; a client that left before the end is a 499."""
    url = running.link(item)
    parts = urlsplit(url)
    since = len(running.log)
    answer = raw(parts.hostname or "", parts.port or 0, request(url, "Connection: close"))
    line = running.wait_log(rf'"GET {re.escape(parts.path)}" 200 (\d+) .*"hit"', since=since)
    assert int(line[1]) == len(item.data) < len(answer)
    with connected(url, receive_buffer=4096) as connection:
        connection.sendall(request(url))
        assert connection.recv(100)
    line = running.wait_log(rf'"GET {re.escape(parts.path)}" 499 (\d+) ', since=since)
    assert 0 < int(line[1]) < len(item.data)


def test_clients_that_leave_take_nothing_with_them(running: Daemon, item: Wheel) -> None:
    """No descriptor stays behind, and no line is logged as if it were a bug."""
    url = running.link(item)
    process = psutil.Process(running.pid)
    with connected(url) as connection:
        connection.sendall(request(f"{running.url}/healthz"))
        assert connection.recv(100)
    before = process.num_fds()
    for _ in range(20):
        with connected(url, receive_buffer=4096) as connection:
            connection.sendall(request(url))
            assert connection.recv(100)
    while process.num_fds() > before:
        get(f"{running.url}/healthz")
    assert "Traceback" not in running.log
    assert "Error handling" not in running.log


SLOW = [20, 200, pytest.param(500, marks=pytest.mark.soak)]


@pytest.mark.parametrize("clients", SLOW)
def test_slow_readers_of_a_large_file_cost_no_memory(origin: Origin, daemon: Make, clients: int) -> None:
    """L13: *Memory is bounded*, and nobody else is held up."""
    hasher, zeros = hashlib.sha256(), bytes(1 << 20)
    for _ in range(LARGE >> 20):
        hasher.update(zeros)
    sha256 = hasher.hexdigest()
    # All zeros: the origin needn't have it, and the disk hardly.
    listed = artifact("huge", "1.0", "huge-1.0-py3-none-any.whl", b"")
    origin.add(listed, hashes={"sha256": sha256}, size=LARGE)
    running = daemon(config_for(origin), fresh=True)
    blob = blob_of(running, sha256)
    blob.parent.mkdir(mode=0o700, parents=True)
    with blob.open("wb") as file:
        file.truncate(LARGE)
    url = running.link(listed)
    assert get(url, {"Range": "bytes=0-9"}).body == bytes(10)
    before = running.rss().total
    slow = [connected(url, receive_buffer=65536) for _ in range(clients)]
    for connection in slow:
        connection.sendall(request(url))
    for connection in slow:
        # Each has its megabyte and stops: all of them are being served, and none gets on.
        left = 1 << 20
        while left > 0:
            left -= len(connection.recv(min(left, 65536)))
    grown = running.rss().total - before
    with connected(url) as fast:
        fast.sendall(request(url))
        response = http.client.HTTPResponse(fast)
        response.begin()
        count, buffer = 0, bytearray(1 << 20)
        while size := response.readinto(buffer):
            count += size
    assert count == LARGE
    for connection in slow:
        connection.close()
    assert grown < 50 << 20
