from __future__ import annotations

import pytest

from pypicache.rules.breaker import (
    FIRST_HOLD,
    LEASE,
    LONGEST_HOLD,
    REFUSAL_LIMIT,
    RETRY_CAP,
    Breaker,
    State,
)

NOW = 1000.0
CLOSED = Breaker()
OPEN = Breaker(state=State.OPEN, trips=1, until=NOW + 5)
DUE = Breaker(state=State.OPEN, trips=1, until=NOW)
PROBING = Breaker(state=State.HALF_OPEN, trips=1, until=NOW + 5)
LOST = Breaker(state=State.HALF_OPEN, trips=1, until=NOW)

SECOND_HOLD = Breaker(state=State.OPEN, trips=2, until=NOW + 2 * FIRST_HOLD)


@pytest.mark.parametrize(
    ("before", "allows", "probed", "failed"),
    [
        (CLOSED, True, CLOSED, Breaker(state=State.OPEN, trips=1, until=NOW + FIRST_HOLD)),
        (OPEN, False, Breaker(state=State.HALF_OPEN, trips=1, until=NOW + LEASE), OPEN),
        (DUE, True, Breaker(state=State.HALF_OPEN, trips=1, until=NOW + LEASE), SECOND_HOLD),
        (PROBING, False, PROBING, SECOND_HOLD),
        (LOST, True, Breaker(state=State.HALF_OPEN, trips=1, until=NOW + LEASE), SECOND_HOLD),
    ],
)
def test_table_of_states_and_events(before: Breaker, allows: bool, probed: Breaker, failed: Breaker) -> None:
    assert before.allows(NOW) is allows
    assert before.on_success(NOW) == Breaker()
    assert before.probe(NOW) == probed
    assert before.on_failure(NOW, spread=0.0) == failed


def test_third_error_answer_in_a_row_opens() -> None:
    once = CLOSED.on_failure(NOW, spread=0.0, answered=True)
    twice = once.on_failure(NOW, spread=0.0, answered=True)
    thrice = twice.on_failure(NOW, spread=0.0, answered=True)
    assert [b.state for b in (once, twice, thrice)] == [State.CLOSED, State.CLOSED, State.OPEN]
    assert thrice.until == NOW + FIRST_HOLD


def test_success_between_error_answers_forgets_them() -> None:
    breaker = CLOSED
    for _ in range(10):
        breaker = breaker.on_failure(NOW, spread=0.0, answered=True).on_failure(
            NOW, spread=0.0, answered=True
        )
        assert breaker.allows(NOW)
        breaker = breaker.on_success(NOW)


def test_silence_after_one_error_answer_opens_at_once() -> None:
    assert not CLOSED.on_failure(NOW, spread=0.0, answered=True).on_failure(NOW, spread=0.0).allows(NOW)


def test_error_answer_to_a_probe_opens_again() -> None:
    assert PROBING.on_failure(NOW, spread=0.0, answered=True) == SECOND_HOLD


def test_holds_double_up_to_the_longest() -> None:
    breaker, now, holds = CLOSED, NOW, []
    for _ in range(20):
        breaker = breaker.probe(now).on_failure(now, spread=0.0)
        holds.append(breaker.until - now)
        now = breaker.until
    assert holds[:4] == [5.0, 10.0, 20.0, LONGEST_HOLD]
    assert set(holds[4:]) == {LONGEST_HOLD}


def test_recovery_starts_the_holds_anew() -> None:
    again = SECOND_HOLD.on_success(NOW).on_failure(NOW, spread=0.0)
    assert again.until == NOW + FIRST_HOLD


def test_spread_cuts_the_hold_by_up_to_half() -> None:
    assert CLOSED.on_failure(NOW, spread=0.5).until == NOW + FIRST_HOLD * 0.75
    assert CLOSED.on_failure(NOW, spread=0.999999).until > NOW + FIRST_HOLD * 0.5


@pytest.mark.parametrize(
    ("before", "retry_after", "until"),
    [
        (CLOSED, 0.0, FIRST_HOLD),
        (CLOSED, 1.0, FIRST_HOLD),
        (CLOSED, 20.0, 20.0),
        (CLOSED, 1e9, RETRY_CAP),
        (PROBING, 20.0, 20.0),
        (OPEN, 1.0, 5.0),
        (OPEN, 20.0, 20.0),
        (OPEN, 1e9, RETRY_CAP),
    ],
)
def test_retry_after_is_obeyed_up_to_its_cap(before: Breaker, retry_after: float, until: float) -> None:
    """A Retry-After opens at once, lengthens a hold, and never shortens one."""
    after = before.on_failure(NOW, retry_after, spread=0.0, answered=True)
    assert after.state is State.OPEN
    assert after.until == max(NOW + until, before.until if before is OPEN else 0)


def test_late_failures_do_not_grow_the_hold() -> None:
    breaker = OPEN
    for _ in range(100):
        breaker = breaker.on_failure(NOW, spread=0.0)
    assert breaker == OPEN


def test_only_one_probe_at_a_time() -> None:
    probing = DUE.probe(NOW)
    assert not probing.allows(NOW)
    assert not probing.allows(NOW + LEASE - 0.1)
    assert probing.allows(NOW + LEASE)


def test_mirror_that_recovers_is_used_again_within_a_minute() -> None:
    """Whatever it failed with, unless it asked for more itself; and a Retry-After of a minute is obeyed in full."""
    breaker = CLOSED
    for _ in range(20):
        breaker = breaker.probe(NOW).on_failure(NOW, spread=0.0)
    assert breaker.allows(NOW + 59.9)
    asked = CLOSED.on_failure(NOW, 60.0, spread=0.0)
    assert not asked.allows(NOW)
    assert not asked.allows(NOW + 59.9)


@pytest.mark.parametrize("before", [OPEN, PROBING])
def test_clock_set_back_does_not_hold_a_mirror_for_ever(before: Breaker) -> None:
    assert before.allows(NOW - REFUSAL_LIMIT)
    assert before.allows(0.0)
