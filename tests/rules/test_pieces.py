"""Which bytes are fetched next, and over how many connections."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypicache.rules import pieces
from pypicache.rules.pieces import LARGEST, SHARE, SMALLEST, Span, Spans

MIB = 1 << 20


@pytest.mark.parametrize(
    ("held", "span", "expected"),
    [
        ((), (0, 5), ((0, 5),)),
        ((), (5, 5), ()),
        (((0, 5),), (5, 9), ((0, 9),)),
        (((0, 5),), (7, 9), ((0, 5), (7, 9))),
        (((0, 5), (7, 9)), (5, 7), ((0, 9),)),
        (((0, 5), (7, 9)), (3, 8), ((0, 9),)),
        (((7, 9),), (0, 5), ((0, 5), (7, 9))),
        (((0, 9),), (3, 4), ((0, 9),)),
    ],
)
def test_adding_a_span(held: Spans, span: Span, expected: Spans) -> None:
    assert expected == pieces.add(held, span)


@pytest.mark.parametrize(
    ("held", "expected"), [((), 0), (((0, 5),), 5), (((1, 5),), 0), (((0, 5), (7, 9)), 5)]
)
def test_the_mark_is_the_end_of_the_first_bytes(held: Spans, expected: int) -> None:
    assert expected == pieces.mark(held)


@pytest.mark.parametrize(
    ("held", "taken", "expected"),
    [
        ((), (), ((0, 10),)),
        (((0, 10),), (), ()),
        (((0, 3),), ((5, 8),), ((3, 5), (8, 10))),
        (((0, 3),), ((3, 10),), ()),
        (((4, 6),), (), ((0, 4), (6, 10))),
        ((), ((0, 99),), ()),
    ],
)
def test_gaps(held: Spans, taken: list[Span], expected: Spans) -> None:
    assert expected == pieces.gaps(10, held, taken)


def test_the_front_comes_first() -> None:
    piece = pieces.next_piece(100 * MIB, ((0, 8 * MIB),), [(16 * MIB, 24 * MIB)], lanes=2, rate=4e6)
    assert piece is not None
    assert piece[0] == 8 * MIB


def test_pieces_shrink_towards_the_end() -> None:
    size = 100 * MIB
    early = pieces.next_piece(size, (), [], lanes=4, rate=100e6)
    late = pieces.next_piece(size, ((0, 92 * MIB),), [], lanes=4, rate=100e6)
    assert early == (0, LARGEST)
    assert late == (92 * MIB, 93 * MIB)


def test_a_slow_connection_gets_a_small_piece() -> None:
    assert pieces.next_piece(100 * MIB, (), [], lanes=4, rate=1000.0) == (0, SMALLEST)


def test_a_small_leftover_goes_along() -> None:
    size = 10 * MIB
    assert pieces.next_piece(size, ((0, size - SMALLEST - 5),), [], lanes=1, rate=1.0) == (
        size - SMALLEST - 5,
        size,
    )


def test_nothing_is_left_to_take() -> None:
    assert pieces.next_piece(10, ((0, 5),), [(5, 10)], lanes=2, rate=0) is None


@pytest.mark.parametrize(
    ("taken", "expected"),
    [
        ([], None),
        ([(0, SMALLEST)], None),
        ([(0, 2 * SMALLEST)], (0, (SMALLEST, 2 * SMALLEST))),
        ([(0, MIB), (10 * MIB, 20 * MIB)], (1, (15 * MIB, 20 * MIB))),
    ],
)
def test_stealing_the_second_half_of_the_largest(
    taken: list[Span], expected: tuple[int, Span] | None
) -> None:
    assert expected == pieces.steal(taken)


@pytest.mark.parametrize(
    ("lanes", "most", "size", "remaining", "rate", "since", "expected"),
    [
        (1, 4, 100 * MIB, 90 * MIB, 4e6, 0.3, 4),
        (2, 8, 100 * MIB, 90 * MIB, 8e6, 0.3, 8),
        (4, 4, 100 * MIB, 90 * MIB, 16e6, 0.3, 4),
        (4, 3, 100 * MIB, 90 * MIB, 8e6, 0.3, 4),  # a mirror has failed meanwhile
        (1, 4, 100 * MIB, 90 * MIB, 50e6, 0.3, 1),  # soon done anyway
        (1, 4, 100 * MIB, 90 * MIB, 4e6, 0.1, 1),  # too early to tell
        (1, 4, 7 * MIB, 7 * MIB, 1e3, 9.0, 1),  # a small file
        (1, 4, None, 90 * MIB, 1e3, 9.0, 1),  # of unknown size
        (1, 4, 100 * MIB, 100 * MIB, 0.0, 0.3, 4),  # not a byte yet
    ],
)
def test_how_many_connections(
    lanes: int, most: int, size: int | None, remaining: int, rate: float, since: float, expected: int
) -> None:
    found = pieces.wanted(lanes=lanes, most=most, size=size, remaining=remaining, rate=rate, since=since)
    assert expected == found


@pytest.mark.parametrize(
    ("size", "idle", "most", "sizes"),
    [
        (2 * MIB, 4, 4, [MIB // 2] * 4),
        (2 * MIB, 2, 4, [MIB] * 2),
        (2 * MIB, 9, 2, [MIB] * 2),  # the configuration says no more
        (2 * MIB, 1, 4, [2 * MIB]),  # what is idle is needed for the first
        (2 * MIB, 0, 4, [2 * MIB]),
        (2 * SHARE - 1, 9, 4, [2 * SHARE - 1]),  # too small
        (3 * SHARE + 1, 9, 4, [SHARE + 1, SHARE + 1, SHARE - 1]),
        (8 * MIB, 9, 4, [8 * MIB]),  # large: for that, connections are opened if it takes long
        (0, 3, 4, [0]),
    ],
)
def test_what_is_shared_out_from_the_start(size: int, idle: int, most: int, sizes: list[int]) -> None:
    shares = pieces.shares(size, idle=idle, most=most)
    assert [stop - start for start, stop in shares] == sizes


@given(st.integers(0, 20 * MIB), st.integers(0, 99), st.integers(1, 99))
def test_shares_follow_each_other(size: int, idle: int, most: int) -> None:
    shares = pieces.shares(size, idle=idle, most=most)
    assert 1 <= len(shares) <= max(1, min(most, idle))
    assert (shares[0][0], shares[-1][1]) == (0, size)
    assert all(a[1] == b[0] for a, b in itertools.pairwise(shares))
    assert len(shares) == 1 or min(stop - start for start, stop in shares) >= SHARE - len(shares)


SPAN = st.tuples(st.integers(0, 200), st.integers(0, 200)).map(lambda pair: (min(pair), max(pair)))


@given(st.lists(SPAN))
def test_spans_are_a_set_of_offsets(spans: list[Span]) -> None:
    """Adding spans and asking for gaps is set arithmetic."""
    held: Spans = ()
    for span in spans:
        held = pieces.add(held, span)
    offsets = {offset for start, stop in spans for offset in range(start, stop)}
    assert {offset for start, stop in held for offset in range(start, stop)} == offsets
    assert all(a[1] < b[0] for a, b in itertools.pairwise(held))
    left = {offset for start, stop in pieces.gaps(200, held) for offset in range(start, stop)}
    assert left == set(range(200)) - offsets


@given(
    st.integers(1, 300 * MIB),
    st.lists(
        st.tuples(st.integers(0, 300 * MIB), st.integers(0, 300 * MIB)).map(lambda p: (min(p), max(p))),
        max_size=6,
    ),
    st.integers(1, 16),
    st.floats(0, 1e9),
)
def test_a_piece_is_missing_and_not_taken(size: int, spans: list[Span], lanes: int, rate: float) -> None:
    held: Spans = ()
    for span in spans[:3]:
        held = pieces.add(held, span)
    piece = pieces.next_piece(size, held, spans[3:], lanes=lanes, rate=rate)
    free = pieces.gaps(size, held, spans[3:])
    assert (piece is None) == (not free)
    if piece is not None:
        assert 0 <= piece[0] < piece[1] <= size
        assert pieces.covers(free, piece)
