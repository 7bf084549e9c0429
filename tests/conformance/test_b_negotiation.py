"""Section B of the checklist: which form and which coding a client gets."""

from __future__ import annotations

import gzip
import sys

import pytest

from tests.conformance.place import HTML, JSON, LEGACY, Place, new_name
from tests.origin import Status
from tests.wheels import wheel

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LATEST_JSON = "application/vnd.pypi.simple.latest+json"
LATEST_HTML = "application/vnd.pypi.simple.latest+html"
LEGACY_TYPE = "text/html; charset=utf-8"


@pytest.fixture(scope="module")
def name(place: Place) -> str:
    item = wheel(new_name("formed"), "1.0")
    place.origin.add(item)
    return item.name


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (JSON, JSON),
        (HTML, HTML),
        (LEGACY, LEGACY_TYPE),
        ("*/*", LEGACY_TYPE),
        (LATEST_JSON, JSON),
        (LATEST_HTML, HTML),
        (f"{JSON}, {HTML}; q=0.1, {LEGACY}; q=0.01", JSON),
        (f"{JSON}, {HTML};q=0.2, {LEGACY};q=0.01", JSON),
        (f"{JSON}, */*;q=0.1", JSON),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", LEGACY_TYPE),
        (f"{JSON};q=0, */*", LEGACY_TYPE),
        (f"{JSON} ; Q = 0.5 , {HTML};q=0.501", HTML),
        ("APPLICATION/VND.PYPI.SIMPLE.V1+JSON", JSON),
        (f";;;,,{JSON};q=x, {HTML}", HTML),
        ("application/*", JSON),
        ("\xff\xfe\x80", LEGACY_TYPE),
    ],
)
def test_b1_b2_b3_b4_b5_b6_b7_the_accept_header_decides(
    place: Place, name: str, accept: str, content_type: str
) -> None:
    """B1 to B7, over the wire: the media type is exact, and "latest" is never announced."""
    answer = place.page(name, accept=accept)
    assert (answer.status, answer.headers["content-type"]) == (200, content_type)
    assert answer.body.startswith(b"{" if content_type == JSON else b"<!DOCTYPE html>")


def test_b5_no_accept_header_is_html(place: Place, name: str) -> None:
    head = f"GET /simple/{name}/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    (answer,) = place.raw(head.encode())
    assert answer.headers["content-type"] == LEGACY_TYPE


def test_b7_several_accept_lines_are_one_header(place: Place, name: str) -> None:
    """RFC 9110 section 5.3: the lines of one header are joined, in order."""
    lines = f"Accept: {HTML};q=0.5\r\nAccept: {JSON};q=0.9\r\nAccept-Encoding: deflate\r\nAccept-Encoding: gzip\r\n"
    (answer,) = place.raw(
        f"GET /simple/{name}/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{lines}\r\n".encode()
    )
    assert answer.headers["content-type"] == JSON
    assert answer.headers["content-encoding"] == "gzip"


@pytest.mark.parametrize("accept", ["image/png", "application/json", "application/vnd.pypi.simple.v2+json"])
def test_b8_nothing_acceptable_is_406_with_the_list(place: Place, name: str, accept: str) -> None:
    answer = place.page(name, accept=accept)
    assert answer.status == 406
    assert all(kind in answer.text for kind in (JSON, HTML, LEGACY))


@pytest.mark.parametrize(
    ("query", "status", "content_type"),
    [
        (f"format={JSON.replace('+', '%2B')}", 200, JSON),
        (f"format={JSON}", 200, JSON),
        (f"format={LATEST_HTML}", 200, HTML),
        ("format=text/html", 200, LEGACY_TYPE),
        ("format=", 200, HTML),
        ("other=1", 200, HTML),
        ("format=json", 406, None),
        ("format=%ff%fe%00", 406, None),
        (f"format={'x' * 1500}", 406, None),
    ],
)
def test_b9_the_query_overrides_the_header(
    place: Place, name: str, query: str, status: int, content_type: str | None
) -> None:
    answer = place.get(f"/simple/{name}/?{query}", {"Accept": HTML})
    assert answer.status == status
    assert content_type is None or answer.headers["content-type"] == content_type


def test_b10_vary_is_on_every_answer_of_an_index_route(place: Place, name: str) -> None:
    """200, 304, 404, 406, redirects, and 503 too."""
    etag = place.page(name).headers["etag"]
    broken = new_name("broken")
    place.origin.script(f"/simple/{broken}/", Status(500), repeat=True)
    for path, headers, status in [
        (f"/simple/{name}/", {}, 200),
        (f"/simple/{name}/", {"Accept": JSON, "If-None-Match": etag}, 304),
        (f"/simple/{new_name('absent')}/", {}, 404),
        ("/simple/--/", {}, 404),
        (f"/simple/{name}/", {"Accept": "image/png"}, 406),
        (f"/simple/{name}", {}, 301),
        (f"/simple/{broken}/", {}, 503),
    ]:
        answer = place.get(path, headers)
        assert (answer.status, answer.headers["vary"]) == (status, "Accept, Accept-Encoding"), path


def test_b11_each_form_and_coding_has_its_own_strong_etag(place: Place, name: str) -> None:
    """And is the same page, however it is coded. text/html and its PEP 691 name are the same bytes."""
    etags: dict[str, bytes] = {}
    for accept in (JSON, HTML):
        plain = place.page(name, accept=accept).body
        for coding, unpack in (("identity", bytes), ("gzip", gzip.decompress), ("zstd", zstd.decompress)):
            answer = place.page(name, {"Accept-Encoding": coding}, accept=accept)
            assert answer.headers.get("content-encoding", "identity") == coding
            assert answer.headers["etag"].startswith('"')
            assert unpack(answer.body) == plain
            etags[answer.headers["etag"]] = answer.body
    assert len(etags) == 6
    for coding in ("gzip", "zstd"):
        same = place.page(name, {"Accept-Encoding": coding}, accept=JSON)
        assert same.body == etags[same.headers["etag"]]


@pytest.mark.parametrize(
    ("header", "coding"),
    [
        ("gzip, deflate", "gzip"),
        ("gzip, deflate, zstd", "zstd"),
        ("zstd;q=0.1, gzip", "gzip"),
        ("identity", None),
        ("deflate, br", None),
        ("", None),
        ("*", "zstd"),
        ("gzip;q=0", None),
        ("identity;q=0", None),
        ("GZIP", "gzip"),
    ],
)
def test_the_coding_is_one_that_the_client_offers(
    place: Place, name: str, header: str, coding: str | None
) -> None:
    """B11, RFC 9110 section 12.5.3: pip offers gzip, uv and poetry zstd as well; a page in clear is never refused."""
    answer = place.page(name, {"Accept-Encoding": header})
    assert (answer.status, answer.headers.get("content-encoding")) == (200, coding)
