"""Case 45 and the rest of HTTP: old clients, odd requests, and every word that isn't a page or a file."""

from __future__ import annotations

import itertools
import re
import socket
import time

import pytest

from tests.client import Response
from tests.conformance.place import JSON, Place, check, new_name, responses
from tests.origin import Chunked, Delay, Gate
from tests.wheels import Wheel, wheel


@pytest.fixture(scope="module")
def item(place: Place) -> Wheel:
    made = wheel(new_name("wired"), "1.0", size=300_000)
    place.origin.add(made)
    assert place.get(place.link(made)).body == made.data
    return made


def ask(place: Place, data: str | bytes) -> list[Response]:
    answers = place.raw(data.encode("latin-1") if isinstance(data, str) else data)
    for answer in answers:
        check(answer)
    return answers


def test_case_45_an_http_1_0_client(place: Place, item: Wheel) -> None:
    """No Host, no chunks, and the connection ends with the answer unless it asks for more."""
    link = place.link(item)
    for path, size in ((f"/simple/{item.name}/", None), (link, len(item.data))):
        (answer,) = ask(place, f"GET {path} HTTP/1.0\r\n\r\n")
        assert answer.status == 200
        assert "transfer-encoding" not in answer.headers
        assert size is None or len(answer.body) == size
    answers = ask(
        place, "GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /healthz HTTP/1.0\r\n\r\n"
    )
    assert [answer.status for answer in answers] == [200, 200]
    assert answers[0].headers["connection"] == "keep-alive"


def test_case_45_a_file_of_unknown_size_to_an_http_1_0_client(place: Place) -> None:
    """No chunks there: the body ends with the connection."""
    made = wheel(new_name("endless"), "1.0", size=300_000)
    place.origin.add(made, size=False)
    place.origin.script(made.filename, Chunked())
    host, port = place.address
    with socket.create_connection((host, port), timeout=20) as client:
        client.sendall(f"GET {place.link(made)} HTTP/1.0\r\n\r\n".encode())
        received = b"".join(iter(lambda: client.recv(65536), b""))
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"chunked" not in head
    assert body == made.data


def test_case_45_connection_close(place: Place, item: Wheel) -> None:
    (answer,) = ask(place, f"GET /simple/{item.name}/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert (answer.status, answer.headers["connection"]) == (200, "close")


def test_case_45_pipelined_requests_are_answered_in_order(place: Place, item: Wheel) -> None:
    """Fifty in one packet, pages, files, errors and HEADs among them."""
    link = place.link(item)
    paths = [f"/simple/{item.name}/", link, "/nothing", "/healthz", f"/simple/{item.name}"] * 10
    data = "".join(f"GET {path} HTTP/1.1\r\nHost: x\r\nRange: bytes=0-9\r\n\r\n" for path in paths)
    data += "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    statuses = [answer.status for answer in ask(place, data)]
    assert statuses == [200, 206, 404, 200, 301] * 10 + [200]


@pytest.mark.parametrize("host", ["http://other.example", "http://other.example:81", "HTTP://x"])
def test_case_45_an_absolute_target_is_its_path(place: Place, item: Wheel, host: str) -> None:
    (answer,) = ask(
        place,
        f"GET {host}/simple/{item.name}/ HTTP/1.1\r\nHost: x\r\nAccept: {JSON}\r\nConnection: close\r\n\r\n",
    )
    assert (answer.status, answer.headers["content-type"]) == (200, JSON)


@pytest.mark.parametrize("expect", ["100-continue", "200-ok", "100-Continue, x"])
def test_case_45_expect_is_not_waited_for(place: Place, item: Wheel, expect: str) -> None:
    """No body is ever read, so none is asked for (RFC 9110 section 10.1.1): the answer comes at once, and alone."""
    head = f"Host: x\r\nExpect: {expect}\r\nConnection: close\r\n"
    (answer,) = ask(place, f"GET /simple/{item.name}/ HTTP/1.1\r\n{head}\r\n")
    assert answer.status == 200


def test_case_45_a_body_that_waits_for_100_is_refused_at_once(place: Place) -> None:
    head = "Host: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n"
    (refused,) = ask(place, f"POST /simple/x/ HTTP/1.1\r\n{head}\r\n")
    assert (refused.status, refused.headers["connection"]) == (405, "close")


@pytest.mark.parametrize(
    ("method", "framing", "body", "status"),
    [
        ("GET", "Content-Length: 5", "hello", 400),
        ("HEAD", "Content-Length: 5", "hello", 400),
        ("GET", "Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n", 400),
        ("POST", "Content-Length: 5", "hello", 405),
        ("PUT", "Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n", 405),
        ("GET", "Content-Length: 0", "", 200),
    ],
)
def test_a_body_is_refused_and_the_connection_closed(
    place: Place, method: str, framing: str, body: str, status: int
) -> None:
    """A9: what follows a refused body isn't taken for a request."""
    follower = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    data = f"{method} /healthz HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n{body}{follower}"
    answers = place.raw(data.encode())
    assert answers[0].status == status
    if status != 200:
        assert answers[0].headers["connection"] == "close"
        assert len(answers) == 1


MALFORMED = {
    "no HTTP": b"garbage\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 50 + b"\r\n\r\n",
    "no Host": b"GET / HTTP/1.1\r\n\r\n",
    "two Hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "length and chunks": b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "negative length": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -3\r\n\r\n",
    "a long line": b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "a long header": b"GET / HTTP/1.1\r\nHost: a\r\nX-A: " + b"a" * 20_000 + b"\r\n\r\n",
    "many headers": b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X-A: b\r\n" * 5000 + b"\r\n",
    "a space in the path": b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
    "raw UTF-8 in the path": "GET /simple/café/ HTTP/1.1\r\nHost: a\r\n\r\n".encode(),
    "no path": b"GET  HTTP/1.1\r\nHost: a\r\n\r\n",
    "a relative path": b"GET simple/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "a folded header": b"GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\n\r\n",
    "a space before the colon": b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    "a null in a header": b"GET / HTTP/1.1\r\nHost: a\r\nX-A: b\x00c\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a version of HTTP": b"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
    "an old version of HTTP": b"GET / HTTP/0.9\r\nHost: a\r\n\r\n",
    "a method": b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n",
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_request_gets_one_plain_line(place: Place, data: bytes) -> None:
    """H3, A9: 400 in our own words and version, nobody may keep it, the connection ends; the log has one line, no traceback."""
    seen = len(place.daemon.log)
    answer = ask(place, data)[0]
    assert answer.status == 400
    assert answer.headers["connection"] == "close"
    place.get("/healthz")
    assert "Traceback" not in place.daemon.log[seen:]


@pytest.mark.parametrize("target", ["OPTIONS *", "OPTIONS /simple/", "CONNECT other.example:443", "TRACE /"])
def test_a9_methods_with_targets_of_their_own(place: Place, target: str) -> None:
    (answer,) = ask(place, f"{target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    "upgrade",
    [
        "Upgrade: websocket\r\nConnection: Upgrade",
        "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk",
        "Upgrade: other/1, websocket\r\nConnection: upgrade",
    ],
)
def test_an_upgrade_is_not_taken_up(place: Place, upgrade: str) -> None:
    """Case 45: the request is answered as it stands; so is the next one, or the connection ends (RFC 9110 section 7.8)."""
    data = f"GET /healthz HTTP/1.1\r\nHost: x\r\n{upgrade}\r\n\r\n" * 2
    data += "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answers = ask(place, data)
    assert {answer.status for answer in answers} == {200}
    assert len(answers) == 3 or answers[-1].headers["connection"] == "close"


def test_the_access_log_has_the_bytes_that_went_out(place: Place, item: Wheel) -> None:
    """Of the body: none for HEAD and 304, the part for a range; and one line a request, however odd the path is."""
    link = place.link(item)
    etag = f'"{item.sha256}"'
    page = place.page(item.name)
    place.get(f"/flush/{item.name}")
    place.daemon.wait_log(f"/flush/{item.name}")  # lines are written once a second
    seen = len(place.daemon.log)
    place.get(link)
    place.get(link, {"Range": "bytes=5-104"})
    place.get(link, method="HEAD")
    place.get(link, {"If-None-Match": etag})
    place.page(item.name)
    place.get("/simple/a%0Ab%1b%5B31m/?token=secret")
    place.daemon.wait_log("a%0Ab%1b%5B31m", since=seen)
    lines = [line for line in place.daemon.log[seen:].splitlines() if " access " in line]
    told = [re.search(r'"([A-Z]+) (\S+)" (\d+) (\d+) [\d.]+ms "([^"]*)"', line) for line in lines]
    size = len(item.data)
    said = [found.groups() for found in told if found]
    # `Place.get` asks for what is cached three times more, and every time is logged.
    assert [key for key, _ in itertools.groupby(said)] == [
        ("GET", link, "200", str(size), "hit"),
        ("GET", link, "206", "100", "hit"),
        ("HEAD", link, "200", "0", "hit"),
        ("GET", link, "304", "0", "hit"),
        ("GET", f"/simple/{item.name}/", "200", str(len(page.body)), "hit"),
        ("GET", "/simple/a%0Ab%1b%5B31m/", "404", "30", "none"),
    ]
    assert [len(list(group)) for _, group in itertools.groupby(said)] == [4, 4, 4, 4, 4, 1]
    assert "secret" not in place.daemon.log


def test_the_cache_status_of_every_answer_from_the_cache_path(eager: Place, place: Place) -> None:
    """RFC 9211; contract section 4. H1: a stale answer says that it is one."""
    made = wheel(new_name("status"), "1.0")
    place.origin.add(made)
    assert place.page(made.name).headers["cache-status"] == "pypicache; fwd=miss; stored"
    assert place.page(made.name).headers["cache-status"] == "pypicache; hit"
    assert eager.page(made.name).headers["cache-status"] == "pypicache; fwd=miss; stored"
    assert eager.page(made.name).headers["cache-status"] == "pypicache; fwd=stale; stored"
    link = place.link(made)
    assert place.get(link).headers["cache-status"] == "pypicache; fwd=miss; stored"
    for path in (link, f"{link}.metadata", f"{link}.metadata"):
        answer = place.get(path)
    assert answer.headers["cache-status"] == "pypicache; hit"
    assert place.get(link, {"Range": "bytes=99999999-"}).headers["cache-status"] == "pypicache; hit"
    missing = f"{link.rpartition('/')[0]}/{made.name}-9.9.tar.gz"
    assert place.get(missing).headers["cache-status"] == "pypicache; detail=not-listed"


@pytest.mark.parametrize("kind", ["health", "page", "file"])
def test_case_45_a_client_that_has_said_all_still_gets_its_answers(place: Place, kind: str) -> None:
    """Simple clients close their side with the request; also of several requests each is answered, however long it takes."""
    made = wheel(new_name("half"), "1.0", size=400_000)
    place.origin.add(made)
    path = {"health": "/healthz", "page": f"/simple/{made.name}/", "file": ""}[kind] or place.link(made)
    place.origin.script(path, Delay(0.3))
    with socket.create_connection(place.address, timeout=20) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode() * 3)
        client.shutdown(socket.SHUT_WR)
        received = b"".join(iter(lambda: client.recv(65536), b""))
    answers = responses(received)
    assert [answer.status for answer in answers] == [200, 200, 200]
    for answer in answers:
        check(answer)
        assert len(answer.body) == int(answer.headers["content-length"])


def test_f13_case_31_a_client_that_leaves_while_it_waits_is_noticed(place: Place) -> None:
    """One that leaves with its request after two seconds, since it may only have said all; one that has waited, at once."""
    gate = Gate()
    names = [new_name("left"), new_name("left")]
    for name in names:
        place.origin.add(wheel(name, "1.0"))
        place.origin.script(f"/simple/{name}/", Delay(gate))
    patient, hasty = (socket.create_connection(place.address, timeout=20) for _ in names)
    for client, name in zip((patient, hasty), names, strict=True):
        client.sendall(f"GET /simple/{name}/ HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    began = time.monotonic()
    place.origin.wait_for(lambda: place.origin.stalled == len(names))
    hasty.close()
    place.daemon.wait_log(rf"/{names[1]}/\" 499 ")
    patient.close()
    waited = time.monotonic() - began
    told = place.daemon.wait_log(rf"/{names[0]}/\" 499 0 ([0-9]+)\.[0-9]ms")
    assert int(told[1]) / 1000 < waited + 1
    gate.open()
