"""When a process that died is started again: at once, and later and later if it dies again and again.

A pure function, with `lived` as an argument.
"""

from __future__ import annotations

STEADY = 30.0
"""Seconds after which a process has shown that it can live."""

LONGEST = 30.0
"""Seconds that a start is put off at most."""


def delay(lived: float, deaths: int) -> tuple[float, int]:
    """Seconds until the next start of a process that has lived so long and now died `deaths` times, and the count from there."""
    if lived >= STEADY or deaths <= 1:
        return 0.0, 1
    return min(LONGEST, 0.5 * 2 ** min(deaths - 2, 10)), deaths
