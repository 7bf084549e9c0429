"""What goes first, and how much of it: the table, and laws for any cache."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypicache.rules import eviction
from pypicache.rules.eviction import (
    DAY,
    MOST_CREDIT,
    Candidate,
    Limits,
    attainable,
    bounded_credit,
    choose,
    coldest,
    credit_after,
    headroom,
    outlived,
    to_free,
)

MIB, GIB = 1 << 20, 1 << 30
NOW = 1_800_000_000.0


def file(name: str, *, size: int = MIB, ago: float = 0.0, uses: int = 1) -> Candidate:
    """A file that was used so many times at once, so many days ago."""
    at = NOW - ago * DAY
    return Candidate(name, size, at, at if uses == 1 else credit_after(at, at, uses - 1))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (file("unused for two days", ago=2), file("for one", ago=1)),
        (file("large", size=GIB, ago=1), file("small, and older", size=MIB, ago=3)),
        (file("small, and much older", ago=5), file("large", size=GIB, ago=1)),
        (file("a wheel", ago=1), file("its sidecar", size=2000, ago=2)),
        (file("used once", ago=1), file("four times, a day and a half before", uses=4, ago=2.5)),
        (file("four times, three days before", uses=4, ago=4), file("once", ago=1)),
        (file("the rage of a day", uses=10**6, ago=8.5), file("once", ago=1)),
    ],
    ids=lambda candidate: candidate.sha256,
)
def test_what_goes_first(first: Candidate, second: Candidate) -> None:
    assert first.standing < second.standing


def test_a_thing_used_every_day_outlasts_what_a_night_fetches() -> None:
    """A fan-out at night over files that nobody needs twice, and the file of every morning."""
    credit = NOW - 30 * DAY
    for day in range(30, 0, -1):
        credit = credit_after(credit, NOW - day * DAY)
    daily = Candidate("daily", MIB, NOW - DAY, credit)
    assert daily.standing > file("of last night", ago=0.1).standing


@pytest.mark.parametrize(
    ("limits", "held", "free", "incoming", "expected"),
    [
        (Limits(), 10**18, 0, 10**9, 0),
        (Limits(max_size=100), 100, 10**9, 0, 0),
        (Limits(max_size=100), 101, 10**9, 0, 1),
        (Limits(max_size=100), 60, 10**9, 50, 10),
        (Limits(max_size=100, min_free=30), 10, 20, 0, 10),
        (Limits(max_size=100, min_free=30), 10, 20, 5, 15),
        (Limits(max_size=100, min_free=30), 130, 20, 0, 30),
        (Limits(min_free=30), 10, 30, 0, 0),
    ],
)
def test_how_much_has_to_go(limits: Limits, held: int, free: int, incoming: int, expected: int) -> None:
    assert to_free(limits, held=held, free=free, incoming=incoming) == expected


def test_a_file_system_smaller_than_what_shall_stay_free() -> None:
    """The shipped gigabyte can't be left on a disk of four megabytes; a tenth can, and the cache still works."""
    assert attainable(Limits(min_free=GIB), 4 * MIB).min_free == 4 * MIB // 10
    assert attainable(Limits(min_free=GIB), 2 * GIB).min_free == GIB


def test_headroom_is_small_beside_the_cache() -> None:
    assert headroom(Limits()) == 0
    assert headroom(Limits(max_size=20 * MIB)) == 20 * MIB // 50
    assert headroom(Limits(max_size=1000 * GIB)) == GIB


@pytest.mark.parametrize(("ago", "expected"), [(9.9, False), (10.1, True)])
def test_age_is_counted_from_the_last_use(ago: float, *, expected: bool) -> None:
    assert outlived(file("x", ago=ago, uses=1000), Limits(max_age=10 * DAY), NOW) is expected
    assert not outlived(file("x", ago=ago), Limits(), NOW)


@pytest.mark.parametrize(
    ("credit", "expected"),
    [(NOW - DAY, NOW), (NOW + DAY, NOW + DAY), (NOW + 1000 * DAY, NOW + MOST_CREDIT), (0.0, NOW)],
)
def test_a_credit_off_a_disk_is_made_possible(credit: float, expected: float) -> None:
    assert bounded_credit(credit, NOW) == expected


# Laws

candidates = st.lists(
    st.builds(
        lambda number, size, used, credit: Candidate(f"{number:064x}", size, used, used + credit),
        st.integers(0, 10**6),
        st.integers(0, 4 * GIB),
        st.floats(NOW - 400 * DAY, NOW + 3 * DAY),
        st.floats(0, MOST_CREDIT),
    ),
    max_size=40,
    unique_by=lambda candidate: candidate.sha256,
)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [(0.0, 5e8, 5e8), (5e8, 5e8, 5e8 + DAY), (5e8, 5e8 + DAY, 5e8 + DAY * math.log2(3))],
)
def test_uses_of_several_files_add_up(one: float, other: float, expected: float) -> None:
    assert eviction.together(one, other) == pytest.approx(expected)
    assert eviction.together(other, one) == eviction.together(one, other)


@given(candidates, st.integers(-10, 100 * GIB), st.data())
def test_the_oldest_go_first_and_no_more_than_must(
    files: list[Candidate], need: int, data: st.DataObject
) -> None:
    """Under budget after, nothing spared is touched, nothing stays that should have gone before what went."""
    spared = data.draw(st.sets(st.sampled_from([f.sha256 for f in files]))) if files else set()
    gone = choose(files, need, spared=spared.__contains__)
    freed = sum(candidate.size for candidate in gone)
    assert not spared & {candidate.sha256 for candidate in gone}
    stays = [f for f in files if f not in gone and f.sha256 not in spared]
    assert freed >= need or not stays
    assert not gone or freed - gone[-1].size < need
    assert all(a.standing <= b.standing for a, b in itertools.pairwise(gone))
    assert all(gone[-1].standing <= stayed.standing for stayed in stays if gone)


@given(candidates, st.integers(0, 50))
def test_the_coldest_few_are_those_that_would_be_chosen(files: list[Candidate], most: int) -> None:
    """Popped one after the other, they come in the order in which all would go."""
    assert coldest(files, most)[::-1] == list(choose(files, 10**18))[:most]


@given(
    st.integers(0, 10**12), st.integers(0, 10**12), st.integers(0, 10**12), st.integers(0, 10**12), st.data()
)
def test_what_is_freed_is_enough(
    max_size: int, min_free: int, held: int, free: int, data: st.DataObject
) -> None:
    limits = Limits(max_size=max_size, min_free=min_free)
    incoming = data.draw(st.integers(0, max_size))
    freed = to_free(limits, held=held, free=free, incoming=incoming)
    assert held + incoming - freed <= max_size
    assert not min_free or free + freed - incoming >= min_free


@given(st.floats(0, 2 * NOW), st.floats(0, 2 * NOW), st.integers(1, 10**9))
def test_a_use_never_takes_standing_away(credit: float, now: float, uses: int) -> None:
    """Whatever the clock did meanwhile: the credit is the use itself or more, and never out of bounds."""
    after = credit_after(credit, now, uses)
    assert now <= after <= now + MOST_CREDIT
    assert after >= min(credit, now + MOST_CREDIT) - 1e-3


@given(st.integers(1, 1000), st.integers(1, 1000))
def test_uses_add_up_in_any_portions(one: int, other: int) -> None:
    """Uses are written down in batches: it doesn't matter in which."""
    apart = credit_after(credit_after(NOW - DAY, NOW, one), NOW, other)
    assert apart == pytest.approx(credit_after(NOW - DAY, NOW, one + other), abs=1)
