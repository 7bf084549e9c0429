"""A clock that stands still until a test moves it.

It stands in for `time.time` (call it) and `time.monotonic` (its `monotonic`). It wakes nobody: code that
sleeps takes its own seam.
"""

from __future__ import annotations

EPOCH = 1_700_000_000.0
"""Where the wall clock starts, in seconds since 1970: late enough for every HTTP date to be plausible."""


class ManualClock:
    """Both clocks of a machine, moved by hand. Reading it has no effect."""

    def __init__(self, now: float = EPOCH) -> None:
        self._wall = now
        self._monotonic = 1000.0

    def __call__(self) -> float:
        """The wall clock, in seconds since 1970."""
        return self._wall

    def monotonic(self) -> float:
        """The monotonic clock, in seconds from no particular instant."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Let time pass, on both clocks."""
        if seconds < 0:
            raise ValueError("time doesn't pass backwards; jump() sets the wall clock")
        self._wall += seconds
        self._monotonic += seconds

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward or back, as an operator or NTP does; no time passes."""
        self._wall += seconds
