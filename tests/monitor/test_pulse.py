"""The event loop's lag, on a real loop."""

from __future__ import annotations

import asyncio
import time

from pypicache.monitor.pulse import Pulse


async def test_what_holds_the_loop_up_shows_as_lag() -> None:
    beaten = asyncio.Event()
    async with Pulse(beats=[beaten.set], every=0.01) as pulse:
        await beaten.wait()
        beaten.clear()
        time.sleep(0.06)  # noqa: ASYNC251 - what is to be noticed
        await beaten.wait()
    assert pulse.worst >= 0.04
    assert sum(pulse.lag.counts) >= 2
    assert pulse.lag.total >= 0.04


async def test_it_ends_with_its_owner() -> None:
    beats, thrice = [0], asyncio.Event()

    def beat() -> None:
        beats[0] += 1
        if beats[0] == 3:
            thrice.set()

    async with Pulse(beats=[beat], every=0.0):
        await thrice.wait()
    count = beats[0]
    for _ in range(10):
        await asyncio.sleep(0)
    assert beats[0] == count
