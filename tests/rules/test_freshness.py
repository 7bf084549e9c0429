from __future__ import annotations

from collections.abc import Sequence

import pytest

from pypicache.rules.freshness import (
    Freshness,
    Windows,
    assess,
    assess_absence,
    clamp_age,
    jitter,
    refresh_ahead,
)

FRESH, PATIENCE, FIRST, GONE = (
    Freshness.FRESH,
    Freshness.ASK_WITHIN_PATIENCE,
    Freshness.ASK_FIRST,
    Freshness.GONE,
)
NOW = 1_000_000.0
WINDOWS = Windows(ttl=100, stale_while_revalidate=200, stale_if_error=1000, negative_ttl=10)


def test_defaults_are_the_configurations() -> None:
    assert Windows() == Windows(
        ttl=600, patience=1, stale_while_revalidate=86_400, stale_if_error=2_592_000, negative_ttl=60
    )


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (0, FRESH),
        (99.9, FRESH),
        (100, PATIENCE),
        (299.9, PATIENCE),
        (300, FIRST),
        (1099.9, FIRST),
        (1100, GONE),
        (1e9, GONE),
        (-1, FRESH),
        (-60, FRESH),
        (-61, PATIENCE),
        (-1e9, PATIENCE),
    ],
)
def test_age_decides(age: float, expected: Freshness) -> None:
    """Windows count from the end of `ttl`; a page from the far future is just stale."""
    assert assess(checked_at=NOW - age, now=NOW, windows=WINDOWS) is expected


@pytest.mark.parametrize(
    ("windows", "ages", "expected"),
    [
        (Windows(ttl=0), (0, 1), [PATIENCE, PATIENCE]),
        (Windows(ttl=0.5), (0, 0.4, 0.5), [FRESH, FRESH, PATIENCE]),
        (Windows(ttl=0, stale_while_revalidate=0), (0, 1), [FIRST, FIRST]),
        (Windows(ttl=10, stale_while_revalidate=0, stale_if_error=0), (9, 10, -100), [FRESH, GONE, GONE]),
        (Windows(ttl=10, stale_while_revalidate=20, stale_if_error=5), (9, 29, 30), [FRESH, PATIENCE, GONE]),
        (Windows(ttl=10, stale_while_revalidate=0, stale_if_error=5), (10, 14, 15), [FIRST, FIRST, GONE]),
    ],
)
def test_windows_of_no_length_and_crossed_ones(
    windows: Windows, ages: Sequence[float], expected: list[Freshness]
) -> None:
    assert [assess(checked_at=NOW - age, now=NOW, windows=windows) for age in ages] == expected


@pytest.mark.parametrize(
    ("cut", "age", "expected"),
    [
        (0.1, 89.9, FRESH),
        (0.1, 90, PATIENCE),
        (0.1, 299, PATIENCE),
        (0.1, 300, FIRST),
        (0.1, 1099, FIRST),
        (-1, 100, PATIENCE),
        (2, 0, PATIENCE),
    ],
)
def test_jitter_only_shortens_ttl(cut: float, age: float, expected: Freshness) -> None:
    assert assess(checked_at=NOW - age, now=NOW, windows=WINDOWS, jitter=cut) is expected


@pytest.mark.parametrize(
    ("age", "asked", "expected"),
    [
        (4.9, None, FRESH),
        (5, None, FIRST),
        (50, 4.9, FRESH),
        (50, 5, FIRST),
        (150, 4.9, PATIENCE),
        (150, 5, FIRST),
        (400, 4.9, FIRST),
        (400, 5, FIRST),
        (1100, 5, GONE),
        (-30, None, FRESH),
        (-100, None, FIRST),
        (50, -30, FRESH),
        (50, -100, FIRST),
    ],
)
def test_client_that_insists(age: float, asked: float | None, expected: Freshness) -> None:
    """At most once in five seconds a page, counted from the last time a mirror was asked or answered."""
    asked_at = None if asked is None else NOW - asked
    got = assess(checked_at=NOW - age, now=NOW, windows=WINDOWS, revalidate=True, asked_at=asked_at)
    assert got is expected


@pytest.mark.parametrize("age", [0, 150, 400, 1e9, -1e9])
@pytest.mark.parametrize("revalidate", [False, True])
def test_offline_serves_whatever_is_held(age: float, revalidate: bool) -> None:
    facts = {"checked_at": NOW - age, "now": NOW}
    assert assess(**facts, windows=WINDOWS, revalidate=revalidate, offline=True) is FRESH
    assert assess_absence(**facts, windows=WINDOWS, revalidate=revalidate, offline=True) is FRESH


@pytest.mark.parametrize(
    ("age", "revalidate", "asked", "expected"),
    [
        (0, False, None, FRESH),
        (9.9, False, None, FRESH),
        (10, False, None, FIRST),
        (1009, False, None, FIRST),
        (1010, False, None, GONE),
        (-30, False, None, FRESH),
        (-100, False, None, FIRST),
        (4.9, True, None, FRESH),
        (5, True, None, FIRST),
        (6, True, 1, FRESH),
        (6, True, 5, FIRST),
        (1010, True, None, GONE),
    ],
)
def test_absence_is_believed_briefly(
    age: float, revalidate: bool, asked: float | None, expected: Freshness
) -> None:
    got = assess_absence(
        checked_at=NOW - age,
        now=NOW,
        windows=WINDOWS,
        revalidate=revalidate,
        asked_at=None if asked is None else NOW - asked,
    )
    assert got is expected


def test_client_that_does_not_insist_believes_an_absence() -> None:
    assert assess_absence(checked_at=NOW - 6, now=NOW, windows=WINDOWS) is FRESH


@pytest.mark.parametrize(
    ("age", "uses", "expected"),
    [(79, 9, False), (80, 9, True), (80, 3, True), (80, 2, False), (0, 1000, False), (-100, 9, False)],
)
def test_popular_page_is_refreshed_before_it_expires(age: float, uses: int, expected: bool) -> None:
    assert refresh_ahead(checked_at=NOW - age, now=NOW, windows=WINDOWS, uses=uses) is expected


def test_refresh_ahead_counts_from_the_jittered_ttl() -> None:
    assert refresh_ahead(checked_at=NOW - 60, now=NOW, windows=WINDOWS, jitter=0.25, uses=3)


def test_jitter_is_the_same_for_a_key_and_differs_between_keys() -> None:
    cuts = [jitter(f"root/pypi:{n}") for n in range(1000)]
    assert cuts == [jitter(f"root/pypi:{n}") for n in range(1000)]
    assert len(set(cuts)) == 1000
    assert all(0 <= cut < 0.1 for cut in cuts)
    assert min(cuts) < 0.005
    assert max(cuts) > 0.095
    assert jitter("x", 0.5) == pytest.approx(jitter("x") * 5)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, 0),
        ("", 0),
        ("0", 0),
        ("30", 30),
        (" 30 ", 30),
        ("50", 50),
        ("51", 50),
        ("86400", 50),
        ("9" * 5000, 50),
        ("-5", 0),
        ("1.5", 0),
        ("30, 40", 0),
        ("\N{ARABIC-INDIC DIGIT THREE}", 0),
        ("nan", 0),
    ],
)
def test_upstream_age_is_clamped(text: str | None, expected: float) -> None:
    """Never more than half of `ttl`, so that a page from a CDN that purges is fresh here for a while."""
    assert clamp_age(text, 100) == expected
