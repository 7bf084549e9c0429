"""Files through a real daemon, from an origin that is told how to behave."""

from __future__ import annotations

import hashlib
import http.client
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from tests.client import get, raw
from tests.daemon import Daemon, config_for
from tests.origin import Origin
from tests.origin_faults import Rate, ResetAt, Status, WrongBytes
from tests.wheels import wheel

Make = Callable[..., Daemon]

JSON = {"Accept": "application/vnd.pypi.simple.v1+json"}


def test_twenty_cold_requests_are_one_download(origin: Origin, daemon: Make) -> None:
    """*One download, many readers*, and the first byte is there long before the last has left the origin."""
    big = wheel("big", "1.0", size=50 << 20)
    origin.add(big)
    origin.script(big.filename, Rate(25 << 20), repeat=True)
    running = daemon(config_for(origin))
    url = running.link(big)
    began = time.monotonic()

    def fetch(_: int) -> tuple[float, str]:
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        connection.request("GET", parts.path)
        response = connection.getresponse()
        digest = hashlib.sha256(response.read(1))
        first = time.monotonic() - began
        while piece := response.read(1 << 20):
            digest.update(piece)
        connection.close()
        return first, digest.hexdigest()

    with ThreadPoolExecutor(20) as pool:
        results = list(pool.map(fetch, range(20)))
    took = time.monotonic() - began
    assert {digest for _, digest in results} == {big.sha256}
    assert len(origin.gets(big.filename)) == 1
    assert max(first for first, _ in results) < took / 2


@pytest.mark.parametrize("size", [0, 300_000, 3 << 20])
def test_wrong_bytes_are_never_completed(origin: Origin, daemon: Make, size: int) -> None:
    """*Nothing unverified is committed*: a small file is a 503, of a large one the end never comes."""
    item = wheel("bad", "1.0", size=size)
    origin.add(item)
    script = origin.script(item.filename, WrongBytes(), repeat=True)
    running = daemon(config_for(origin))
    url = running.link(item)
    for _ in range(2):
        try:
            answer = get(url)
        except (http.client.IncompleteRead, ConnectionError):
            assert size
        else:
            assert answer.status == 503
            assert "Retry-After".lower() in answer.headers
            assert len(answer.body.splitlines()) == 1
    assert "rejected" in running.log
    assert not list(running.cache.glob(f"blobs/sha256/*/*/{item.sha256}"))
    origin.heal()
    del script
    assert get(url).body == item.data


def test_a_client_that_leaves_does_not_stop_the_download(origin: Origin, daemon: Make) -> None:
    item = wheel("left", "1.0", size=4 << 20)
    origin.add(item)
    gate = threading.Event()
    running = daemon(config_for(origin))
    url = running.link(item)
    del gate
    origin.script(item.filename, Rate(8 << 20))
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 0)) as client:
        client.sendall(f"GET {parts.path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert client.recv(1000)
    running.wait_log(f"stored {item.filename}")
    assert get(url).body == item.data
    assert len(origin.gets(item.filename)) == 1


def test_a_reset_in_the_middle_is_not_noticed(origin: Origin, daemon: Make) -> None:
    """*A broken stream goes on elsewhere*: one response, the right bytes, no byte asked for twice but the break's."""
    item = wheel("torn", "1.0", size=2 << 20)
    origin.add(item)
    origin.script(item.filename, ResetAt(1 << 20))
    running = daemon(config_for(origin))
    answer = get(running.link(item))
    assert (answer.status, answer.body) == (200, item.data)
    assert len(origin.gets(item.filename)) == 2


@pytest.mark.parametrize("status", [403, 404, 500, 503])
def test_the_next_mirror_has_the_file(origins: Callable[..., Origin], daemon: Make, status: int) -> None:
    """A 404 or 403 for a file that the page lists is that mirror's fault."""
    first, second = origins(), origins()
    item = wheel("both", "1.0", size=100_000)
    for each in (first, second):
        each.add(item)
    first.script(item.filename, Status(status), repeat=True)
    running = daemon(config_for(first, second))
    assert get(running.link(item)).body == item.data
    assert len(second.gets(item.filename)) == 1


@pytest.mark.parametrize("status", [403, 404, 500])
def test_no_mirror_has_the_file(origin: Origin, daemon: Make, status: int) -> None:
    item = wheel("gone", "1.0", size=100_000)
    origin.add(item)
    origin.script(item.filename, Status(status), repeat=True)
    running = daemon(config_for(origin))
    answer = get(running.link(item))
    assert answer.status == 503
    assert answer.headers["retry-after"].isdigit()
    assert answer.headers["cache-control"] == "no-store"
    assert item.filename in answer.text
    assert str(status) in answer.text


def test_headers_and_conditions_of_a_stored_file(origin: Origin, daemon: Make) -> None:
    item = wheel("kept", "1.0", size=700_000)
    origin.add(item)
    running = daemon(config_for(origin))
    url = running.link(item)
    cold = get(url)
    warm = get(url)
    for answer in (cold, warm):
        assert answer.body == item.data
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["etag"] == f'"{item.sha256}"'
        assert answer.headers["accept-ranges"] == "bytes"
        assert answer.headers["cache-control"] == "public, max-age=365000000, immutable"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "content-encoding" not in answer.headers
        assert "content-disposition" not in answer.headers
    assert cold.headers["cache-status"] == "pypicache; fwd=miss; stored"
    assert warm.headers["cache-status"] == "pypicache; hit"
    etag = f'"{item.sha256}"'
    assert get(url, {"If-None-Match": etag}).status == 304
    size = len(item.data)
    for header, status, expected, span in [
        ("bytes=0-9", 206, item.data[:10], f"bytes 0-9/{size}"),
        ("bytes=-10", 206, item.data[-10:], f"bytes {size - 10}-{size - 1}/{size}"),
        (f"bytes={size - 3}-", 206, item.data[-3:], f"bytes {size - 3}-{size - 1}/{size}"),
        (f"bytes=5-{size + 100}", 206, item.data[5:], f"bytes 5-{size - 1}/{size}"),
        ("bytes=0-1,4-5", 200, item.data, None),
        ("bytes=9-3", 200, item.data, None),
        (f"bytes={size}-", 416, None, f"bytes */{size}"),
    ]:
        answer = get(url, {"Range": header, "Cache-Control": "no-cache"})
        assert (answer.status, answer.headers.get("content-range")) == (status, span), header
        assert expected is None or answer.body == expected
    assert get(url, {"Range": "bytes=5-", "If-Range": etag}).status == 206
    assert get(url, {"Range": "bytes=5-", "If-Range": '"other"'}).status == 200
    assert get(url, {"Range": "bytes=5-", "If-Range": f"W/{etag}"}).status == 200
    head = get(url, method="HEAD")
    assert (head.status, head.headers["content-length"], head.body) == (200, str(size), b"")
    assert len(origin.gets(item.filename)) == 1


def test_a_cut_blob_without_its_link_record_is_fetched_again(origin: Origin, daemon: Make) -> None:
    """The page's own size gives it away, before there is a record and after it was lost."""
    item = wheel("cut", "1.0", size=300_000)
    origin.add(item)
    running = daemon(config_for(origin))
    url = running.link(item)
    get(url)
    running.stop()
    shutil.rmtree(running.cache / "links")
    next(running.cache.glob(f"blobs/sha256/*/*/{item.sha256}")).write_bytes(item.data[:1000])
    assert get(running.start().url + urlsplit(url).path).body == item.data


def test_ranges_of_a_cold_file(origin: Origin, daemon: Make) -> None:
    """F5: the tail of a wheel is asked for before anyone has downloaded it."""
    item = wheel("cold", "1.0", size=600_000)
    origin.add(item)
    url = (running := daemon(config_for(origin))).link(item)
    assert get(url, method="HEAD").headers["content-length"] == str(len(item.data))
    assert len(origin.gets(item.filename)) == 0
    assert get(url, {"Range": "bytes=-16384"}).body == item.data[-16384:]
    assert get(url).body == item.data
    assert running.url


BAD = [
    ("GET", "/nope/simple/demo/", 404),
    ("GET", "/simple/nosuch/", 404),
    ("GET", "/packages/aa/bb/nosuch-1.0.tar.gz", 404),
    ("GET", "/packages/aa/bb/README", 404),
    ("POST", "/simple/demo/", 405),
    ("PUT", "/packages/aa/x-1.0.tar.gz", 405),
    ("DELETE", "/simple/demo/", 405),
    ("GET", "/simple/..%2f..%2fetc/", 404),
    ("GET", "/simple/%2e%2e/", 404),
    ("GET", "/simple/../../etc/passwd", 404),
    ("GET", "/packages/../../etc/passwd", 404),
    ("GET", "/packages/%2e%2e%2f%2e%2e%2fetc%2fpasswd", 404),
    ("GET", "/simple/a%00b/", 404),
    ("GET", "/packages/a/x%00-1.0.tar.gz", 404),
    ("GET", "/simple/-x-/", 404),
    ("GET", "/simple/" + "a" * 300 + "/", 404),
    ("GET", "/" + "a" * 5000, 414),
]


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Origin, Daemon]]:
    """An origin with nothing, and a daemon in front of it."""
    with Origin() as empty, Daemon(tmp_path_factory.mktemp("bare"), config_for(empty)) as running:
        yield empty, running


@pytest.mark.parametrize(("method", "path", "status"), BAD)
def test_bad_input_gets_one_plain_line(
    bare: tuple[Origin, Daemon], method: str, path: str, status: int
) -> None:
    """And nothing of it reaches the disk, or the mirror unless it could be a project's name."""
    origin, running = bare
    parts = urlsplit(running.url)
    before = {path for path in running.cache.rglob("*") if "pages" not in path.parts}
    request = f"{method} {path} HTTP/1.1\r\nHost: {parts.hostname}\r\nConnection: close\r\n\r\n"
    answer = raw(parts.hostname or "", parts.port or 0, request.encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"Cache-Control: no-store" in head
    assert len(body.splitlines()) == 1
    assert before == {path for path in running.cache.rglob("*") if "pages" not in path.parts}
    asked = [request.path for request in origin.requests]
    assert all(name in {"/simple/nosuch/", "/simple/nosuch-1-0/", "/simple/readme/"} for name in asked), asked
    assert "Traceback" not in running.log
