"""The scripted origin tells what it was asked, and dies, revives and fails as told."""

from __future__ import annotations

import asyncio
import http.client
import socket
import ssl
import time

import pytest
import trustme

from tests import wheels
from tests.client import ByHand, get, raw
from tests.origin import BlackHole, CloseAt, Origin, ResetAt, StallAt

DEMO = wheels.wheel("demo", "1.0", size=300_000, requires=["helper>=1"], requires_python=">=3.8")
HELPER = wheels.wheel("helper", "2.0")
SIZE = len(DEMO.data)


@pytest.fixture
def url(origin: Origin) -> str:
    """Where the origin serves DEMO."""
    origin.add(HELPER)
    return origin.url + origin.add(DEMO).path


def test_every_request_is_logged(origin: Origin, url: str) -> None:
    get(url, {"Range": "bytes=0-9", "X-Thing": "1"})
    get(url, method="HEAD")
    get(origin.simple + "demo/")
    origin.quiet()
    first, second, third = origin.requests
    assert (first.method, first.status, first.bytes_sent, first.headers["x-thing"]) == ("GET", 206, 10, "1")
    assert (second.method, second.bytes_sent, third.path) == ("HEAD", 0, "/simple/demo/")
    assert [r.finished for r in origin.requests] == [0, 1, 2]
    assert [r.connection for r in origin.requests] == [0, 1, 2]
    assert (origin.count("demo"), origin.count("demo", None), origin.count("demo", "HEAD")) == (2, 3, 1)
    assert origin.gets("demo") == [third]
    assert origin.gets(DEMO.filename) == [first]
    assert origin.bytes_sent(DEMO.filename) == 10
    origin.forget()
    assert origin.requests == []


def test_one_connection_takes_many_requests(origin: Origin, url: str) -> None:
    client = ByHand(url)
    for _ in range(3):
        client.head()
        assert client.read(SIZE) == DEMO.data
        client.ask(url.removeprefix(origin.url))
    client.close()
    assert origin.connections == 1


def test_a_connection_takes_its_time_to_open() -> None:
    """As one to somebody far away: what is asked on it arrives a round trip after it was begun."""
    with Origin(handshake=0.2) as far:
        far.add(DEMO)
        began = time.monotonic()
        assert get(far.simple + "demo/").status == 200
        assert far.requests[0].opened_at - began >= 0.2


def test_a_closed_origin_refuses_and_a_reopened_one_answers(origin: Origin, url: str) -> None:
    client = ByHand(url)
    client.head()
    client.read(SIZE)
    origin.close()
    with pytest.raises(ConnectionResetError):
        client.read(1)
    client.close()
    with pytest.raises(ConnectionRefusedError):
        get(url)
    origin.reopen()
    assert get(url).body == DEMO.data


def test_idle_connections_can_be_dropped(origin: Origin, url: str) -> None:
    client = ByHand(url, "HEAD")
    client.head()
    origin.drop_connections()
    with pytest.raises(ConnectionResetError):
        client.read(1)
    client.close()
    assert origin.open_connections == 0


def test_a_wait_that_is_in_vain_tells_what_was_asked(origin: Origin, url: str) -> None:
    get(url)
    with pytest.raises(AssertionError, match=r"GET /packages/.* 200 complete"):
        origin.wait_for(lambda: False, timeout=0.01)


async def test_a_coroutine_waits_without_holding_its_loop(origin: Origin, url: str) -> None:
    origin.script(DEMO.filename, StallAt(10))
    asking = asyncio.create_task(asyncio.to_thread(get, url))
    await origin.until(lambda: origin.stalled == 1)
    origin.release()
    assert (await asking).body == DEMO.data
    with pytest.raises(AssertionError, match="not within"):
        await origin.until(lambda: False, timeout=0.01)
    with pytest.raises(AssertionError, match="await until"):
        origin.wait_for(lambda: True)


async def test_an_origin_serves_inside_a_coroutine() -> None:
    async with Origin() as here:
        assert (await asyncio.to_thread(get, here.simple)).status == 200


def test_an_error_of_an_action_is_raised_at_the_end() -> None:
    def broken(reply: object) -> object:
        raise LookupError("no such thing")

    origin = Origin().start()
    origin.script("/simple/", broken)  # type: ignore[arg-type]  # a test's mistake
    with pytest.raises(ConnectionError):
        get(origin.simple)
    with pytest.raises(RuntimeError, match="origin itself"):
        origin.stop()


def test_a_truncated_body_is_an_error_to_the_client(origin: Origin, url: str) -> None:
    origin.script(DEMO.filename, CloseAt(10))
    with pytest.raises(http.client.IncompleteRead):
        get(url)


def test_tls_is_served_with_the_given_certificate() -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with Origin(tls=context) as origin:
        path = origin.add(DEMO).path
        origin.script(DEMO.filename, ResetAt(1000))
        trusting = ssl.create_default_context()
        authority.configure_trust(trusting)
        for expected in (1000, SIZE):
            client = http.client.HTTPSConnection("127.0.0.1", origin.port, timeout=20, context=trusting)
            client.request("GET", path)
            response = client.getresponse()
            assert response.read(expected) == DEMO.data[:expected]
            client.close()
        with pytest.raises(ssl.SSLCertVerificationError):
            get(origin.simple)


def test_connecting_to_a_black_hole_takes_for_ever() -> None:
    with BlackHole() as hole, pytest.raises(TimeoutError):
        socket.create_connection(("127.0.0.1", hole.port), timeout=0.5)


def test_raw_gives_up_on_a_server_that_keeps_the_connection(origin: Origin) -> None:
    with pytest.raises(TimeoutError, match=r"HTTP/1\.1 404"):
        raw("127.0.0.1", origin.port, b"GET / HTTP/1.1\r\n\r\n", timeout=0.3)
