from __future__ import annotations

import pytest

from pypicache.rules.ranges import (
    ContentRange,
    Extent,
    Requested,
    Slice,
    Unsatisfiable,
    Whole,
    content_range,
    parse,
    parse_content_range,
    parse_unsatisfied,
    resolve,
)

ETAG = '"abc"'


@pytest.mark.parametrize(
    ("header", "extent"),
    [
        (None, Whole()),
        ("", Whole()),
        ("bytes=0-0", Slice(0, 1)),
        ("bytes=2-5", Slice(2, 6)),
        ("bytes=9-9", Slice(9, 10)),
        ("bytes=2-99", Slice(2, 10)),
        ("bytes=0-99999999999999999999999999", Slice(0, 10)),
        ("bytes=2-", Slice(2, 10)),
        ("bytes=0-", Slice(0, 10)),
        ("bytes=-3", Slice(7, 10)),
        ("bytes=-10", Slice(0, 10)),
        ("bytes=-99", Slice(0, 10)),
        ("BYTES=2-5", Slice(2, 6)),
        (" bytes = 2-5 ", Slice(2, 6)),
        ("bytes=,2-5,", Slice(2, 6)),
        ("bytes=002-005", Slice(2, 6)),
        ("bytes=10-", Unsatisfiable(10)),
        ("bytes=10-12", Unsatisfiable(10)),
        ("bytes=99999999999999999999999999-", Unsatisfiable(10)),
        ("bytes=-0", Unsatisfiable(10)),
        ("bytes=-000", Unsatisfiable(10)),
        ("bytes=5-2", Whole()),
        ("bytes=-", Whole()),
        ("bytes=", Whole()),
        ("bytes", Whole()),
        ("bytes=2", Whole()),
        ("bytes=--3", Whole()),
        ("bytes=2 -5", Whole()),
        ("bytes=+2-5", Whole()),
        ("bytes=a-b", Whole()),
        ("bytes=2-5\n", Whole()),
        ("bytes=0x2-5", Whole()),
        ("bytes=0-1,4-5", Whole()),
        ("bytes=" + ",".join(f"{n}-" for n in range(200)), Whole()),
        ("items=0-5", Whole()),
        ("2-5", Whole()),
        ("bytes=\N{ARABIC-INDIC DIGIT TWO}-5", Whole()),
        ("bytes=\N{FULLWIDTH DIGIT TWO}-5", Whole()),
        ("bytes=2-" + "0" * 200, Whole()),
    ],
)
def test_range_of_ten_bytes(header: str | None, extent: Extent) -> None:
    assert resolve(header, None, size=10, etag=ETAG) == extent


@pytest.mark.parametrize(
    ("header", "extent"),
    [
        (None, Whole()),
        ("bytes=0-", Unsatisfiable(0)),
        ("bytes=0-0", Unsatisfiable(0)),
        ("bytes=-0", Unsatisfiable(0)),
        ("bytes=-5", Whole()),
    ],
)
def test_range_of_an_empty_file(header: str | None, extent: Extent) -> None:
    assert resolve(header, None, size=0, etag=ETAG) == extent


@pytest.mark.parametrize(
    ("if_range", "etag", "extent"),
    [
        (None, ETAG, Slice(2, 6)),
        (None, None, Slice(2, 6)),
        (ETAG, ETAG, Slice(2, 6)),
        (f" {ETAG}\t", ETAG, Slice(2, 6)),
        ('"other"', ETAG, Whole()),
        ('W/"abc"', ETAG, Whole()),
        ('W/"abc"', 'W/"abc"', Whole()),
        ("abc", "abc", Whole()),
        (f'{ETAG}, "other"', ETAG, Whole()),
        ("*", ETAG, Whole()),
        ("", ETAG, Whole()),
        ("Sun, 06 Nov 1994 08:49:37 GMT", ETAG, Whole()),
        (ETAG, None, Whole()),
    ],
)
def test_if_range_needs_the_same_strong_tag(if_range: str | None, etag: str | None, extent: Extent) -> None:
    assert resolve("bytes=2-5", if_range, size=10, etag=etag) == extent


def test_unsatisfiable_range_of_another_version_gives_the_whole_file() -> None:
    assert resolve("bytes=10-", '"other"', size=10, etag=ETAG) == Whole()


@pytest.mark.parametrize(
    ("header", "requested"),
    [
        ("bytes=2-5", Requested(first=2, last=5)),
        ("bytes=2-", Requested(first=2)),
        ("bytes=-5", Requested(suffix=5)),
        ("bytes=-0", Requested(suffix=0)),
        ("bytes=-", None),
        (None, None),
    ],
)
def test_range_parsed_before_the_size_is_known(header: str | None, requested: Requested | None) -> None:
    assert parse(header) == requested


def test_content_range_of_a_slice() -> None:
    assert content_range(Slice(2, 6), 10) == "bytes 2-5/10"
    assert content_range(Slice(2, 6)) == "bytes 2-5/*"
    assert content_range(Unsatisfiable(10)) == "bytes */10"
    assert Slice(2, 6).length == 4


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes 2-5/10", ContentRange(2, 6, 10)),
        ("bytes 2-5/*", ContentRange(2, 6, None)),
        ("Bytes 0-0/1", ContentRange(0, 1, 1)),
        (" bytes  2-5/10 ", ContentRange(2, 6, 10)),
        (None, None),
        ("", None),
        ("bytes */10", None),
        ("bytes 5-2/10", None),
        ("bytes 5-4/10", None),
        ("bytes 2-10/10", None),
        ("bytes=2-5/10", None),
        ("bytes 2-5", None),
        ("bytes 2-/10", None),
        ("bytes -2-5/10", None),
        ("items 2-5/10", None),
        ("bytes 2-5/10, bytes 6-7/10", None),
        ("bytes \N{ARABIC-INDIC DIGIT TWO}-5/10", None),
        ("bytes 2-5/" + "9" * 200, None),
    ],
)
def test_content_range_from_a_mirror(header: str | None, expected: ContentRange | None) -> None:
    assert parse_content_range(header) == expected


@pytest.mark.parametrize(
    ("header", "size"),
    [
        ("bytes */10", 10),
        ("bytes */0", 0),
        ("bytes 2-5/10", None),
        ("bytes */*", None),
        ("", None),
        (None, None),
    ],
)
def test_size_out_of_a_416(header: str | None, size: int | None) -> None:
    assert parse_unsatisfied(header) == size
