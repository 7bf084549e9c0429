"""Looks at the event loop twice a second: how late it is, which is how long something else held it up.

Others who have something to do now and then ride along (`beats`), so that an idle daemon wakes up for one timer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from time import perf_counter
from types import TracebackType
from typing import Self

from pypicache.monitor.tally import Histogram

EVERY = 0.5
"""Seconds between two looks."""

BOUNDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
"""Of the lag's histogram, in seconds; 20 ms is what nothing may take."""

WINDOW = 120
"""Looks of which the worst is remembered: a minute's worth."""


class Pulse:
    """Measures the lag of the loop that it is opened on. Use as an async context manager.

    Each of `beats` is called at each look; quick, and must not raise.
    """

    def __init__(self, *, beats: Sequence[Callable[[], None]] = (), every: float = EVERY) -> None:
        self.lag = Histogram(BOUNDS)
        self._beats = tuple(beats)
        self._every = every
        self._recent: list[float] = []
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def worst(self) -> float:
        """Seconds by which it was late at the most, in the last minute."""
        return max(self._recent, default=0.0)

    async def __aenter__(self) -> Self:
        self._next()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _next(self) -> None:
        self._due = perf_counter() + self._every
        self._timer = asyncio.get_running_loop().call_later(self._every, self._beat)

    def _beat(self) -> None:
        late = max(0.0, perf_counter() - self._due)
        self.lag.add(late)
        self._recent = [*self._recent[1 - WINDOW :], late]
        for beat in self._beats:
            beat()
        self._next()
