"""Tables for scores and hedges: when measurements outweigh the configured order, and when a second mirror is asked."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypicache.rules import hedge
from pypicache.rules.hedge import Allowance
from pypicache.rules.score import HEAVIEST, WINDOW, Average, Score, worse

NOW = 1000.0


def answering(*seconds: float) -> Score:
    score = Score()
    for each in seconds:
        score = score.on_answer(each, NOW)
    return score


def failing(*outcomes: bool) -> Score:
    score = Score()
    for failed in outcomes:
        score = score.on_failure(NOW) if failed else score.on_answer(0.1, NOW)
    return score


def sending(rate: float) -> Score:
    return Score().on_transfer(rate, NOW)


WORSE: list[tuple[str, Score, Sequence[Score], bool]] = [
    ("nothing is known", Score(), [Score()], False),
    ("there is no other", answering(9.0), [], False),
    ("others are unknown", answering(9.0), [Score()], False),
    ("twice as slow isn't clear", answering(0.8), [answering(0.4)], False),
    ("many times as slow, but a matter of milliseconds", answering(0.1), [answering(0.01)], False),
    ("clearly slow", answering(2.0), [answering(0.1)], True),
    ("clearly slow beside one of two", answering(2.0), [answering(2.0), answering(0.1)], True),
    ("overtaken while silent", Score().on_overtaken(1.0, NOW), [answering(0.05)], True),
    ("a long answer that began at once", Score().on_answer(5.0, NOW, 0.05), [answering(0.1)], False),
    (
        "a short answer that began late",
        Score().on_answer(2.1, NOW, 2.0),
        [Score().on_answer(5, NOW, 0.1)],
        True,
    ),
    ("faster", answering(0.1), [answering(2.0)], False),
    ("one failure", failing(True), [answering(0.1)], False),
    ("three failures", failing(True, True, True), [answering(0.1)], True),
    ("half of its requests fail", failing(True, False, True, False), [answering(0.1)], False),
    ("both fail", failing(True, True, True), [failing(True, True, True)], False),
    ("slow beside one that fails", answering(2.0), [failing(False, True, True, True)], False),
    ("half as fast a line", sending(5e5), [sending(1e6)], False),
    ("a crawl", sending(1e5), [sending(1e6)], True),
    ("a tenth, and still fast", sending(1e7), [sending(1e8)], False),
]


@pytest.mark.parametrize(
    ("score", "others", "expected"), [row[1:] for row in WORSE], ids=[r[0] for r in WORSE]
)
def test_the_configured_order_holds_unless_a_mirror_is_clearly_worse(
    score: Score, others: Sequence[Score], expected: bool
) -> None:
    assert worse(score, others, NOW) is expected


@pytest.mark.parametrize("count", [1, 3, 100])
def test_a_bad_average_lapses_within_a_minute(count: int) -> None:
    """A mirror that gave way isn't asked, so nothing but time can redeem it."""
    slow, other = answering(*[5.0] * count), answering(0.1)
    assert worse(slow, [other], NOW)
    assert not worse(slow, [other.on_answer(0.1, NOW + 60)], NOW + 60)


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 60)), min_size=1, max_size=40))
def test_an_average_lies_among_its_samples_and_stands_for_a_bounded_number(
    samples: list[tuple[float, float]],
) -> None:
    average, now = Average(), NOW
    for value, pause in samples:
        now += pause
        average = average.add(value, now)
    mean = average.mean(now)
    values = [value for value, _ in samples]
    assert mean is not None
    assert min(values) - 1e-6 <= mean <= max(values) + 1e-6
    assert average.weight <= HEAVIEST


def test_a_clock_that_goes_back_makes_no_average_heavier() -> None:
    average = Average().add(1.0, NOW)
    assert average.weight_at(NOW - 1000) == average.weight


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [([0.1] * 4, None), ([0.1] * 5, 0.1), ([0.1] * 19 + [3.0], 0.1), ([0.1] * 18 + [3.0] * 2, 3.0)],
)
def test_p95_of_recent_answers(seconds: list[float], expected: float | None) -> None:
    score = answering(*seconds)
    assert score.p95 == expected
    assert len(answering(*seconds * 20).recent) <= WINDOW


@pytest.mark.parametrize(
    ("p95", "probation", "expected"),
    [
        (None, False, hedge.UNKNOWN),
        (0.001, False, hedge.SHORTEST),
        (0.4, False, 0.4),
        (30.0, False, hedge.LONGEST),
        (None, True, hedge.PROBATION),
        (0.4, True, hedge.PROBATION),
    ],
)
def test_when_the_next_mirror_is_asked(p95: float | None, probation: bool, expected: float) -> None:
    assert hedge.delay(p95, probation=probation) == expected


@given(st.lists(st.booleans(), max_size=300))
def test_extra_requests_are_a_share_of_all(asked: list[bool]) -> None:
    """Over any run, at most `MOST` and a tenth of the requests are extra."""
    allowance, extra = Allowance(), 0
    for wants in asked:
        allowance = allowance.earn()
        if wants and (spent := allowance.spend()) is not None:
            allowance, extra = spent, extra + 1
    assert extra <= hedge.MOST + hedge.SHARE * len(asked) + 1e-6
