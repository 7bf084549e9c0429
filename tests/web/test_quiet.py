"""Work that waits until it is quiet: when it is done, in which order, and what it doesn't survive."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest

from pypicache.web.quiet import Quiet
from tests.waiting import turns

LONG = 3600.0


class Doing:
    """Notes what is done, and when by the loop's clock."""

    def __init__(self) -> None:
        self.done: list[int] = []
        self.at: list[float] = []
        self.enough = asyncio.Event()

    def work(self, number: int, *, last: bool = False) -> Callable[[], Awaitable[None]]:
        async def one() -> None:
            self.done.append(number)
            self.at.append(asyncio.get_running_loop().time())
            if last:
                self.enough.set()

        return one


async def test_it_is_done_in_order_once_nothing_more_has_come_for_a_while() -> None:
    doing, quiet, loop = Doing(), Quiet(quiet=0.05, latest=LONG), asyncio.get_running_loop()
    added = []

    def another() -> None:
        quiet.add(doing.work(2, last=True))
        added.append(loop.time())

    quiet.add(doing.work(1))
    loop.call_later(0.03, another)
    async with asyncio.timeout(10):
        await doing.enough.wait()
    assert doing.done == [1, 2]
    assert doing.at[0] >= added[0] + 0.05 - 0.002  # the loop's clock has milliseconds
    await quiet.end()


async def test_it_waits_no_longer_than_it_may() -> None:
    """Where more comes all the time, too."""
    doing, quiet, loop = Doing(), Quiet(quiet=LONG, latest=0.02), asyncio.get_running_loop()
    quiet.add(doing.work(1, last=True))

    def more() -> None:
        if not doing.enough.is_set():
            quiet.add(doing.work(2))
            loop.call_later(0.001, more)

    more()
    async with asyncio.timeout(10):
        await doing.enough.wait()
    await quiet.end()


async def test_what_comes_later_is_done_as_well() -> None:
    doing, quiet = Doing(), Quiet(quiet=0.0)
    for number in range(3):
        doing.enough.clear()
        quiet.add(doing.work(number, last=True))
        async with asyncio.timeout(10):
            await doing.enough.wait()
    assert doing.done == [0, 1, 2]
    await quiet.end()


async def test_what_came_first_is_forgotten_when_it_is_too_much() -> None:
    doing, quiet = Doing(), Quiet(quiet=0.0, most=2)
    for number in range(4):
        quiet.add(doing.work(number, last=number == 3))
    async with asyncio.timeout(10):
        await doing.enough.wait()
    assert doing.done == [2, 3]
    await quiet.end()


async def test_what_comes_while_it_is_being_done_pushes_out_what_came_first() -> None:
    doing, quiet = Doing(), Quiet(quiet=0.0, most=2)

    async def adds() -> None:
        for number in range(3):
            quiet.add(doing.work(number, last=number == 2))

    quiet.add(adds)
    quiet.add(doing.work(9))
    async with asyncio.timeout(10):
        await doing.enough.wait()
    assert doing.done == [1, 2]
    await quiet.end()


@pytest.mark.parametrize("error", [ValueError("bad"), asyncio.CancelledError("shutting down")])
async def test_what_goes_wrong_keeps_nothing_else_from_being_done(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug is logged; that what was asked is ending isn't one."""
    doing, quiet = Doing(), Quiet(quiet=0.0)

    async def fails() -> None:
        raise error

    with caplog.at_level(logging.ERROR):
        quiet.add(fails)
        quiet.add(doing.work(1, last=True))
        async with asyncio.timeout(10):
            await doing.enough.wait()
    assert [record.levelname for record in caplog.records] == ["ERROR"] * isinstance(error, ValueError)
    await quiet.end()


async def test_nothing_is_done_after_its_end() -> None:
    """What was being done is broken off, and nothing more is taken."""
    doing, quiet, begun = Doing(), Quiet(quiet=0.0), asyncio.Event()

    async def hangs() -> None:
        begun.set()
        await asyncio.Event().wait()

    quiet.add(hangs)
    quiet.add(doing.work(1))
    async with asyncio.timeout(10):
        await begun.wait()
        await quiet.end()
    quiet.add(doing.work(2))
    await turns()
    assert doing.done == []
