"""Range and If-Range (RFC 9110 sections 13.1.5 and 14.2): which bytes of a file a request wants.

One range in bytes is understood, in each of its three forms. Anything else is ignored, as the
standard allows, and the whole file goes out: that is also the defence against a request for two
hundred overlapping pieces. It doesn't read files and doesn't know whether the bytes have arrived.

For a file of 10 bytes::

    Range              extent               answer
    absent             Whole                200
    bytes=2-5          Slice(2, 6)          206
    bytes=2-99         Slice(2, 10)         206, clipped
    bytes=2-           Slice(2, 10)         206
    bytes=-3           Slice(7, 10)         206
    bytes=-99          Slice(0, 10)         206, all of it
    bytes=10-          Unsatisfiable(10)    416
    bytes=-0           Unsatisfiable(10)    416
    bytes=5-2          Whole                200, malformed
    bytes=0-1,4-5      Whole                200, several ranges
    items=0-5          Whole                200, another unit
    bytes=a-b          Whole                200, malformed (digits are ASCII's only)

Of an empty file no byte can be had: `bytes=0-` is unsatisfiable; `bytes=-5` asks for at most five
bytes, which is satisfiable, but no Content-Range can say "none", so that range is ignored.

If-Range must repeat the file's strong entity tag, or else the range is ignored: a date or a weak tag
doesn't prove that two pieces belong together (RFC 9110 section 13.1.5).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from pypicache.rules.conditional import is_strong

MAX_HEADER = 128
"""Longer Range and Content-Range headers are malformed: two numbers need no more."""

_RANGE = re.compile(r"[ \t]*bytes[ \t]*=[ \t,]*([0-9]*)-([0-9]*)[ \t,]*", re.IGNORECASE | re.ASCII)
_CONTENT_RANGE = re.compile(r"[ \t]*bytes +([0-9]+)-([0-9]+)/([0-9]+|\*)[ \t]*", re.IGNORECASE | re.ASCII)
_UNSATISFIED = re.compile(r"[ \t]*bytes +\*/([0-9]+)[ \t]*", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Whole:
    """All of the file, as a 200."""


@dataclass(frozen=True, slots=True)
class Slice:
    """The bytes [start, stop) of the file, as a 206; offsets as in Python, so `stop` isn't included."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        """How many bytes it has; a slice that `resolve` gives has at least one."""
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class Unsatisfiable:
    """None of the bytes asked for exist, which is a 416; `size` is the file's."""

    size: int


Extent = Whole | Slice | Unsatisfiable


@dataclass(frozen=True, slots=True)
class Requested:
    """A well-formed range, before the file's size is known.

    Either `first` is given (and perhaps `last`, which is included), or `suffix` alone: the last so many bytes.
    """

    first: int | None = None
    last: int | None = None
    suffix: int | None = None

    def within(self, size: int) -> Extent:
        """What it comes to in a file of `size` bytes."""
        if self.suffix is not None:
            if self.suffix == 0:
                return Unsatisfiable(size)
            return Slice(max(0, size - self.suffix), size) if size else Whole()
        first = self.first or 0
        if first >= size:
            return Unsatisfiable(size)
        return Slice(first, size if self.last is None else min(self.last + 1, size))


class ContentRange(NamedTuple):
    """What a 206 says it holds: the bytes [start, stop) of `total`, which is None when the server doesn't know."""

    start: int
    stop: int
    total: int | None


def parse(range_header: str | None) -> Requested | None:
    """The one range that the header asks for; None where it is to be ignored."""
    match = _match(_RANGE, range_header)
    if match is None:
        return None
    first, last = match.groups()
    if not first:
        return Requested(suffix=int(last)) if last else None
    if not last:
        return Requested(first=int(first))
    return Requested(first=int(first), last=int(last)) if int(first) <= int(last) else None


def resolve(range_header: str | None, if_range: str | None, *, size: int, etag: str | None) -> Extent:
    """The part of a file of `size` bytes, called `etag`, that a GET with these headers is answered with."""
    requested = parse(range_header)
    if requested is None:
        return Whole()
    if if_range is not None and not (is_strong(etag) and if_range.strip(" \t") == etag):
        return Whole()
    return requested.within(size)


def content_range(extent: Slice | Unsatisfiable, size: int | None = None) -> str:
    """The Content-Range header of a 206 or a 416 (RFC 9110 section 14.4); an unknown `size` of a slice is `*`."""
    if isinstance(extent, Unsatisfiable):
        return f"bytes */{extent.size}"
    return f"bytes {extent.start}-{extent.stop - 1}/{'*' if size is None else size}"


def parse_content_range(header: str | None) -> ContentRange | None:
    """What a mirror's 206 holds; None when the header is absent, malformed, or contradicts itself."""
    match = _match(_CONTENT_RANGE, header)
    if match is None:
        return None
    start, stop = int(match[1]), int(match[2]) + 1
    total = None if match[3] == "*" else int(match[3])
    if start >= stop or (total is not None and stop > total):
        return None
    return ContentRange(start, stop, total)


def parse_unsatisfied(header: str | None) -> int | None:
    """The file's size out of a 416's Content-Range, if it gives it."""
    match = _match(_UNSATISFIED, header)
    return int(match[1]) if match else None


def _match(pattern: re.Pattern[str], header: str | None) -> re.Match[str] | None:
    """The match of the whole header; None for one that is absent or too long."""
    if header is None or len(header) > MAX_HEADER:
        return None
    return pattern.fullmatch(header)
