"""How far a scrub should have come: every stored file is hashed again once in a period, evenly spread over it.

Files are in as many *places* as their digests' first four digits, so that a share of the places is about the same
share of the files, however many there are. Only time that a daemon runs counts: after a week off, the next file is no
more urgent than it was, and nothing has to be caught up with in a burst.
"""

from __future__ import annotations

PLACES = 1 << 16

SHORTEST, LONGEST = 0.25, 60.0
"""Seconds between two looks at what is due."""


def due(*, begun_at: int, elapsed: float, period: float) -> int:
    """How many places should be done by now, counted on and on from `begun_at`, `elapsed` seconds after the start."""
    return begun_at + int(PLACES * elapsed / period)


def pause(period: float) -> float:
    """Seconds until the next place is due, or until several are."""
    return max(SHORTEST, min(period / PLACES, LONGEST))
