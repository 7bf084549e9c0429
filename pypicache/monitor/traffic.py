"""Traffic over time: what each of the last minutes brought, from totals that are looked at now and then.

Nothing is counted here: a minute is the difference of two totals, so that a request costs nothing for it. It
is bounded, and in memory only. Times are seconds since the epoch; it reads no clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pypicache.monitor.status import MinuteStatus
from pypicache.monitor.tally import Totals

STEP = 60
"""Seconds in a bucket."""

BUCKETS = 6 * 60
"""How many are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Totals that only grow: of requests, and the bytes that all mirrors sent."""

    totals: Totals
    received: int


class Traffic:
    """The last minutes. `read` gives the totals as they are."""

    def __init__(self, read: Callable[[], Figures], *, now: float, buckets: int = BUCKETS) -> None:
        self._read = read
        self._past: deque[MinuteStatus] = deque(maxlen=buckets)
        self._began = _minute(now)
        self._base = read()

    def look(self, now: float) -> None:
        """End the minute if it is over; to be called several times in each."""
        minute = _minute(now)
        # A clock that was set back begins no minute a second time; what comes then counts to the last one.
        if minute <= self._began:
            return
        self._past.append(self._current())
        for gap in range(self._began + STEP, minute, STEP)[-(self._past.maxlen or 0) :]:
            self._past.append(MinuteStatus(at=gap))  # nobody looked: the machine slept
        self._began, self._base = minute, self._read()

    def minutes(self) -> Sequence[MinuteStatus]:
        """The past ones, the oldest first, and the one that has begun."""
        return (*self._past, self._current())

    def _current(self) -> MinuteStatus:
        figures = self._read()
        now, base = figures.totals, self._base.totals
        return MinuteStatus(
            at=self._began,
            requests=now.requests - base.requests,
            hits=now.pages[0] + now.files[0] - base.pages[0] - base.files[0],
            misses=now.pages[1] + now.files[1] - base.pages[1] - base.files[1],
            failed=now.failed - base.failed,
            sent=now.sent - base.sent,
            received=figures.received - self._base.received,
        )


def _minute(now: float) -> int:
    """When the minute began."""
    return int(now // STEP) * STEP
