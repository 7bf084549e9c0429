"""Whatever comes over the wire: never a 5xx, never a traceback, and the daemon goes on. The same examples every time."""

from __future__ import annotations

import socket
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.client import Response
from tests.conformance.place import HTML, JSON, Place, check, responses
from tests.wheels import Wheel, wheel

FUZZ = settings(
    max_examples=250,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

ITEM = wheel("fuzzed", "1.0", size=5000)


@pytest.fixture(scope="module")
def target(place: Place) -> tuple[str, Wheel]:
    """The path of a stored file."""
    place.origin.add(ITEM)
    link = place.link(ITEM)
    assert place.get(link).body == ITEM.data
    assert place.get(f"{link}.metadata").body == ITEM.metadata
    return link, ITEM


def exchange(place: Place, data: bytes, *, ends: bool) -> bytes:
    """Send these bytes, and say that there are no more unless `ends` (they say it themselves); all that comes back."""
    received = bytearray()
    with socket.create_connection(place.address, timeout=10) as connection:
        try:
            connection.sendall(data)
            if not ends:
                connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(65536):
                received += piece
        except ConnectionError:
            pass
    return bytes(received)


def ask(place: Place, data: bytes) -> Response:
    """The one response to a request that asks for the connection to be closed, checked."""
    (answer,) = responses(exchange(place, data, ends=True))
    # What can't be parsed is answered without regard to the method that it may have meant.
    check(answer, "HEAD" if data.startswith(b"HEAD") and answer.status != 400 else "GET")
    assert answer.status < 500, answer
    return answer


@pytest.fixture(autouse=True)
def sane(place: Place) -> None:
    """The session's end looks for tracebacks; here that it still answers."""
    assert place.get("/healthz").status == 200


# Texts that a header may hold: anything but what ends its line.
WORDS = st.text(st.characters(codec="latin-1", exclude_characters="\r\n\x00"), max_size=40)
NUMBERS = st.one_of(st.integers(-10, 10**30).map(str), st.sampled_from(["", "0", "00", "1e9", "\xb2", "0x1"]))
QUALITIES = st.one_of(
    st.sampled_from(["", ";q=0", ";q=1", ";q=0.5", "; Q = .1", ";q=", ";q=2", ";v=1;q=0.3"]), WORDS
)
TYPES = st.one_of(
    st.sampled_from([JSON, HTML, "text/html", "text/*", "*/*", "application/*", "image/png", "*", "/", ""]),
    WORDS,
)
CODINGS = st.one_of(st.sampled_from(["gzip", "zstd", "identity", "*", "deflate", "x-gzip", "br", ""]), WORDS)
TAGS = st.one_of(
    st.sampled_from(["*", f'"{ITEM.sha256}"', f'W/"{ITEM.sha256}"', '""', '"', "W/", 'w/"a"', "a,b"]), WORDS
)
RANGES = st.one_of(
    st.builds("{}={}-{}".format, st.sampled_from(["bytes", "BYTES", "items", "bytes "]), NUMBERS, NUMBERS),
    WORDS,
)


def listed(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Several of them in one line."""
    return st.lists(parts, max_size=8).map(", ".join)


HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "Accept": listed(st.builds("{}{}".format, TYPES, QUALITIES)),
        "Accept-Encoding": listed(st.builds("{}{}".format, CODINGS, QUALITIES)),
        "Range": st.one_of(RANGES, listed(RANGES)),
        "If-Range": TAGS,
        "If-None-Match": listed(TAGS),
        "If-Modified-Since": WORDS,
        "Cache-Control": listed(
            st.one_of(st.sampled_from(["no-cache", "max-age=0", 'max-age="0"', "no-store"]), WORDS)
        ),
        "Pragma": WORDS,
        "Connection": st.one_of(st.sampled_from(["close", "keep-alive", "upgrade, close"]), WORDS),
        "Expect": st.one_of(st.just("100-continue"), WORDS),
        "Upgrade": st.one_of(st.sampled_from(["websocket", "h2c"]), WORDS),
        "X-Forwarded-For": WORDS,
        "Cookie": WORDS,
        "Authorization": WORDS,
        "User-Agent": WORDS,
    },
)
SEGMENTS = st.one_of(
    st.sampled_from(
        [
            "",
            ".",
            "..",
            "simple",
            "+simple",
            "%2Bsimple",
            "index",
            "packages",
            "pypi",
            "root",
            "json",
            "-",
            "+f",
            "+api",
            "+status",
            "+login",
            "metrics",
            "fuzzed",
            "Fuzzed",
            "fuzzed.metadata",
            "fuzzed-1.0-py3-none-any.whl",
            "fuzzed-1.0-py3-none-any.whl.metadata",
            "a-b-c-d-e-f-g-h-i-j-k-l-m-1.0.tar.gz",
            "%2e%2e",
            "%2f",
            "%00",
            "%",
            "%zz",
            "%ff",
            "*",
            "~",
            "?",
            "#",
        ]
    ),
    st.text(max_size=20).map(lambda text: quote(text, safe="", errors="surrogatepass")),
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=20),
)
PATHS = st.lists(SEGMENTS, max_size=8).map(lambda segments: "/" + "/".join(segments))
METHODS = st.sampled_from(["GET", "HEAD", "GET", "HEAD", "POST", "PUT", "OPTIONS", "TRACE", "DELETE"])


def request(method: str, path: str, headers: dict[str, str], host: str = "x") -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{lines}Connection: close\r\n\r\n".encode("latin-1")


@FUZZ
@given(method=METHODS, path=PATHS, query=st.one_of(st.just(""), WORDS.map(quote).map("?{}".format)))
def test_any_path(place: Place, target: tuple[str, Wheel], method: str, path: str, query: str) -> None:
    """A5: whatever the path is, an answer below 500."""
    ask(place, request(method, path + query, {}))


@FUZZ
@given(
    method=st.sampled_from(["GET", "HEAD"]),
    kind=st.sampled_from(["page", "file", "sidecar", "none"]),
    headers=HEADERS,
    host=WORDS,
)
def test_any_headers(
    place: Place, target: tuple[str, Wheel], method: str, kind: str, headers: dict[str, str], host: str
) -> None:
    """B7, F3: whatever the headers are, a page, a file, a part of one, 304, 406, 416 or a 400; a whole file is right."""
    link, item = target
    path = {
        "page": "/simple/fuzzed/",
        "file": link,
        "sidecar": f"{link}.metadata",
        "none": "/simple/nosuch/",
    }[kind]
    answer = ask(place, request(method, path, headers, host))
    assert answer.status in {200, 206, 304, 400, 404, 406, 416}
    if kind == "file" and method == "GET" and answer.status == 200:
        assert answer.body == item.data


@FUZZ
@given(
    data=st.data(),
    start=st.sampled_from(
        [
            b"GET /simple/fuzzed/ HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n",
            b"HEAD /simple/fuzzed/ HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
            b"GET /simple/fuzzed/ HTTP/1.0\r\n\r\n",
            b"",
        ]
    ),
)
def test_any_bytes(place: Place, target: tuple[str, Wheel], data: st.DataObject, start: bytes) -> None:
    """Requests with bytes changed, left out and put in, cut and repeated: each response that comes is a sound one."""
    garbled = bytearray(start)
    for _ in range(data.draw(st.integers(0, 6))):
        place_ = data.draw(st.integers(0, len(garbled)))
        length = data.draw(st.integers(0, 4))
        garbled[place_ : place_ + length] = data.draw(
            st.one_of(
                st.binary(max_size=6),
                st.sampled_from([b"\r\n", b"\r\n\r\n", b"\x00", b" ", b":", b"a" * 9000]),
            )
        )
    received = exchange(place, bytes(garbled), ends=False)
    # What they say can't be told apart by a reader who doesn't know what was asked, but each status can.
    statuses = [line.split(b" ")[1] for line in received.splitlines() if line.startswith(b"HTTP/1.")]
    assert all(status[:1] in b"234" for status in statuses), received[:2000]


def test_after_all_that_the_log_has_no_traceback(place: Place, target: tuple[str, Wheel]) -> None:
    assert place.get(target[0]).body == ITEM.data
    assert "Traceback" not in place.daemon.log
    assert "a bug" not in place.daemon.log
