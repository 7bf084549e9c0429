"""Which bytes of a file are fetched next, and over how many connections.

A large file is fetched in pieces over several connections when one alone is slow. This decides; it opens no
connection and holds no bytes. Spans are half-open [start, stop) byte offsets, and a set of spans is a sorted tuple
of them that neither overlap nor touch.

- It begins with one connection for all of the file. One that isn't large is shared out among several that lie idle, if the mirror is far
  (`shares`): no connection is opened for that, and 2 MB from far away come in less than half of the time.
- For a file that comes within `PATIENCE` no connection is opened: mirrors are shared by many. If the rest would take longer, all connections that the mirrors allow are used. That is asked every `STEP` seconds.
- The front comes first: a free connection takes the lowest bytes that nobody fetches, so that clients who
  read in order are never far behind.
- Pieces are about a second's worth of a connection, and smaller towards the end, so that all end together.
- A mirror that hasn't sent a byte for `OVERDUE` is overtaken: another one is asked for the same bytes.
- When nothing is left to take, a free connection takes the second half of the largest piece under way.
"""

from __future__ import annotations

from collections.abc import Sequence

Span = tuple[int, int]
Spans = tuple[Span, ...]

SPLIT_FROM = 8 << 20
"""For a file smaller than this no connection is opened beside the first."""

PATIENCE = 3.0
"""Seconds that the rest may take over the connections there are, before more are opened."""

STEP = 0.25
"""Seconds between two looks at whether more connections are wanted."""

SMALLEST, LARGEST = 1 << 20, 8 << 20
"""The sizes of a piece."""

SHARE = 512 << 10
"""The smallest share of a file that is shared out from the start; SMALLEST is more, since those pieces are cut out of what is on its way."""

OVERDUE = 2.0
"""Seconds of silence after which another mirror is asked for what the only connection was to bring."""

STALLED = 4.0
"""Seconds without a byte after which a connection's piece is given to another, if others bring bytes."""


def add(held: Spans, span: Span) -> Spans:
    """The spans with one more; what overlaps or touches becomes one."""
    start, stop = span
    if start >= stop:
        return held
    apart = []
    for other in held:
        if other[1] < start or stop < other[0]:
            apart.append(other)
        else:
            start, stop = min(start, other[0]), max(stop, other[1])
    return tuple(sorted([*apart, (start, stop)]))


def mark(held: Spans) -> int:
    """Up to where the file is held from its first byte on."""
    return held[0][1] if held and held[0][0] == 0 else 0


def covers(held: Spans, span: Span) -> bool:
    """Whether all of the span is held."""
    return any(start <= span[0] and span[1] <= stop for start, stop in held)


def gaps(size: int, held: Spans, taken: Sequence[Span] = ()) -> Spans:
    """What is neither held nor being fetched, in order."""
    covered = held
    for span in taken:
        covered = add(covered, span)
    found, position = [], 0
    for start, stop in covered:
        if position < min(start, size):
            found.append((position, min(start, size)))
        position = max(position, stop)
    if position < size:
        found.append((position, size))
    return tuple(found)


def shares(size: int, *, idle: int, most: int) -> Spans:
    """The spans of a file that its first connections take, each another one.

    `idle` connections to the mirror have nothing to do, the one for the first share among them; `most` may be used for one file.
    """
    count = min(most, idle, size // SHARE)
    if size >= SPLIT_FROM or count < 2:  # noqa: PLR2004 - one is as good as none
        return ((0, size),)
    step = -(-size // count)
    return tuple((start, min(start + step, size)) for start in range(0, size, step))


def next_piece(size: int, held: Spans, taken: Sequence[Span], *, lanes: int, rate: float) -> Span | None:
    """The bytes that a free connection takes next, or None when none are left to take.

    `taken` are the spans being fetched; `lanes` how many connections there are, this one included; `rate` is what
    this one brings, in bytes a second, 0 when that isn't known.
    """
    left = gaps(size, held, taken)
    if not left:
        return None
    start, stop = left[0]
    remaining = sum(end - begin for begin, end in left)
    length = max(SMALLEST, min(int(rate) or LARGEST, LARGEST, remaining // (2 * max(1, lanes))))
    # A leftover too small to be worth a request goes along.
    return (start, stop) if stop - start - length < SMALLEST else (start, start + length)


def steal(taken: Sequence[Span]) -> tuple[int, Span] | None:
    """Whose piece is to be shortened (its place in `taken`), and the span a free connection gets; None when none is worth it."""
    if not taken:
        return None
    place = max(range(len(taken)), key=lambda at: taken[at][1] - taken[at][0])
    start, stop = taken[place]
    if stop - start < 2 * SMALLEST:
        return None
    return place, (start + (stop - start) // 2, stop)


def wanted(*, lanes: int, most: int, size: int | None, remaining: int, rate: float, since: float) -> int:
    """How many connections the download should have now.

    `rate` is what all of them bring together, in bytes a second; `since` the seconds since that was last asked.
    """
    if size is None or size < SPLIT_FROM or since < STEP or lanes < 1:
        return lanes
    if rate > 0 and remaining / rate <= PATIENCE:
        return lanes
    return max(lanes, most)
