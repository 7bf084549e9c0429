"""Small work that nobody waits for: it waits until it is quiet, and is then done one after the other, with the loop's other work in between.

It has an owner, who ends it. It knows nothing of what the work is.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

QUIET = 0.25
"""Seconds without more of it, until it is done."""

LATEST = 2.0
"""Seconds that it waits at most."""

MOST = 1024
"""So many things wait at most: beyond, those that came first are forgotten."""

Work = Callable[[], Awaitable[object]]


class Quiet:
    """Work that waits. It needs a running loop when something is added."""

    def __init__(self, *, quiet: float = QUIET, latest: float = LATEST, most: int = MOST) -> None:
        self._quiet, self._longest = quiet, latest
        self._waiting: deque[Work] = deque(maxlen=most)
        self._latest = 0.0
        """When something was added last, by the loop's clock."""
        self._task: asyncio.Task[None] | None = None
        self._ended = False

    @property
    def idle(self) -> bool:
        """Whether nothing waits, and nothing is being done."""
        return self._task is None

    def add(self, work: Work) -> None:
        """Have it done when it is quiet; an error is logged. It may be forgotten."""
        if self._ended:
            return
        loop = asyncio.get_running_loop()
        self._waiting.append(work)
        self._latest = loop.time()
        if self._task is None:
            self._task = loop.create_task(self._work(), name="when it is quiet")

    async def end(self) -> None:
        """Do nothing more."""
        self._ended = True
        self._waiting.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _work(self) -> None:
        try:
            while self._waiting:
                await self._until_quiet()
                for _ in range(len(self._waiting)):
                    await _done(self._waiting.popleft())
                    await asyncio.sleep(0)
        finally:
            self._task = None

    async def _until_quiet(self) -> None:
        loop = asyncio.get_running_loop()
        last = loop.time() + self._longest
        while True:
            left = min(self._latest + self._quiet, last) - loop.time()
            if left <= 0:
                return
            await asyncio.sleep(left)


async def _done(work: Work) -> None:
    try:
        await work()
    except asyncio.CancelledError:
        if (task := asyncio.current_task()) is not None and task.cancelling():
            raise  # otherwise what it asked is ending
    except Exception:
        log.exception("work that nobody waits for: a bug")
