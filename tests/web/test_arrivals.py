"""What arrives in one turn of the event loop is handled together, and one by one while there is one at a time."""

from __future__ import annotations

import asyncio
from time import monotonic

from pypicache.web.arrivals import ALONE, BELIEVED, MOST, Arrivals


class Desk:
    """Handles what arrives, and keeps it."""

    def __init__(self) -> None:
        self.arrivals: Arrivals[str] = Arrivals(self.handle)
        self.handled: list[list[tuple[str, bytes]]] = []

    def handle(self, came: list[tuple[str, bytes]], began: float) -> None:
        assert 0 <= monotonic() - began < 10
        self.handled.append(came)


async def turn() -> None:
    await asyncio.sleep(0)


async def test_what_comes_in_a_turn_is_handled_together_in_its_order() -> None:
    desk = Desk()
    for number in range(3):
        desk.arrivals.add(f"{number}", b"x")
    assert desk.handled == []
    await turn()
    assert desk.handled == [[("0", b"x"), ("1", b"x"), ("2", b"x")]]
    desk.arrivals.add("3", b"y")
    await turn()
    assert desk.handled[1:] == [[("3", b"y")]]


async def test_a_crowd_is_handled_in_parts_and_in_order() -> None:
    desk = Desk()
    for number in range(2 * MOST + 1):
        desk.arrivals.add(f"{number}", b"x")
    sizes = []
    for _ in range(3):
        await turn()
        sizes.append([len(part) for part in desk.handled])
        desk.arrivals.add("late", b"x")
    assert sizes == [[MOST], [MOST, MOST], [MOST, MOST, 3]]
    await turn()
    names = [name for part in desk.handled for name, _ in part]
    assert names == [*(f"{number}" for number in range(2 * MOST + 1)), *["late"] * 3]


async def test_what_must_not_wait_is_handled_now_and_once() -> None:
    desk = Desk()
    desk.arrivals.add("0", b"x")
    desk.arrivals.settle()
    assert len(desk.handled) == 1
    desk.arrivals.add("1", b"x")
    await turn()
    await turn()
    assert desk.handled == [[("0", b"x")], [("1", b"x")]]


async def test_one_at_a_time_is_believed_after_a_while_and_looked_at_again() -> None:
    desk = Desk()
    for _ in range(ALONE):
        assert desk.arrivals.one_at_a_time == 0
        desk.arrivals.add("0", b"x")
        await turn()
    assert desk.arrivals.one_at_a_time == BELIEVED
    desk.arrivals.one_at_a_time = 0  # they were handled as they came
    desk.arrivals.add("0", b"x")
    await turn()
    assert desk.arrivals.one_at_a_time == BELIEVED
    desk.arrivals.one_at_a_time = 0
    desk.arrivals.add("0", b"x")
    desk.arrivals.add("1", b"x")
    await turn()
    assert desk.arrivals.one_at_a_time == 0
