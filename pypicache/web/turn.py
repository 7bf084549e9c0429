"""How much all clients together may be sent in one turn of the event loop, so that none of them, however fast, holds up the others.

Large steps cost less: each wakes a client up and comes back through the loop. So the first in a turn get much, and what is left of
it is shared. With a megabyte in each step for each of 20 clients on loopback, a turn took 20 milliseconds; like this it takes a few.

uvloop tells the time at which a turn began; under other loops, whose clock goes on, nothing is shared. It imports nothing of the package.
"""

from __future__ import annotations

MOST = 1 << 20
"""Bytes that one client may get in a turn."""

LEAST = 64 << 10
"""Bytes that each gets in any case: too little to matter, enough to get on."""

TURN = 2 << 20
"""Bytes for all of them."""


class Turn:
    """Counts what is sent in a turn."""

    def __init__(self) -> None:
        self._began = -1.0
        self._left = TURN

    def allowance(self, now: float) -> int:
        """Bytes that may be sent to one more client; `now` is the loop's time."""
        if now != self._began:
            self._began, self._left = now, TURN
        return max(LEAST, min(MOST, self._left))

    def spend(self, count: int) -> None:
        """So many bytes were sent."""
        self._left -= count
