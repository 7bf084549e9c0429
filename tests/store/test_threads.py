"""Blocking work in threads: what shares a hop, and what becomes of results that nobody is left to receive."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from pypicache.errors import StoreError
from pypicache.store.threads import Batches, Threads


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
