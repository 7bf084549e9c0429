"""Word to any number of waiters that something has changed. What changed, they look at themselves."""

from __future__ import annotations

import asyncio


class Signal:
    """Wakes everyone who waits, each time it is given."""

    def __init__(self) -> None:
        self._waiters: set[asyncio.Future[None]] = set()

    async def wait(self) -> None:
        """Until the next `give`. A waiter that is cancelled disturbs no other."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)

    def give(self) -> None:
        """Wake everyone who waits now."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
