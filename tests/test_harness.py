"""The harness does what it says: otherwise the tests that stand on it prove nothing."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import io
import json
import socket
import ssl
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import trustme

from tests import wheels
from tests.client import get, raw
from tests.clock import ManualClock
from tests.daemon import Daemon, config_for
from tests.environment import REPOSITORY, clean
from tests.installers import pip_download, pip_dry_run, pip_install, uv_compile, uv_install
from tests.origin import (
    Action,
    BlackHole,
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
JSON = "application/vnd.pypi.simple.v1+json"


@pytest.fixture
def url(origin: Origin) -> str:
    """Where the origin serves DEMO."""
    origin.add(HELPER)
    return origin.url + origin.add(DEMO).path


def exchange(origin: Origin, path: str, *headers: str) -> bytes:
    """All that one GET brings, to the end of the connection."""
    lines = "".join(f"{header}\r\n" for header in headers)
    return raw("127.0.0.1", origin.port, f"GET {path} HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode())


class Connected:
    """A client that reads by hand."""

    def __init__(self, origin: Origin, path: str, method: str = "GET") -> None:
        self.socket = socket.create_connection(("127.0.0.1", origin.port), timeout=20)
        self.ask(path, method)

    def ask(self, path: str, method: str = "GET") -> None:
        self.socket.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())

    def read(self, size: int) -> bytes:
        """`size` bytes; fewer if the connection ends in order first."""
        data = bytearray()
        while len(data) < size and (piece := self.socket.recv(size - len(data))):
            data += piece
        return bytes(data)

    def head(self) -> bytes:
        data = b""
        while not data.endswith(b"\r\n\r\n"):
            piece = self.socket.recv(1)
            assert piece, data
            data += piece
        return data

    def close(self) -> None:
        self.socket.close()


@pytest.fixture
def connect(origin: Origin) -> Callable[..., Connected]:
    def make(path: str, method: str = "GET") -> Connected:
        return Connected(origin, path.removeprefix(origin.url), method)

    return make


# Wheels


def test_the_same_arguments_give_the_same_wheel() -> None:
    again = wheels.wheel("demo", "1.0", size=300_000, requires=["helper>=1"], requires_python=">=3.8")
    assert again == DEMO
    assert wheels.wheel("demo", "1.1", size=300_000).sha256 != DEMO.sha256


def test_a_wheel_holds_what_its_record_says() -> None:
    with zipfile.ZipFile(io.BytesIO(DEMO.data)) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        record = archive.read("demo-1.0.dist-info/RECORD").decode().splitlines()
        assert archive.read("demo-1.0.dist-info/METADATA") == DEMO.metadata
    assert [line.split(",")[0] for line in record] == names
    assert hashlib.sha256(DEMO.data).hexdigest() == DEMO.sha256
    assert hashlib.sha256(DEMO.metadata).hexdigest() == DEMO.metadata_sha256
    assert 300_000 <= len(DEMO.data) < 302_000


@pytest.mark.parametrize(
    ("name", "options", "filename"),
    [
        ("Some.Thing-else", {}, "some_thing_else-1.0-py3-none-any.whl"),
        ("demo", {"build": "2"}, "demo-1.0-2-py3-none-any.whl"),
        ("demo", {"tag": "cp311-cp311-linux_x86_64"}, "demo-1.0-cp311-cp311-linux_x86_64.whl"),
    ],
)
def test_a_wheel_is_named_by_the_standard(name: str, options: dict[str, str], filename: str) -> None:
    made = wheels.wheel(name, "1.0", build=options.get("build"), tag=options.get("tag", "py3-none-any"))
    assert made.filename == filename


def test_padding_differs_from_itself_at_every_power_of_two() -> None:
    """A splice that is wrong by whole blocks is seen."""
    data = wheels.padding(8 << 20)
    assert len(data) == 8 << 20
    for power in range(23):
        shift = 1 << power
        assert data[shift : shift + 4096] != data[:4096], power


@pytest.mark.parametrize("form", ["json", "html"])
def test_a_big_page_lists_as_many_files_as_asked(form: str) -> None:
    page = wheels.big_page("Huge.Thing", 2000, form=form)
    assert page.count(b"huge_thing-") == 4000
    if form == "json":
        assert len(json.loads(page)["files"]) == 2000


# The clock


def test_time_stands_still_until_it_is_moved(clock: ManualClock) -> None:
    wall, monotonic = clock(), clock.monotonic()
    assert (clock(), clock.monotonic()) == (wall, monotonic)
    clock.advance(90)
    assert (clock(), clock.monotonic()) == (wall + 90, monotonic + 90)
    clock.jump(-3600)
    assert (clock(), clock.monotonic()) == (wall - 3510, monotonic + 90)
    with pytest.raises(ValueError, match="backwards"):
        clock.advance(-1)


# Right answers


def test_a_page_is_json_or_html_by_accept(origin: Origin, url: str) -> None:
    page = get(origin.simple + "demo/", {"Accept": JSON})
    assert page.headers["content-type"] == JSON
    (file,) = page.json()["files"]
    assert file["url"] == url
    assert file["hashes"] == {"sha256": DEMO.sha256}
    assert file["core-metadata"] == {"sha256": DEMO.metadata_sha256}
    assert file["size"] == len(DEMO.data)
    assert file["requires-python"] == ">=3.8"
    html = get(origin.simple + "demo/")
    assert html.headers["content-type"] == "text/html; charset=utf-8"
    assert f'href="{url}#sha256={DEMO.sha256}"' in html.text
    assert 'data-requires-python="&gt;=3.8"' in html.text


def test_a_page_is_as_its_options_say(origin: Origin, url: str) -> None:
    origin.project(
        "demo", form="html", links="relative", etag=False, last_modified=False, headers={"Age": "7"}
    )
    page = get(origin.simple + "demo/", {"Accept": JSON})
    assert 'href="../../packages/' in page.text
    assert page.headers["age"] == "7"
    assert not {"etag", "last-modified"} & page.headers.keys()
    origin.project("demo", body=b"not a page", content_type="text/odd", gzip=True)
    assert get(origin.simple + "demo/").body == b"not a page"
    packed = get(origin.simple + "demo/", {"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    origin.project("demo", status=503, headers={"Retry-After": "7"})
    refused = get(origin.simple + "demo/")
    assert (refused.status, refused.headers["retry-after"]) == (503, "7")


def test_a_page_is_304_while_it_is_unchanged(origin: Origin, url: str) -> None:
    page = origin.simple + "demo/"
    first = get(page).headers
    by_etag, by_date = {"If-None-Match": first["etag"]}, {"If-Modified-Since": first["last-modified"]}
    assert [get(page, by_etag).status, get(page, by_date).status] == [304, 304]
    origin.add(wheels.wheel("demo", "1.1"))
    assert [get(page, by_etag).status, get(page, by_date).status] == [200, 200]


def test_names_are_normalised_and_unknown_ones_are_404(origin: Origin, url: str) -> None:
    assert get(origin.simple + "Demo/").headers["location"] == "/simple/demo/"
    assert get(origin.simple + "demo").status == 301
    assert get(origin.simple + "other/").status == 404
    origin.remove("demo")
    assert get(origin.simple + "demo/").status == 404
    assert get(url).status == 200


def test_a_removed_file_is_gone_from_page_and_path(origin: Origin, url: str) -> None:
    origin.remove_file(DEMO.filename, keep_bytes=True)
    assert get(origin.simple + "demo/", {"Accept": JSON}).json()["files"] == []
    assert get(url).status == 200
    origin.remove_file(DEMO.filename)
    assert [get(url).status, get(f"{url}.metadata").status] == [404, 404]


@pytest.mark.parametrize(
    ("advertised", "written", "status"),
    [
        (True, {"sha256": DEMO.metadata_sha256}, 200),
        ("bare", True, 200),
        (False, False, 404),
        ({"sha256": "00"}, {"sha256": "00"}, 200),
    ],
)
def test_a_sidecar_is_what_the_page_advertises(
    origin: Origin, advertised: bool, written: object, status: int
) -> None:
    path = origin.add(DEMO, core_metadata=advertised).path
    assert get(origin.simple + "demo/", {"Accept": JSON}).json()["files"][0]["core-metadata"] == written
    sidecar = get(f"{origin.url}{path}.metadata")
    assert sidecar.status == status
    assert (sidecar.body == DEMO.metadata) is (status == 200)


def test_legacy_json_and_the_list_of_projects(origin: Origin, url: str) -> None:
    assert get(f"{origin.url}/pypi/demo/json").status == 404
    origin.legacy = True
    assert get(f"{origin.url}/pypi/demo/json").json()["releases"]["1.0"][0]["url"] == url
    names = [project["name"] for project in get(origin.simple, {"Accept": JSON}).json()["projects"]]
    assert names == ["demo", "helper"]
    assert 'href="helper/"' in get(origin.simple).text


def test_a_file_may_lie_anywhere_and_be_linked_elsewhere(origin: Origin) -> None:
    origin.add(HELPER, path="/odd/place+1/h.whl", url="https://files.example.org/h.whl", yanked="bad", size=9)
    (file,) = get(origin.simple + "helper/", {"Accept": JSON}).json()["files"]
    assert (file["url"], file["yanked"], file["size"]) == ("https://files.example.org/h.whl", "bad", 9)
    assert get(f"{origin.url}/odd/place%2B1/h.whl").body == HELPER.data


SIZE = len(DEMO.data)


@pytest.mark.parametrize(
    ("asked", "status", "start", "stop"),
    [
        ("bytes=0-0", 206, 0, 1),
        ("bytes=10-19", 206, 10, 20),
        ("bytes=250000-", 206, 250_000, SIZE),
        ("bytes=-5", 206, SIZE - 5, SIZE),
        (f"bytes=-{SIZE + 5}", 206, 0, SIZE),
        (f"bytes=5-{SIZE + 5}", 206, 5, SIZE),
        ("bytes=0-1,4-5", 200, 0, SIZE),
        ("bytes=9-5", 200, 0, SIZE),
        ("bytes=-", 200, 0, SIZE),
        ("lines=1-2", 200, 0, SIZE),
    ],
)
def test_a_range_is_that_part_of_the_file(url: str, asked: str, status: int, start: int, stop: int) -> None:
    got = get(url, {"Range": asked})
    assert got.status == status
    assert got.body == DEMO.data[start:stop]
    assert got.headers["content-length"] == str(stop - start)
    if status == 206:
        assert got.headers["content-range"] == f"bytes {start}-{stop - 1}/{SIZE}"


@pytest.mark.parametrize("asked", [f"bytes={SIZE}-", "bytes=-0", f"bytes={SIZE + 9}-{SIZE + 10}"])
def test_a_range_beyond_the_end_is_416(url: str, asked: str) -> None:
    got = get(url, {"Range": asked})
    assert (got.status, got.headers["content-range"]) == (416, f"bytes */{SIZE}")


def test_if_range_decides_between_part_and_whole(url: str) -> None:
    head = get(url, method="HEAD")
    assert head.headers["content-length"] == str(SIZE)
    assert head.body == b""
    statuses = [
        get(url, {"Range": "bytes=5-", "If-Range": condition}).status
        for condition in (head.headers["etag"], head.headers["last-modified"], '"other"')
    ]
    assert statuses == [206, 206, 200]
    assert get(url, {"Range": "bytes=5-"}, method="HEAD").status == 200


# Faults


@pytest.mark.parametrize("at", [0, 1, 1000, SIZE - 1, SIZE])
def test_a_reset_comes_after_exactly_so_many_bytes(
    origin: Origin, url: str, connect: Callable[..., Connected], at: int
) -> None:
    origin.script(DEMO.filename, ResetAt(at))
    client = connect(url)
    assert b" 200 OK" in client.head()
    assert client.read(at) == DEMO.data[:at]
    with pytest.raises(ConnectionResetError):
        client.read(1)
    client.close()
    origin.wait_for(lambda: origin.requests[0].state == "reset")
    assert origin.bytes_sent(DEMO.filename) == at
    assert get(url).body == DEMO.data


@pytest.mark.parametrize("at", [0, 1000, SIZE - 1])
def test_an_early_close_is_orderly(
    origin: Origin, url: str, connect: Callable[..., Connected], at: int
) -> None:
    origin.script(DEMO.filename, CloseAt(at))
    client = connect(url)
    assert f"Content-Length: {SIZE}".encode() in client.head()
    assert client.read(SIZE) == DEMO.data[:at]
    client.close()
    assert origin.requests[0].state == "closed"


def test_a_stall_lasts_until_it_is_released(
    origin: Origin, url: str, connect: Callable[..., Connected]
) -> None:
    origin.script(DEMO.filename, StallAt(1000))
    client = connect(url)
    client.head()
    assert client.read(1000) == DEMO.data[:1000]
    origin.wait_for(lambda: origin.stalled == 1)
    assert origin.bytes_sent(DEMO.filename) == 1000
    origin.release()
    assert client.read(SIZE - 1000) == DEMO.data[1000:]
    client.close()
    origin.wait_for(lambda: origin.in_flight == 0)
    assert origin.requests[0].state == "complete"


def test_a_stall_can_wait_for_a_gate_and_then_break(
    origin: Origin, url: str, connect: Callable[..., Connected]
) -> None:
    gate = Gate()
    origin.script(DEMO.filename, Both(StallAt(10, gate), ResetAt(20)))
    client = connect(url)
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


def test_a_client_that_leaves_ends_its_request(
    origin: Origin, url: str, connect: Callable[..., Connected]
) -> None:
    origin.script(DEMO.filename, StallAt(1000))
    client = connect(url)
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


def test_a_request_can_hang_before_its_answer(
    origin: Origin, url: str, connect: Callable[..., Connected]
) -> None:
    gate = Gate()
    origin.script(DEMO.filename, Hang(), Delay(gate))
    clients = [connect(url), connect(url)]
    origin.wait_for(lambda: origin.stalled == 2)
    assert [request.status for request in origin.requests] == [None, None]
    origin.release()
    gate.open()
    for client in clients:
        assert b"200 OK" in client.head()
        assert client.read(SIZE) == DEMO.data
        client.close()


def test_a_slow_reader_holds_the_origin_back(origin: Origin, connect: Callable[..., Connected]) -> None:
    """What is counted as sent is close to what the client has: buffers are bounded, bodies are not copied."""
    path = origin.add(wheels.wheel("big", "1.0", size=60_000_000)).path
    before = psutil.Process().memory_info().rss
    clients = [connect(path) for _ in range(10)]
    for client in clients:
        client.head()
    origin.wait_for(lambda: all(request.bytes_sent > 100_000 for request in origin.requests))
    assert psutil.Process().memory_info().rss - before < 60_000_000
    assert all(request.bytes_sent < 30_000_000 for request in origin.requests)
    for client in clients:
        client.close()


# The log, outages, connections


def test_every_request_is_logged(origin: Origin, url: str) -> None:
    get(url, {"Range": "bytes=0-9", "X-Thing": "1"})
    get(url, method="HEAD")
    get(origin.simple + "demo/")
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


def test_one_connection_takes_many_requests(
    origin: Origin, url: str, connect: Callable[..., Connected]
) -> None:
    client = connect(url)
    for _ in range(3):
        client.head()
        assert client.read(SIZE) == DEMO.data
        client.ask(url.removeprefix(origin.url))
    client.close()
    assert origin.connections == 1


def test_a_closed_origin_refuses_and_a_reopened_one_answers(
    origin: Origin, url: str, connect: Callable[..., Connected]
) -> None:
    client = connect(url)
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


def test_idle_connections_can_be_dropped(origin: Origin, url: str, connect: Callable[..., Connected]) -> None:
    client = connect(url, "HEAD")
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


# Installers


def test_pip_installs_a_made_wheel_and_what_it_requires(origin: Origin, url: str, tmp_path: Path) -> None:
    pip_install(tmp_path / "target", "demo", index_url=origin.simple).check()
    assert (tmp_path / "target/demo/padding.bin").stat().st_size == 300_000
    assert (tmp_path / "target/helper/__init__.py").exists()
    assert origin.count(".metadata") == 2


def test_uv_installs_a_made_wheel_and_what_it_requires(origin: Origin, url: str, tmp_path: Path) -> None:
    uv_install(tmp_path / "target", "demo", index_url=origin.simple).check()
    assert (tmp_path / "target/demo/padding.bin").stat().st_size == 300_000
    assert (tmp_path / "target/helper/__init__.py").exists()


def test_both_build_a_made_sdist(origin: Origin, tmp_path: Path) -> None:
    origin.add(wheels.sdist("built", "3.0"))
    pip_install(tmp_path / "pip", "built", index_url=origin.simple).check()
    uv_install(tmp_path / "uv", "built", index_url=origin.simple).check()
    for tool in ("pip", "uv"):
        assert "3.0" in (tmp_path / tool / "built/__init__.py").read_text()


def test_a_dry_run_resolves_and_installs_nothing(origin: Origin, url: str, tmp_path: Path) -> None:
    run = pip_dry_run(tmp_path, "demo", index_url=origin.simple).check()
    assert "Would install demo-1.0 helper-2.0" in run.out
    assert len(origin.gets(f"{DEMO.filename}.metadata")) == 1


def test_uv_compiles_from_pages_and_sidecars_alone(origin: Origin, url: str, tmp_path: Path) -> None:
    compiled = uv_compile(tmp_path, "demo", index_url=origin.simple, extra_args=["--generate-hashes"]).check()
    assert f"--hash=sha256:{DEMO.sha256}" in compiled.out
    assert "helper==2.0" in compiled.out
    assert origin.count(".metadata") == origin.count(".whl") == 2


def test_a_download_keeps_the_bytes_and_a_cache_saves_the_next_one(
    origin: Origin, url: str, tmp_path: Path
) -> None:
    for place in ("one", "two"):
        run = pip_download(
            tmp_path / place, "helper", index_url=origin.simple, cache=tmp_path / "cache"
        ).check()
        assert (tmp_path / place / HELPER.filename).read_bytes() == HELPER.data, run.out
    origin.forget()
    uv_install(tmp_path / "three", "helper", index_url=origin.simple, cache=tmp_path / "uv").check()
    uv_install(tmp_path / "four", "helper", index_url=origin.simple, cache=tmp_path / "uv").check()
    assert len(origin.gets(HELPER.filename)) == 1


def test_an_installer_that_fails_says_so(origin: Origin, tmp_path: Path) -> None:
    for install in (pip_install, uv_install):
        result = install(tmp_path / "target", "nothing", index_url=origin.simple)
        assert result.code != 0
        assert "nothing" in result.out
        with pytest.raises(AssertionError):
            result.check()


def test_the_machines_own_settings_reach_no_subprocess(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PIP_INDEX_URL", "UV_INDEX_URL", "HTTP_PROXY", "PYPICACHE_CONFIG", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    environment = clean(tmp_path / "home", {"EXTRA": "1"})
    assert "http://127.0.0.1:9" not in environment.values()
    assert environment["HOME"] == str(tmp_path / "home")
    assert environment["EXTRA"] == "1"


# The daemon's harness


def test_a_configuration_names_each_mirror(origins: Callable[..., Origin]) -> None:
    first, second = origins(), origins()
    config = config_for(first, second, mirror={"connections": 1}, index={"ttl": "1s"}, log={"level": "debug"})
    assert config == {
        "log": {"level": "debug"},
        "indexes": {
            "root/pypi": {
                "mirrors": [
                    {"url": first.simple, "name": "origin", "connections": 1},
                    {"url": second.simple, "name": "origin2", "connections": 1},
                ],
                "ttl": "1s",
            }
        },
    }


STAND_IN = """
import http.server, os, signal, sys
class Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/healthz" else 404)
        self.end_headers()
server = http.server.HTTPServer(("127.0.0.1", int(os.environ["STAND_IN_PORT"])), Healthy)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(int(os.environ["STAND_IN_EXIT"])))
print("listening on http://127.0.0.1:%d" % server.server_port, file=sys.stderr, flush=True)
server.serve_forever()
"""


@pytest.fixture
def stand_in(tmp_path: Path) -> list[str]:
    """A wrapper that runs a program which only listens, in place of the daemon: what is tested here is the harness."""
    script = tmp_path / "stand_in.py"
    script.write_text(STAND_IN)
    return [sys.executable, str(script)]


def test_a_daemon_starts_stops_and_starts_again(daemon: Callable[..., Daemon], stand_in: list[str]) -> None:
    one = daemon(config_for(), wrapper=stand_in, env={"STAND_IN_PORT": "0", "STAND_IN_EXIT": "7"})
    assert get(f"{one.url}/healthz").status == 200
    assert one.wait_log(r"listening on (\S+)").group(1) == one.url
    assert one.rss().own > 1_000_000
    assert one.rss().children == {}
    assert one.stop() == 7
    with pytest.raises(ConnectionRefusedError):
        get(f"{one.url}/healthz")
    with pytest.raises(RuntimeError, match="doesn't run"):
        _ = one.pid
    one.start()
    assert one.log.count("listening on") == 2
    assert one.kill() == -9


def test_a_daemon_that_does_not_start_shows_its_log(daemon: Callable[..., Daemon], tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; print('the reason'); sys.exit(3)"]
    with pytest.raises(AssertionError, match=r"ended with 3:\nthe reason"):
        daemon(config_for(), wrapper=command)


def test_a_silent_daemon_is_ended(daemon: Callable[..., Daemon]) -> None:
    silent = daemon(
        config_for(), start=False, wrapper=[sys.executable, "-c", "import signal; signal.pause()"]
    )
    with pytest.raises(AssertionError, match="doesn't say that it listens"):
        silent.start(timeout=0.5)
    with pytest.raises(RuntimeError, match="doesn't run"):
        _ = silent.pid


def test_a_daemons_children_do_not_outlive_its_fixture(tmp_path: Path) -> None:
    script = "import subprocess, sys; print(subprocess.Popen(['sleep', '99']).pid, flush=True)\n" + STAND_IN
    (tmp_path / "parent.py").write_text(script)
    parent = Daemon(
        tmp_path / "d",
        config_for(),
        wrapper=[sys.executable, str(tmp_path / "parent.py")],
        env={"STAND_IN_PORT": "0", "STAND_IN_EXIT": "0"},
    ).start()
    (child,) = parent.children()
    assert list(parent.rss().children) == [child.pid]
    parent.kill()
    assert child.is_running()
    parent.close()
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


# The rules of a run


SKIPPING = """
import pytest

def test_skips():
    pytest.skip("no tool")

@pytest.mark.live
def test_live_may_skip():
    pytest.skip("no network")

@pytest.mark.xfail(reason="known", strict=True)
def test_expected_failure():
    raise AssertionError
"""


@pytest.mark.parametrize(
    ("ci", "code", "summary"), [("1", 1, "1 failed, 1 skipped, 1 xfailed"), ("", 0, "2 skipped")]
)
def test_a_skip_is_a_failure_where_nobody_looks(tmp_path: Path, ci: str, code: int, summary: str) -> None:
    (tmp_path / "test_one.py").write_text(SKIPPING)
    outcome = run_pytest(tmp_path, ci)
    assert (outcome.returncode, summary in outcome.stdout) == (code, True), outcome.stdout


def test_a_module_that_skips_itself_is_a_failure_where_nobody_looks(tmp_path: Path) -> None:
    (tmp_path / "test_one.py").write_text("import pytest\npytest.skip('no tool', allow_module_level=True)\n")
    outcome = run_pytest(tmp_path, "1")
    assert outcome.returncode != 0
    assert "no tool" in outcome.stdout
    assert "1 error" in outcome.stdout


def run_pytest(folder: Path, ci: str) -> subprocess.CompletedProcess[str]:
    """A run of its own under this suite's conftest."""
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = live: asks\nasyncio_mode = auto\n")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "-p", "no:cacheprovider", "."],
        cwd=folder,
        env=clean(folder / "home", {"PYTHONPATH": str(REPOSITORY), "PYPICACHE_CI": ci}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
