"""What one client may be sent in a turn of the loop, beside the others."""

from __future__ import annotations

from pypicache.web.turn import LEAST, MOST, TURN, Turn


def take(turn: Turn, now: float) -> int:
    """Send all that is allowed."""
    count = turn.allowance(now)
    turn.spend(count)
    return count


def test_the_first_get_much_and_the_others_get_on() -> None:
    turn = Turn()
    assert [take(turn, 1.0) for _ in range(6)][:-2] == [MOST] * (TURN // MOST) + [LEAST] * (4 - TURN // MOST)


def test_a_turn_has_its_own() -> None:
    turn = Turn()
    for now in (1.0, 1.001, 1.002):
        assert take(turn, now) == MOST
        for _ in range(50):
            take(turn, now)


def test_what_was_not_sent_is_left_for_others() -> None:
    turn = Turn()
    for _ in range(100):
        assert turn.allowance(1.0) == MOST
        turn.spend(10)
