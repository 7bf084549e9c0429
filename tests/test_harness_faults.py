"""Every fault of the scripted origin is the one that its name says: otherwise tests of faults prove nothing."""

from __future__ import annotations

import threading
import time

import psutil
import pytest

from tests import wheels
from tests.client import ByHand, get, raw
from tests.origin import (
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
    Gate,
    Gzipped,
    Hang,
    Headers,
    IgnoreRange,
    LieLength,
    NoLength,
    Normal,
    Origin,
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

DEMO = wheels.wheel("demo", "1.0", size=300_000, requires=["helper>=1"], requires_python=">=3.8")
HELPER = wheels.wheel("helper", "2.0")
SIZE = len(DEMO.data)


@pytest.fixture
def url(origin: Origin) -> str:
    """Where the origin serves DEMO."""
    origin.add(HELPER)
    return origin.url + origin.add(DEMO).path


def exchange(origin: Origin, path: str) -> bytes:
    """All that one GET brings, to the end of the connection."""
    return raw("127.0.0.1", origin.port, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())


@pytest.mark.parametrize("at", [0, 1, 1000, SIZE - 1, SIZE])
def test_a_reset_comes_after_exactly_so_many_bytes(origin: Origin, url: str, at: int) -> None:
    origin.script(DEMO.filename, ResetAt(at))
    client = ByHand(url)
    assert b" 200 OK" in client.head()
    assert client.read(at) == DEMO.data[:at]
    with pytest.raises(ConnectionResetError):
        client.read(1)
    client.close()
    origin.wait_for(lambda: origin.requests[0].state == "reset")
    assert origin.bytes_sent(DEMO.filename) == at
    assert get(url).body == DEMO.data


@pytest.mark.parametrize("at", [0, 1000, SIZE - 1])
def test_an_early_close_is_orderly(origin: Origin, url: str, at: int) -> None:
    origin.script(DEMO.filename, CloseAt(at))
    client = ByHand(url)
    assert f"Content-Length: {SIZE}".encode() in client.head()
    assert client.read(SIZE) == DEMO.data[:at]
    client.close()
    assert origin.requests[0].state == "closed"


def test_a_stall_lasts_until_it_is_released(origin: Origin, url: str) -> None:
    origin.script(DEMO.filename, StallAt(1000))
    client = ByHand(url)
    client.head()
    assert client.read(1000) == DEMO.data[:1000]
    origin.wait_for(lambda: origin.stalled == 1)
    assert origin.bytes_sent(DEMO.filename) == 1000
    origin.release()
    assert client.read(SIZE - 1000) == DEMO.data[1000:]
    client.close()
    origin.quiet()
    assert origin.requests[0].state == "complete"


def test_a_stall_can_wait_for_a_gate_and_then_break(origin: Origin, url: str) -> None:
    gate = Gate()
    origin.script(DEMO.filename, Both(StallAt(10, gate), ResetAt(20)))
    client = ByHand(url)
    client.head()
    client.read(10)
    origin.wait_for(lambda: origin.stalled == 1)
    origin.release()
    assert origin.stalled == 1
    gate.open()
    assert client.read(10) == DEMO.data[10:20]
    with pytest.raises(ConnectionResetError):
        client.read(1)
    client.close()


def test_a_client_that_leaves_ends_its_request(origin: Origin, url: str) -> None:
    origin.script(DEMO.filename, StallAt(1000))
    client = ByHand(url)
    origin.wait_for(lambda: origin.stalled == 1)
    client.close()
    origin.wait_for(lambda: origin.requests[0].state == "left")
    origin.wait_for(lambda: origin.open_connections == 0)
    assert origin.in_flight == 0


@pytest.mark.parametrize(
    ("action", "arrives"),
    [
        (ResetBeforeStatus(), b""),
        (CloseBeforeStatus(), b""),
        (ResetInHead(12), b"HTTP/1.1 200"),
        (Garbage(b"HTTP/9 nonsense\r\n"), b"HTTP/9 nonsense\r\n"),
    ],
)
def test_a_broken_head_is_all_that_comes(origin: Origin, url: str, action: Action, arrives: bytes) -> None:
    origin.script(DEMO.filename, action)
    assert exchange(origin, url.removeprefix(origin.url)) == arrives
    assert get(url).status == 200


@pytest.mark.parametrize(
    ("action", "head", "body"),
    [
        (LieLength(7), b"Content-Length: 7\r\n", DEMO.data),
        (LieLength(SIZE + 7), f"Content-Length: {SIZE + 7}\r\n".encode(), DEMO.data),
        (NoLength(), b"Connection: close\r\n", DEMO.data),
        (CloseAfter(), f"Content-Length: {SIZE}\r\n".encode(), DEMO.data),
        (
            Both(Body(b"abcde"), Chunked(2), CloseAfter()),
            b"chunked\r\n",
            b"2\r\nab\r\n2\r\ncd\r\n1\r\ne\r\n0\r\n\r\n",
        ),
        (Both(Chunked(9), CloseAt(4)), b"chunked\r\n", b"4\r\n" + DEMO.data[:4] + b"\r\n"),
        (Both(Headers({"Content-Length": "3"}), CloseAfter()), b"Content-Length: 3\r\n", DEMO.data),
    ],
)
def test_framing_is_as_ordered(origin: Origin, url: str, action: Action, head: bytes, body: bytes) -> None:
    origin.script(DEMO.filename, action)
    got_head, _, got_body = exchange(origin, url.removeprefix(origin.url)).partition(b"\r\n\r\n")
    assert head in got_head + b"\r\n"
    assert got_body == body
    if isinstance(action, NoLength):
        assert b"Content-Length" not in got_head


@pytest.mark.parametrize("at", [-1, 0, 1234, 10**9, -(10**9)])
def test_wrong_bytes_are_as_many_and_differ_in_one(origin: Origin, url: str, at: int) -> None:
    origin.script(DEMO.filename, WrongBytes(at))
    body = get(url).body
    differing = [i for i, (a, b) in enumerate(zip(body, DEMO.data, strict=True)) if a != b]
    assert differing == [min(max(at if at >= 0 else SIZE + at, 0), SIZE - 1)]


def test_ranges_can_be_ignored_and_lied_about(origin: Origin, url: str) -> None:
    origin.script(DEMO.filename, IgnoreRange(), WrongContentRange("bytes 0-4/5"), Gzipped(), Without("ETag"))
    asked = {"Range": "bytes=10-19"}
    ignored, lied, packed, bare = (get(url, asked) for _ in range(4))
    assert (ignored.status, ignored.body) == (200, DEMO.data)
    assert "content-range" not in ignored.headers
    assert (lied.status, lied.headers["content-range"]) == (206, "bytes 0-4/5")
    assert lied.body == DEMO.data[10:20]
    assert packed.headers["content-encoding"] == "gzip"
    assert "etag" not in bare.headers


def test_each_request_takes_the_next_action(origin: Origin, url: str) -> None:
    origin.script(DEMO.filename, Status(503, {"Retry-After": "7"}), Normal(), Redirect("/elsewhere"))
    first, second, third, fourth = (get(url) for _ in range(4))
    assert (first.status, first.headers["retry-after"], first.body) == (503, "7", b"Service Unavailable\n")
    assert [second.status, third.status, fourth.status] == [200, 302, 200]
    assert third.headers["location"] == "/elsewhere"


def test_the_last_action_stays_if_told_so_until_the_origin_heals(origin: Origin, url: str) -> None:
    origin.script(DEMO.filename, Normal(), Status(500), repeat=True)
    assert [get(url).status for _ in range(4)] == [200, 500, 500, 500]
    origin.heal()
    assert get(url).status == 200


def test_a_script_is_for_that_file_and_not_its_neighbours(origin: Origin, url: str) -> None:
    origin.script(DEMO.filename, Status(500), repeat=True)
    origin.script(lambda request: request.method == "HEAD", Status(405))
    origin.script("/simple/helper/", Status(403))
    assert get(url + ".metadata").status == 200
    assert get(origin.simple + "helper/", method="HEAD").status == 405
    assert get(origin.simple + "helper/").status == 403
    prefixed = origin.add(wheels.artifact("x-demo", "1.0", f"x-{DEMO.filename}", b"x"))
    assert get(origin.url + prefixed.path).status == 200


def test_a_slow_answer_takes_its_time(origin: Origin, url: str) -> None:
    """Rates and delays are lower bounds on time, so that they hold on a loaded machine."""
    slow: list[Action] = [Rate(SIZE * 4), Both(Body(b"abcde"), Drip(20)), Delay(0.2)]
    origin.script(DEMO.filename, *slow)
    for _ in slow:
        began = time.monotonic()
        get(url)
        assert 0.19 <= time.monotonic() - began < 15


def test_one_connection_gets_its_rate_and_two_get_twice_as_much(origin: Origin, url: str) -> None:
    origin.rate_per_connection = SIZE * 2
    began = time.monotonic()
    threads = [threading.Thread(target=get, args=(url,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0.45 <= time.monotonic() - began < 1.9
    assert origin.peak_connections == 4


def test_a_request_can_hang_before_its_answer(origin: Origin, url: str) -> None:
    gate = Gate()
    origin.script(DEMO.filename, Hang(), Delay(gate))
    clients = [ByHand(url), ByHand(url)]
    origin.wait_for(lambda: origin.stalled == 2)
    assert [request.status for request in origin.requests] == [None, None]
    origin.release()
    gate.open()
    for client in clients:
        assert b"200 OK" in client.head()
        assert client.read(SIZE) == DEMO.data
        client.close()


def test_a_slow_reader_holds_the_origin_back(origin: Origin) -> None:
    """What is counted as sent is close to what the client has: buffers are bounded, bodies are not copied."""
    big = origin.url + origin.add(wheels.wheel("big", "1.0", size=60_000_000)).path
    before = psutil.Process().memory_info().rss
    clients = [ByHand(big) for _ in range(10)]
    for client in clients:
        client.head()
    origin.wait_for(lambda: all(request.bytes_sent > 100_000 for request in origin.requests))
    assert psutil.Process().memory_info().rss - before < 60_000_000
    assert all(request.bytes_sent < 30_000_000 for request in origin.requests)
    for client in clients:
        client.close()
