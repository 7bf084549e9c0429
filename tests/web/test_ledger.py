"""Answers that are given again, noted: what is told as one, and that nothing is lost or told in another order."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from pypicache.events import Again, Answered
from pypicache.web.ids import Ids
from pypicache.web.ledger import ALIKE, MOST, Ledger


class Heard:
    """Takes what it is told."""

    def __init__(self) -> None:
        self.told: list[Again] = []
        self.numbers: list[int] = []
        self.some = asyncio.Event()

    def take(self, answered: Answered) -> None:
        raise AssertionError("nothing is told one by one here")

    def take_again(self, again: Sequence[Again], prefix: str, first: int) -> None:
        self.told += again
        for each in again:
            self.numbers += range(first, first + each.times)
            first += each.times
        self.some.set()


def record() -> Answered:
    return Answered(
        index="root/pypi",
        kind="page",
        subject="demo",
        method="GET",
        path="/simple/demo/",
        client="",
        status=200,
        sent=9,
        seconds=1.0,
        outcome="hit",
        mirror="",
    )


PAGE, OTHER = record(), record()


@pytest.mark.parametrize(
    ("second", "times"),
    [
        ((PAGE, "a", 7.9, 2.9 / ALIKE, 1), [3]),
        ((PAGE, "b", 7.9, 2.5 / ALIKE, 1), [2, 1]),
        ((OTHER, "a", 7.9, 2.5 / ALIKE, 1), [2, 1]),
        ((PAGE, "a", 8.0, 2.5 / ALIKE, 1), [2, 1]),
        ((PAGE, "a", 7.9, 3.1 / ALIKE, 1), [2, 1]),
        ((PAGE, "a", 7.9, 1.9 / ALIKE, 1), [2, 1]),
    ],
)
async def test_the_same_to_the_same_client_in_the_same_second_is_one(
    second: tuple[Answered, str, float, float, int], times: list[int]
) -> None:
    heard = Heard()
    ledger = Ledger([heard], Ids())
    ledger.note(PAGE, "a", 7.0, 2.1 / ALIKE, 2)
    ledger.note(*second)
    assert not heard.told
    await heard.some.wait()
    assert [each.times for each in heard.told] == times
    assert heard.numbers == [1, 2, 3]
    assert heard.told[-1].record is second[0]


async def test_times_that_come_by_turns_are_told_as_one_each() -> None:
    heard = Heard()
    ledger = Ledger([heard], Ids())
    for _ in range(3):
        ledger.note(PAGE, "a", 7.0, 0.5 / ALIKE, 2)
        ledger.note(PAGE, "a", 7.0, 1.5 / ALIKE, 1)
    ledger.note(OTHER, "a", 7.0, 0.5 / ALIKE, 1)
    ledger.note(PAGE, "a", 7.0, 0.5 / ALIKE, 1)
    ledger.settle()
    assert [(each.record is PAGE, each.times) for each in heard.told] == [
        (True, 6),
        (True, 3),
        (False, 1),
        (True, 1),
    ]
    assert heard.numbers == list(range(1, 12))


async def test_much_is_told_at_once_and_every_one_has_a_number_of_its_own() -> None:
    heard = Heard()
    ids = Ids()
    ledger = Ledger([heard], ids)
    for _ in range(2):
        ledger.note(PAGE, "a", 7.0, 0.0, MOST - 1)
        before = len(heard.numbers)
        ledger.note(OTHER, "a", 7.0, 0.0, 5)
        assert len(heard.numbers) - before == MOST + 4
    ledger.note(PAGE, "a", 7.0, 0.0, 1)
    ledger.settle()
    ledger.settle()
    assert heard.numbers == list(range(1, 2 * (MOST + 4) + 2))
    assert ids.take(1) == len(heard.numbers) + 1
