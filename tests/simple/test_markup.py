from __future__ import annotations

import time

import pytest

from pypicache.simple.markup import MAX_TAG, elements, escape, unescape


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        (b'<a href="x">t</a>', [("a", {"href": "x"}, "t")]),
        (b"<A HREF='x' Data-Y=z>t", [("a", {"href": "x", "data-y": "z"}, "t")]),
        (b"<a href=x/y>t", [("a", {"href": "x/y"}, "t")]),
        (b"<a\nhref\n=\n'x'\ndata-yanked>", [("a", {"href": "x", "data-yanked": ""}, "")]),
        (b'<a href="a>b">t', [("a", {"href": "a>b"}, "t")]),
        (b"<a href='a\"b' x=\"c'd\">", [("a", {"href": 'a"b', "x": "c'd"}, "")]),
        (b"<a href=1 href=2>", [("a", {"href": "1"}, "")]),
        (b'<a href="?a=1&amp;b&#61;2&copy=3&#x2F;">', [("a", {"href": "?a=1&b=2&copy=3/"}, "")]),
        (b"<a/href=x/>t", [("a", {"href": "x/"}, "t")]),
        (b"<a>no link</a>", [("a", {}, "no link")]),
        (b"<a href=x><b>t</b></a>", [("a", {"href": "x"}, "")]),
        (b"<a href=x> &lt;t&gt; ", [("a", {"href": "x"}, "<t>")]),
        (b"<abbr href=x><area href=y><basefont>", []),
        (b"<!-- <a href=x> --><a href=y>", [("a", {"href": "y"}, "")]),
        (b"<!--><a href=y>", [("a", {"href": "y"}, "")]),
        (b"<!-- > --!><a href=y>", [("a", {"href": "y"}, "")]),
        (b"<!-- <a href=x>", []),
        (b"<script>'<a href=x>'</scriptx></script><a href=y>", [("a", {"href": "y"}, "")]),
        (b"<TITLE><a href=x></Title ><a href=y>", [("a", {"href": "y"}, "")]),
        (b"<style><a href=x>", []),
        (b'<p title="<a href=x>"><a href=y>', [("a", {"href": "y"}, "")]),
        (b"<!doctype html><?php <a href=x>", []),
        (b"< a href=x><a href=y>", [("a", {"href": "y"}, "")]),
        (b"1 < 2 <a href=y>", [("a", {"href": "y"}, "")]),
        (b"<a href=x", []),
        (b'<a href="x>', []),
        (
            b'<meta name=n content="c"><base href=b>',
            [("meta", {"name": "n", "content": "c"}, ""), ("base", {"href": "b"}, "")],
        ),
        (b"\xef\xbb\xbf<a href=\xff>", [("a", {"href": "\ufffd"}, "")]),
        (b"<a href='a\r\nb\rc&#13;'>", [("a", {"href": "a\nb\nc\r"}, "")]),
        (b"<a x='" + b"y" * MAX_TAG + b"' href=x><a href=y>", [("a", {"href": "y"}, "")]),
    ],
)
def test_tags_are_found_as_the_html_standard_finds_them(
    html: bytes, expected: list[tuple[str, dict[str, str], str]]
) -> None:
    assert expected == [(e.name, e.attributes, e.text) for e in elements(html)]


@pytest.mark.parametrize(
    "text",
    [
        "plain",
        "a & b",
        "&amp;",
        '<a href="x">',
        "it's",
        "a\r\nb",
        "&lt",
        "&#13;",
        "\U0001f40d ü",
        "&copy",
        "&notit;",
    ],
)
def test_c3_case_13_what_is_escaped_is_read_back(text: str) -> None:
    escaped = escape(text)
    assert not set(escaped) & set("<>\"'\r")
    assert text == unescape(escaped)


HOSTILE = {
    "nested": b"<div>" * 400_000,
    "formatting": b"<b><p>" * 300_000,
    "unclosed quotes": b'<a href="' * 300_000,
    "unclosed tags": b"<a " * 600_000,
    "attributes": b"<a " + b" ".join(b"%x" % i for i in range(300_000)) + b">",
    "equals signs": (b"<a " + b"= " * 15_000 + b">") * 60,
    "white space": (b"<a x" + b" " * 30_000 + b">") * 60,
    "comments": b"<!--" * 500_000,
    "raw text": b"<script></scrip" * 150_000,
    "angles": b"<" * 2_000_000,
    "references": b"<a href='" + b"&" * 30_000 + b"&#" * 900_000 + b"'>",
    "digits": (b"<a href='&#" + b"9" * 30_000 + b";'>") * 60,
    "texts": b"<a href=x>" + b"y" * 2_000_000,
}


@pytest.mark.parametrize("html", HOSTILE.values(), ids=HOSTILE.keys())
def test_two_megabytes_of_hostile_html_are_read_in_linear_time(html: bytes) -> None:
    """Quadratic work on any of these would take minutes."""
    start = time.process_time()
    assert sum(len(element.text) for element in elements(html)) < len(html)
    assert time.process_time() - start < 5
