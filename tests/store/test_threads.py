"""Blocking work in threads: what shares a hop, and what becomes of results that nobody is left to receive."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import AsyncIterator

import pytest

from pypicache.errors import StoreError
from pypicache.store.threads import MANY, Batches, Threads


@pytest.fixture
async def threads() -> AsyncIterator[Threads]:
    made = Threads(count=1, name="test")
    yield made
    await made.close()


async def test_calls_that_come_meanwhile_share_a_hop_in_their_order(threads: Threads) -> None:
    batches, gate, made = Batches(threads), threading.Event(), list[int]()
    loop, began = asyncio.get_running_loop(), asyncio.Event()

    def hold() -> bool:
        loop.call_soon_threadsafe(began.set)
        return gate.wait(30)

    first = asyncio.ensure_future(batches.run(hold))
    await began.wait()
    rest = [asyncio.ensure_future(batches.run(lambda n=number: made.append(n))) for number in range(5)]  # type: ignore[misc]
    await asyncio.sleep(0)
    gate.set()
    assert await first
    await asyncio.gather(*rest)
    assert made == list(range(5))


async def test_what_fails_fails_alone(threads: Threads) -> None:
    batches = Batches(threads)
    fine = asyncio.ensure_future(batches.run(lambda: 1))
    with pytest.raises(ZeroDivisionError):
        await batches.run(lambda: 1 // 0)
    assert await fine == 1
    await threads.close()
    with pytest.raises(StoreError):
        await batches.run(lambda: 1)


async def test_a_result_that_nobody_waits_for_any_more_is_taken_back(threads: Threads) -> None:
    batches, gate, back = Batches(threads), threading.Event(), list[str]()

    def open_it() -> str:
        gate.wait(30)
        return "it"

    left = asyncio.ensure_future(batches.run(open_it, undo=back.append))
    await asyncio.sleep(0)
    left.cancel()
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await left
    assert await batches.run(lambda: "other", undo=back.append) == "other"
    assert back == ["it"]


async def test_who_is_in_no_hurry_waits_until_nobody_comes(threads: Threads) -> None:
    batches, made = Batches(threads, quiet=0.05), list[int]()
    first = asyncio.ensure_future(batches.run(lambda: made.append(1)))
    await asyncio.sleep(0)
    assert not made
    second = asyncio.ensure_future(batches.run(lambda: made.append(2)))
    await asyncio.gather(first, second)
    assert made == [1, 2]


async def test_it_is_never_quiet_and_still_they_are_made(
    threads: Threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pypicache.store.threads.LATEST", 0.05)
    batches, made = Batches(threads, quiet=60.0), list[int]()
    await asyncio.wait_for(batches.run(lambda: made.append(1)), 30)
    assert made == [1]


async def test_many_are_enough_to_begin(threads: Threads) -> None:
    batches = Batches(threads, quiet=60.0)
    waiting = [asyncio.ensure_future(batches.run(functools.partial(int, number))) for number in range(MANY)]
    late = asyncio.ensure_future(batches.run(lambda: -1))
    assert await asyncio.wait_for(asyncio.gather(*waiting), 30) == list(range(MANY))
    assert not late.done()
    batches.hurry()
    assert await asyncio.wait_for(late, 30) == -1


async def test_one_that_is_in_a_hurry_takes_along_those_that_wait(threads: Threads) -> None:
    batches, made = Batches(threads, quiet=60.0), list[int]()
    first = asyncio.ensure_future(batches.run(lambda: made.append(1)))
    await asyncio.sleep(0)
    await asyncio.wait_for(batches.run(lambda: made.append(2), now=True), 30)
    assert made == [1, 2]
    assert first.done()


async def test_who_comes_while_they_are_made_waits_for_quiet_again(threads: Threads) -> None:
    batches, gate, made = Batches(threads, quiet=60.0), threading.Event(), list[int]()
    running = asyncio.ensure_future(batches.run(gate.wait, now=True))
    await asyncio.sleep(0)
    late = asyncio.ensure_future(batches.run(lambda: made.append(1)))
    await asyncio.sleep(0)
    gate.set()
    await running
    assert not made
    batches.hurry()
    await asyncio.wait_for(late, 30)
