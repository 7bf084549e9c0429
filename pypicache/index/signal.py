"""Word to any number of waiters that something has changed. What changed, they look at themselves."""

from __future__ import annotations

import asyncio


class Signal:
    """Wakes everyone who waits, each time it is given."""

    def __init__(self) -> None:
        self._waiters: set[asyncio.Future[bool]] = set()

    @property
    def awaited(self) -> bool:
        """Whether anyone waits."""
        return bool(self._waiters)

    async def wait(self, seconds: float | None = None) -> bool:
        """Until the next `give`, or until so many seconds have passed: False then. A waiter that is cancelled disturbs no other."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[bool] = loop.create_future()
        timer = None if seconds is None else loop.call_later(max(0.0, seconds), _wake, waiter, False)  # noqa: FBT003
        self._waiters.add(waiter)
        try:
            return await waiter
        finally:
            self._waiters.discard(waiter)
            if timer is not None:
                timer.cancel()

    def give(self) -> None:
        """Wake everyone who waits now."""
        for waiter in self._waiters:
            _wake(waiter, True)  # noqa: FBT003


def _wake(waiter: asyncio.Future[bool], given: bool) -> None:  # noqa: FBT001
    if not waiter.done():
        waiter.set_result(given)
