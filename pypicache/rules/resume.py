"""May this response continue the bytes of a broken download?

A download broke after `held` bytes, counted from the start of the file, and a mirror was asked again,
usually for a range from there on. (In one piece of a striped download, `held` is the offset of the next
byte due in it.) This judges the head of the answer, before a byte of it is used; it moves no bytes and
knows no digest: whether the whole is right is decided at the end.

::

    status   what it says of itself                        splice
    206      the range asked for, from `held` on           Append
    206      the range asked for, from before `held`       SkipThenAppend(the overlap)
    206      no range was asked for                        Refuse
    206      no or a malformed Content-Range (multipart)   Refuse
    206      another start, or from beyond `held`          Refuse
    206      another total, or past the expected end       Refuse
    206      a Content-Length that isn't the range's       Refuse
    200      nothing is held yet                           Append
    200      the range was ignored                         SkipThenAppend(held)
    200      another size, or less than is held            Refuse
    206/200  another strong ETag, and nothing to check by  Refuse
    416      with another size                             Refuse
    416      otherwise, to a range                         StartOver
    else                                                   Refuse
    any      more is held than the file has                StartOver

Refuse leaves the bytes held as they are: the next mirror may continue them. StartOver gives them up,
and the file is asked for again, whole: this response has no use.

An ETag is compared only with one of the same mirror. Where the page gives a digest (`has_digest`), a
changed one is no reason to refuse: replicas behind one name call the same bytes differently, and the
digest finds the truth. Without one, nothing else would.
"""

from __future__ import annotations

from dataclasses import dataclass

from pypicache.rules.conditional import is_strong
from pypicache.rules.ranges import parse_content_range, parse_unsatisfied


@dataclass(frozen=True, slots=True)
class Append:
    """The response's first byte is the next one due."""


@dataclass(frozen=True, slots=True)
class SkipThenAppend:
    """The response's first `n` bytes are held already; the one after them is due."""

    n: int


@dataclass(frozen=True, slots=True)
class StartOver:
    """Nothing that is held can be continued: forget it and ask for the whole file."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """The response has no use; what is held stays good. `reason` is for logs."""

    reason: str


Splice = Append | SkipThenAppend | StartOver | Refuse


def judge(
    *,
    held: int,
    expected_size: int | None,
    status: int,
    content_range: str | None,
    content_length: int | None,
    etag_before: str | None,
    etag_now: str | None,
    requested_start: int | None,
    has_digest: bool = False,
) -> Splice:
    """What to do with a response to a request for the rest of a file.

    `requested_start` is None when the request had no Range; `etag_before` is None when the bytes held came
    from another mirror. Sizes and offsets are in bytes.
    """
    if expected_size is not None and held > expected_size:
        return StartOver()
    if status == 416:  # noqa: PLR2004 - Range Not Satisfiable
        return _judge_416(expected_size, content_range, requested_start)
    if status not in {200, 206}:
        return Refuse(f"status {status}")
    if held and not has_digest and _differ(etag_before, etag_now):
        return Refuse("the file has another ETag than before")
    if status == 200:  # noqa: PLR2004 - OK
        return _judge_200(held, expected_size, content_length)
    return _judge_206(held, expected_size, content_range, content_length, requested_start)


def _judge_200(held: int, expected_size: int | None, content_length: int | None) -> Splice:
    """A whole file, whatever was asked for."""
    if content_length is not None:
        if expected_size is not None and content_length != expected_size:
            return Refuse(f"{content_length} bytes, where the file has {expected_size}")
        if content_length < held:
            return Refuse(f"{content_length} bytes, where {held} are held already")
    return SkipThenAppend(held) if held else Append()


def _judge_206(
    held: int,
    expected_size: int | None,
    content_range: str | None,
    content_length: int | None,
    requested_start: int | None,
) -> Splice:
    """A part of the file: it must be the part that was asked for."""
    if requested_start is None:
        return Refuse("a part of the file, where none was asked for")
    part = parse_content_range(content_range)
    if part is None:
        return Refuse("a part of the file without a usable Content-Range")
    if part.start != requested_start:
        return Refuse(f"bytes from {part.start} on, where {requested_start} was asked for")
    if part.start > held:
        return Refuse(f"bytes from {part.start} on, where {held} are held")
    if expected_size is not None and (part.total or expected_size) != expected_size:
        return Refuse(f"a part of {part.total} bytes, where the file has {expected_size}")
    if expected_size is not None and part.stop > expected_size:
        return Refuse(f"bytes up to {part.stop}, where the file has {expected_size}")
    if content_length is not None and content_length != part.stop - part.start:
        return Refuse(f"{content_length} bytes, where its Content-Range says {part.stop - part.start}")
    return SkipThenAppend(held - part.start) if part.start < held else Append()


def _judge_416(expected_size: int | None, content_range: str | None, requested_start: int | None) -> Splice:
    """No such range: the mirror's file is another one, or it can't do ranges."""
    if requested_start is None:
        return Refuse("a range is refused, where none was asked for")
    size = parse_unsatisfied(content_range)
    if size is not None and expected_size is not None and size != expected_size:
        return Refuse(f"a file of {size} bytes, where {expected_size} were expected")
    return StartOver()


def _differ(before: str | None, now: str | None) -> bool:
    """Whether two entity tags of one mirror prove that its file has changed: both strong, and not the same."""
    return is_strong(before) and is_strong(now) and before != now
