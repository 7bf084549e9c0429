from __future__ import annotations

import contextlib
import time

import pytest

from pypicache.errors import NotAcceptable
from pypicache.simple.negotiate import MAX_HEADER, Representation, negotiate, negotiate_coding

JSON = Representation.JSON_V1
HTML = Representation.HTML_V1
LEGACY = Representation.HTML_LEGACY

J = "application/vnd.pypi.simple.v1+json"
H = "application/vnd.pypi.simple.v1+html"


@pytest.mark.parametrize(
    ("form", "content_type", "written_as"),
    [(JSON, J, "json"), (HTML, H, "html"), (LEGACY, "text/html; charset=utf-8", "html")],
)
def test_b1_to_b4_each_form_has_its_exact_content_type(
    form: Representation, content_type: str, written_as: str
) -> None:
    assert content_type == form.content_type
    assert written_as == form.form


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        # B1 to B3
        (J, JSON),
        (H, HTML),
        ("text/html", LEGACY),
        # B5, nothing said
        (None, LEGACY),
        ("", LEGACY),
        ("*/*", LEGACY),
        (" , ,", LEGACY),
        # B6
        ("application/vnd.pypi.simple.latest+json", JSON),
        ("application/vnd.pypi.simple.latest+html", HTML),
        # B7, what clients send
        (f"{J}, {H}; q=0.1, text/html; q=0.01", JSON),
        (f"{J}, {H};q=0.2, text/html;q=0.01", JSON),
        (f"{J}, */*;q=0.1", JSON),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", LEGACY),
        # B7, where qualities tie
        (f"text/html, {H}, {J}", JSON),
        (f"text/html, {H}", HTML),
        (f"*/*, {J}", JSON),
        ("text/html, */*", LEGACY),
        ("application/*", JSON),
        ("text/*", LEGACY),
        # B7, where they differ
        (f"{J};q=0.5, text/html;q=0.501", LEGACY),
        (f"{J};q=0, {H}", HTML),
        (f"{J};q=0.000, */*", LEGACY),
        ("text/html;q=0, */*;q=0.1", JSON),
        (f"{J};q=0, application/*;q=0.3, text/html;q=0.2", HTML),
        (f"{J} ; Q = 0.2 , {H};q=0.3", HTML),
        ("TEXT/HTML", LEGACY),
        (J.upper(), JSON),
        (f"text/html;level=1;q=0.4, {J};q=0.3", LEGACY),
        # B7, malformed parts are as if not sent
        (f"{J};q=abc, text/html;q=0.1", LEGACY),
        (f"{J};q=2, text/html;q=0.1", LEGACY),
        (f"{J};q=-1, text/html;q=0.1", LEGACY),
        (f"{J};q=, text/html;q=0.1", LEGACY),
        (f'"{J}", text/html', LEGACY),
        (f"{J} text/html, {H}", HTML),
        (f"(((, {J}", JSON),
        ("text/html;q=nan, ???/\x00", LEGACY),
    ],
)
def test_b5_to_b7_the_header_decides(accept: str | None, expected: Representation) -> None:
    assert expected is negotiate(accept)


@pytest.mark.parametrize(
    "accept",
    [
        "image/png",
        "application/json",
        "application/vnd.pypi.simple.v2+json",
        "text/html;q=0",
        "*/*;q=0",
        "text/plain, image/*",
        f"{J};q=0.0, text/html;q=0",
    ],
)
def test_b8_nothing_acceptable_names_the_three_types(accept: str) -> None:
    with pytest.raises(NotAcceptable) as caught:
        negotiate(accept)
    for form in Representation:
        assert form.value in str(caught.value)


@pytest.mark.parametrize(
    ("format_", "expected"),
    [
        (J, JSON),
        (J.replace("+", " "), JSON),
        (H, HTML),
        ("text/html", LEGACY),
        ("application/vnd.pypi.simple.latest+json", JSON),
        ("", HTML),
        (None, HTML),
    ],
)
def test_b9_the_query_overrides_the_header(format_: str | None, expected: Representation) -> None:
    assert expected is negotiate(H, format_)


@pytest.mark.parametrize(
    "format_", ["json", "application/json", "*/*", f"{J}, {H}", "application/vnd.pypi.simple.v2+json"]
)
def test_b9_an_unknown_format_is_refused(format_: str) -> None:
    with pytest.raises(NotAcceptable):
        negotiate(J, format_)


def test_only_a_bounded_part_of_the_header_is_read() -> None:
    """What stands behind the bound is as if not sent, and half a part at the bound doesn't count."""
    assert negotiate("text/html," + "a/b," * 2000 + J) is LEGACY
    assert negotiate("text/html," + "a/b," * 70 + J) is LEGACY
    assert negotiate("text/html, a/" + "b" * (MAX_HEADER - 20 - len(J)) + f", {J};q=0.9") is LEGACY
    assert negotiate_coding("gzip," + "a," * 2000 + "zstd", ("zstd", "gzip")) == "gzip"


@pytest.mark.parametrize(
    "header",
    [";" * 10**6, "," * 10**6, "a/b;" + " " * 10**6, "a" * 10**6, "q=" * 10**6, J + ";q=0." + "0" * 10**6],
)
def test_a_huge_header_costs_nothing(header: str) -> None:
    start = time.process_time()
    with contextlib.suppress(NotAcceptable):
        negotiate(header)
    negotiate_coding(header, ("zstd", "gzip"))
    assert time.process_time() - start < 0.5


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, "identity"),
        ("", "identity"),
        ("identity", "identity"),
        ("gzip, deflate", "gzip"),
        ("gzip, deflate, zstd", "zstd"),
        ("zstd,gzip,deflate,br", "zstd"),
        ("br, deflate", "identity"),
        ("GZIP", "gzip"),
        ("x-gzip", "gzip"),
        ("gzip;q=1, zstd;q=0.9", "gzip"),
        ("gzip;q=0.2, zstd;q=0.2", "zstd"),
        ("gzip;q=0", "identity"),
        ("gzip;q=0, *", "zstd"),
        ("zstd;q=0, *;q=0.5", "gzip"),
        ("*", "zstd"),
        ("*;q=0", "identity"),
        ("identity;q=0", "identity"),
        ("identity;q=0, gzip", "gzip"),
        ("gzip;q=0.5, identity", "identity"),
        ("gzip;q=0.5, identity;q=0.5", "gzip"),
        ("gzip;q=x, zstd", "zstd"),
        ("Identity", "identity"),
    ],
)
def test_the_coding_is_the_one_the_client_likes_best(header: str | None, expected: str) -> None:
    """RFC 9110 section 12.5.3: between equals the server's order decides, and identity is always there."""
    assert expected == negotiate_coding(header, ("zstd", "gzip"))


def test_only_offered_codings_are_chosen() -> None:
    assert negotiate_coding("zstd, gzip;q=0.1", ("gzip",)) == "gzip"
    assert negotiate_coding("zstd", ()) == "identity"
