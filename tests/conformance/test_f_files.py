"""Section F of the checklist: files, whole and in ranges, cold and stored, from mirrors that break off."""

from __future__ import annotations

import gzip
import http.client
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.client import Response, get
from tests.conformance.place import Place, new_name
from tests.origin import (
    Action,
    Chunked,
    CloseAt,
    Gate,
    Gzipped,
    IgnoreRange,
    LieLength,
    NoLength,
    Normal,
    ResetAt,
    StallAt,
    Status,
    WrongBytes,
)
from tests.wheels import Wheel, artifact, wheel

SIZE = 700_000


@pytest.fixture
def item(place: Place) -> Wheel:
    """A wheel that nobody has asked for yet."""
    made = wheel(new_name("file"), "1.0", size=SIZE)
    place.origin.add(made)
    return made


@pytest.fixture(scope="module")
def stored(place: Place) -> tuple[str, Wheel]:
    """The path of a wheel that is in the cache, and the wheel."""
    made = wheel(new_name("stored"), "1.0", size=SIZE)
    place.origin.add(made)
    link = place.link(made)
    assert place.get(link).body == made.data
    return link, made


@pytest.mark.parametrize("accept_encoding", ["identity", "gzip, deflate", "gzip, deflate, zstd", "*"])
@pytest.mark.parametrize(
    "filename", ["x-1.0-py3-none-any.whl", "x-1.0.tar.gz", "x-1.0.zip", "x-1.0.tar.bz2", "x-1.0.exe"]
)
def test_f1_f2_f6_f7_f8_g8_the_head_of_a_file(place: Place, filename: str, accept_encoding: str) -> None:
    """F6: never compressed, never called gzip, whatever the name and the client say; G8: so nothing varies."""
    name = new_name("x")
    made = artifact(name, "1.0", filename.replace("x", name, 1), gzip.compress(name.encode() * 999, mtime=0))
    place.origin.add(made)
    link = place.link(made)
    for _ in ("cold", "stored"):
        answer = place.get(link, {"Accept-Encoding": accept_encoding})
        assert (answer.status, answer.body) == (200, made.data)
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["content-length"] == str(len(made.data))
        assert answer.headers["accept-ranges"] == "bytes"
        assert answer.headers["etag"] == f'"{made.sha256}"'
        assert not {"content-encoding", "content-disposition", "vary"} & set(answer.headers)


@pytest.mark.parametrize("cold", [True, False], ids=["cold", "stored"])
@pytest.mark.parametrize(
    ("header", "first", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-9", 0, 10),
        ("bytes=100-", 100, None),
        ("bytes=-16384", -16384, None),
        ("bytes=-10000", -10000, None),
        ("bytes=5-99999999999", 5, None),
        ("bytes=-99999999999", 0, None),
        ("BYTES = 3-4", 3, 5),
    ],
)
def test_f3_f5_single_ranges(
    place: Place, stored: tuple[str, Wheel], header: str, first: int, stop: int | None, cold: bool
) -> None:
    """F3: 206, clipped where it reaches too far. F5: of a file that nobody has downloaded, as well."""
    link, made = stored
    if cold:
        made = wheel(new_name("ranged"), "1.0", size=SIZE)
        place.origin.add(made)
        link = place.link(made)
    size = len(made.data)
    expected = made.data[first:stop]
    start = first if first >= 0 else size + first
    answer = place.get(link, {"Range": header, "Cache-Control": "no-cache"})
    assert (answer.status, answer.body) == (206, expected)
    assert answer.headers["content-range"] == f"bytes {start}-{start + len(expected) - 1}/{size}"
    assert answer.headers["content-length"] == str(len(expected))
    assert answer.headers["etag"] == f'"{made.sha256}"'
    assert answer.headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize("header", [f"bytes={10**9}-", "bytes=-0", f"bytes={10**40}-{10**41}"])
def test_f3_case_44_what_cannot_be_had_is_416(place: Place, stored: tuple[str, Wheel], header: str) -> None:
    link, made = stored
    answer = place.get(link, {"Range": header})
    assert answer.status == 416
    assert answer.headers["content-range"] == f"bytes */{len(made.data)}"


@pytest.mark.parametrize(
    "header",
    [
        "bytes=5-2",
        "bytes=0-1,4-5",
        "bytes=" + ",".join(["0-"] * 200),
        "items=0-5",
        "bytes=a-b",
        "bytes=--5",
        "bytes=",
        "bytes=-",
        "bytes 0-5",
        "0-5",
        "bytes=0x10-",
        "bytes=\xb2-",
    ],
)
def test_f3_case_44_other_ranges_are_answered_whole(
    place: Place, stored: tuple[str, Wheel], header: str
) -> None:
    """Two hundred overlapping ranges cost no more than the file."""
    link, made = stored
    answer = place.get(link, {"Range": header})
    assert (answer.status, len(answer.body)) == (200, len(made.data))


def test_f3_several_range_lines_are_several_ranges(place: Place, stored: tuple[str, Wheel]) -> None:
    link, made = stored
    head = (
        f"GET {link} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nRange: bytes=0-1\r\nRange: bytes=4-5\r\n\r\n"
    )
    (answer,) = place.raw(head.encode())
    assert (answer.status, answer.body) == (200, made.data)


@pytest.mark.parametrize(
    ("if_range", "status"),
    [
        ("ETAG", 206),
        ('"other"', 200),
        ("W/ETAG", 200),
        ("ETAG, ETAG", 200),
        ("Tue, 15 Nov 1994 08:12:31 GMT", 200),
        ("", 200),
        ("*", 200),
    ],
)
def test_f4_if_range_needs_the_strong_tag(
    place: Place, stored: tuple[str, Wheel], if_range: str, status: int
) -> None:
    link, made = stored
    answer = place.get(link, {"Range": "bytes=7-", "If-Range": if_range.replace("ETAG", f'"{made.sha256}"')})
    assert answer.status == status
    assert answer.body == made.data[7 if status == 206 else 0 :]


def test_f4_a_precondition_goes_before_a_range(place: Place, stored: tuple[str, Wheel]) -> None:
    """RFC 9110 section 13.2.2: If-None-Match is looked at first."""
    link, made = stored
    assert place.get(link, {"Range": "bytes=7-", "If-None-Match": f'"{made.sha256}"'}).status == 304


def test_f6_files_are_asked_for_as_they_are(place: Place, item: Wheel) -> None:
    """Upstream, too: identity, whatever the client offers."""
    place.get(place.link(item), {"Accept-Encoding": "gzip"})
    assert place.origin.gets(item.filename)[0].headers["accept-encoding"] == "identity"


def test_f9_the_first_byte_leaves_before_the_last_has_come(place: Place, item: Wheel) -> None:
    gate = Gate()
    place.origin.script(item.filename, StallAt(SIZE // 2, gate))
    host, port = place.address
    connection = http.client.HTTPConnection(host, port, timeout=20)
    connection.request("GET", place.link(item))
    response = connection.getresponse()
    first = response.read(1000)
    # The origin notes it when all that it may send is sent.
    place.origin.wait_for(lambda: place.origin.stalled > 0)
    gate.open()
    assert first + response.read() == item.data
    connection.close()


@pytest.mark.parametrize(
    "fault",
    [ResetAt(SIZE // 2), CloseAt(SIZE // 2), CloseAt(0), LieLength(SIZE * 2), IgnoreRange()],
    ids=["reset", "close", "empty", "lying length", "no ranges"],
)
def test_f10_case_24_25_a_broken_stream_is_mended_upstream(place: Place, item: Wheel, fault: Action) -> None:
    """F10: no client ever sees that a mirror broke off, and one without ranges starts anew."""
    script = [fault, IgnoreRange()] if isinstance(fault, ResetAt) else [fault]
    place.origin.script(item.filename, *script)
    answer = place.get(place.link(item))
    assert (answer.status, answer.body) == (200, item.data)


def test_f11_case_21_a_wrong_file_is_never_completed(place: Place, item: Wheel) -> None:
    """F11: the connection breaks before Content-Length is met; nothing is kept, and the right bytes come next time."""
    place.origin.script(item.filename, WrongBytes())
    link = place.link(item)
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        get(place.daemon.url + link)
    place.daemon.wait_log("rejected")
    assert place.get(link).body == item.data


@pytest.mark.parametrize("framing", [Chunked(), NoLength()], ids=["chunked", "no length"])
@pytest.mark.parametrize("size", [True, False], ids=["size listed", "size unknown"])
def test_f12_case_24_bodies_without_a_length(place: Place, framing: Action, size: bool) -> None:
    """With a size on the page the length is known nevertheless; without one the body is chunked, then stored."""
    made = wheel(new_name("unsized"), "1.0", size=SIZE)
    place.origin.add(made, size=size)
    place.origin.script(made.filename, framing, repeat=True)
    link = place.link(made)
    first, second = place.get(link), place.get(link)
    assert first.body == second.body == made.data
    assert second.headers["content-length"] == str(len(made.data))
    if size:
        assert first.headers["content-length"] == str(len(made.data))
    place.origin.heal()


def test_f13_case_30_many_clients_are_one_download(place: Place, item: Wheel) -> None:
    """Each gets all of it, a late one from the start, a range beyond what has come waits; one request upstream."""
    gate = Gate()
    place.origin.script(item.filename, StallAt(SIZE // 2, gate))
    link = place.link(item)
    ranges = [{}, {"Range": "bytes=-1000"}, {"Range": "bytes=0-99"}, {}]

    def ask(number: int) -> Response:
        return place.get(link, ranges[number % 4])

    with ThreadPoolExecutor(20) as pool:
        answers = [pool.submit(ask, number) for number in range(20)]
        place.origin.wait_for(lambda: place.origin.stalled > 0)
        gate.open()
        for number, answer in enumerate(answers):
            body = answer.result(30).body
            expected = {1: item.data[-1000:], 2: item.data[:100]}.get(number % 4, item.data)
            assert body == expected
    assert len(place.origin.gets(item.filename)) == 1


def test_f13_case_31_a_client_that_leaves_stops_nothing(place: Place, item: Wheel) -> None:
    gate = Gate()
    place.origin.script(item.filename, StallAt(SIZE // 2, gate))
    host, port = place.address
    connection = http.client.HTTPConnection(host, port, timeout=20)
    connection.request("GET", place.link(item))
    connection.getresponse().read(10)
    connection.close()
    gate.open()
    place.daemon.wait_log(f"stored {item.filename}")
    assert place.get(place.link(item)).headers["cache-status"] == "pypicache; hit"
    assert len(place.origin.gets(item.filename)) == 1


def test_case_20_new_bytes_under_the_same_name_are_another_file(eager: Place) -> None:
    """The page decides: a new digest there, and the old bytes are not served for it."""
    name = new_name("renewed")
    old, new = wheel(name, "1.0", size=1000), wheel(name, "1.0", size=2000)
    assert old.filename == new.filename
    eager.origin.add(old, path=f"/packages/same/{old.filename}")
    link = eager.link(old)
    assert eager.get(link).body == old.data
    eager.origin.add(new, path=f"/packages/same/{old.filename}")
    assert eager.link(new) == link
    answer = eager.get(link)
    assert (answer.body, answer.headers["etag"]) == (new.data, f'"{new.sha256}"')


@pytest.mark.parametrize("filename", ["coded-1.0.tar.gz", "coded-1.0-py3-none-any.whl"])
def test_case_23_a_mirror_that_gzips_files_does_no_harm(place: Place, filename: str) -> None:
    """Either the right bytes, without Content-Encoding, or none."""
    name = new_name("coded")
    made = artifact(name, "1.0", filename.replace("coded", name), b"some bytes" * 30_000)
    place.origin.add(made)
    place.origin.script(made.filename, Gzipped(), repeat=True)
    link = place.link(made)
    try:
        answer = place.get(link)
    except (http.client.IncompleteRead, ConnectionError):
        pass
    else:
        assert answer.status == 503 or answer.body == made.data
        assert "content-encoding" not in answer.headers
    place.origin.heal()


def test_case_22_a_login_page_in_place_of_a_file_is_not_kept(place: Place) -> None:
    made = wheel(new_name("portal"), "1.0", size=1000)
    place.origin.add(made)
    html = Status(200, {"Content-Type": "text/html"}, b"<html>Please log in</html>")
    place.origin.script(made.filename, html, html, html)
    link = place.link(made)
    assert place.get(link).status == 503
    place.origin.heal()
    assert place.get(link).body == made.data


def test_case_29_a_slow_file_holds_nobody_up(place: Place, item: Wheel) -> None:
    """Another project's page and file are answered at once while one download stands still."""
    gate = Gate()
    place.origin.script(item.filename, StallAt(1000, gate))
    link = place.link(item)
    waiting = threading.Thread(target=place.get, args=(link,))
    waiting.start()
    place.origin.wait_for(lambda: place.origin.stalled > 0)
    other = wheel(new_name("other"), "1.0")
    place.origin.add(other)
    began = time.monotonic()
    assert place.get(place.link(other)).body == other.data
    assert time.monotonic() - began < 5
    gate.open()
    waiting.join(30)
    assert not waiting.is_alive()


def test_f13_a_second_reader_after_a_normal_one(place: Place, item: Wheel) -> None:
    """The origin's script is used up, the second answer comes from the disk."""
    script = place.origin.script(item.filename, Normal())
    link = place.link(item)
    assert place.get(link).body == place.get(link).body == item.data
    assert not script.actions
