"""What one client may be sent in a turn of the loop, beside the others."""

from __future__ import annotations

import asyncio

from pypicache.web.turn import LEAST, MOST, TURN, Turn


def take(turn: Turn) -> int:
    """Send all that is allowed."""
    count = turn.allowance()
    turn.spend(count)
    return count


async def test_the_first_get_much_and_the_others_get_on() -> None:
    turn = Turn()
    assert [take(turn) for _ in range(6)][:-2] == [MOST] * (TURN // MOST) + [LEAST] * (4 - TURN // MOST)


async def test_a_turn_has_its_own() -> None:
    turn = Turn()
    for _ in range(3):
        assert take(turn) == MOST
        for _ in range(50):
            take(turn)
        await asyncio.sleep(0)


async def test_what_was_not_sent_is_left_for_others() -> None:
    turn = Turn()
    for _ in range(100):
        assert turn.allowance() == MOST
        turn.spend(10)
