from __future__ import annotations

import pytest

from pypicache.rules.resume import Append, Refuse, SkipThenAppend, Splice, StartOver, judge


def judged(
    status: int,
    content_range: str | None = None,
    content_length: int | None = None,
    *,
    held: int = 40,
    size: int | None = 100,
    start: int | None = 40,
    etags: tuple[str | None, str | None] = (None, None),
    has_digest: bool = False,
) -> Splice:
    return judge(
        held=held,
        expected_size=size,
        status=status,
        content_range=content_range,
        content_length=content_length,
        etag_before=etags[0],
        etag_now=etags[1],
        requested_start=start,
        has_digest=has_digest,
    )


@pytest.mark.parametrize(
    ("content_range", "content_length", "expected"),
    [
        ("bytes 40-99/100", 60, Append()),
        ("bytes 40-99/100", None, Append()),
        ("bytes 40-99/*", 60, Append()),
        ("bytes 40-49/100", 10, Append()),
        (None, 60, Refuse("a part of the file without a usable Content-Range")),
        ("bytes 40-", 60, Refuse("a part of the file without a usable Content-Range")),
        ("bytes */100", None, Refuse("a part of the file without a usable Content-Range")),
        ("bytes 0-99/100", 100, Refuse("bytes from 0 on, where 40 was asked for")),
        ("bytes 39-99/100", 61, Refuse("bytes from 39 on, where 40 was asked for")),
        ("bytes 41-99/100", 59, Refuse("bytes from 41 on, where 40 was asked for")),
        ("bytes 40-99/101", 60, Refuse("a part of 101 bytes, where the file has 100")),
        ("bytes 40-98/99", 59, Refuse("a part of 99 bytes, where the file has 100")),
        ("bytes 40-100/*", 61, Refuse("bytes up to 101, where the file has 100")),
        ("bytes 40-99/100", 59, Refuse("59 bytes, where its Content-Range says 60")),
        ("bytes 40-99/100", 100, Refuse("100 bytes, where its Content-Range says 60")),
    ],
)
def test_part_of_the_file(content_range: str | None, content_length: int | None, expected: Splice) -> None:
    assert judged(206, content_range, content_length) == expected


def test_part_nobody_asked_for() -> None:
    assert judged(206, "bytes 40-99/100", start=None) == Refuse(
        "a part of the file, where none was asked for"
    )


def test_part_from_before_what_is_held() -> None:
    assert judged(206, "bytes 30-99/100", start=30) == SkipThenAppend(10)


def test_part_from_beyond_what_is_held() -> None:
    assert judged(206, "bytes 50-99/100", start=50) == Refuse("bytes from 50 on, where 40 are held")


def test_part_of_a_file_of_unknown_size() -> None:
    assert judged(206, "bytes 40-99/100", size=None) == Append()
    assert judged(206, "bytes 40-99/*", size=None) == Append()


@pytest.mark.parametrize(
    ("content_length", "held", "size", "expected"),
    [
        (100, 40, 100, SkipThenAppend(40)),
        (None, 40, 100, SkipThenAppend(40)),
        (100, 40, None, SkipThenAppend(40)),
        (None, 40, None, SkipThenAppend(40)),
        (100, 100, 100, SkipThenAppend(100)),
        (100, 0, 100, Append()),
        (0, 0, 0, Append()),
        (101, 40, 100, Refuse("101 bytes, where the file has 100")),
        (60, 40, 100, Refuse("60 bytes, where the file has 100")),
        (39, 40, None, Refuse("39 bytes, where 40 are held already")),
    ],
)
def test_whole_file_instead_of_a_part(
    content_length: int | None, held: int, size: int | None, expected: Splice
) -> None:
    assert judged(200, None, content_length, held=held, size=size) == expected


@pytest.mark.parametrize(
    ("content_range", "size", "start", "expected"),
    [
        ("bytes */100", 100, 40, StartOver()),
        (None, 100, 40, StartOver()),
        ("bytes */50", None, 40, StartOver()),
        ("bytes */20", 100, 40, Refuse("a file of 20 bytes, where 100 were expected")),
        (None, 100, None, Refuse("a range is refused, where none was asked for")),
    ],
)
def test_range_that_cannot_be_had(
    content_range: str | None, size: int | None, start: int | None, expected: Splice
) -> None:
    assert judged(416, content_range, size=size, start=start) == expected


@pytest.mark.parametrize("status", [100, 204, 301, 304, 401, 403, 404, 429, 500, 503, 0, -1])
def test_any_other_status_is_refused(status: int) -> None:
    assert judged(status, "bytes 40-99/100", 60) == Refuse(f"status {status}")


@pytest.mark.parametrize("status", [200, 206, 416, 503])
def test_more_held_than_the_file_has(status: int) -> None:
    assert judged(status, "bytes 101-101/102", held=101, start=101) == StartOver()


CHANGED = Refuse("the file has another ETag than before")


@pytest.mark.parametrize(
    ("etags", "part", "whole"),
    [
        (('"a"', '"a"'), Append(), SkipThenAppend(40)),
        (('"a"', '"b"'), CHANGED, CHANGED),
        ((None, '"b"'), Append(), SkipThenAppend(40)),
        (('"a"', None), Append(), SkipThenAppend(40)),
        (('W/"a"', '"b"'), Append(), SkipThenAppend(40)),
        (('"a"', 'W/"b"'), Append(), SkipThenAppend(40)),
        (("a", '"b"'), Append(), SkipThenAppend(40)),
    ],
)
def test_changed_strong_etag(etags: tuple[str | None, str | None], part: Splice, whole: Splice) -> None:
    assert judged(206, "bytes 40-99/100", etags=etags) == part
    assert judged(200, None, 100, etags=etags) == whole


def test_changed_etag_is_no_reason_where_a_digest_decides() -> None:
    assert judged(206, "bytes 40-99/100", etags=('"a"', '"b"'), has_digest=True) == Append()
    assert judged(200, None, 100, etags=('"a"', '"b"'), has_digest=True) == SkipThenAppend(40)


def test_without_word_of_a_digest_a_changed_etag_is_believed() -> None:
    splice = judge(
        held=40,
        expected_size=100,
        status=200,
        content_range=None,
        content_length=100,
        etag_before='"a"',
        etag_now='"b"',
        requested_start=40,
    )
    assert splice == CHANGED


def test_changed_etag_does_not_matter_while_nothing_is_held() -> None:
    assert judged(200, None, 100, held=0, start=0, etags=('"a"', '"b"')) == Append()
