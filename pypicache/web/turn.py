"""How much all clients together may be sent in one turn of the event loop, so that none of them, however fast, holds up the others.

Large steps cost less: each wakes a client up and comes back through the loop. So the first in a turn get much, and what is left of
it is shared. With a megabyte in each step for each of 20 clients on loopback, a turn took 20 milliseconds; like this it takes a few.

A turn is over when the loop comes round. Its clock doesn't tell: uvloop's stands still for a millisecond, in which a fast client comes round
many times, and others' goes on within a turn. It imports nothing of the package.
"""

from __future__ import annotations

import asyncio

MOST = 1 << 20
"""Bytes that one client may get in a turn."""

LEAST = 64 << 10
"""Bytes that each gets in any case: too little to matter, enough to get on."""

TURN = 2 << 20
"""Bytes for all of them."""


class Turn:
    """Counts what is sent in a turn. It needs a running loop."""

    def __init__(self) -> None:
        self._left = TURN
        self._ends = False

    def allowance(self) -> int:
        """Bytes that may be sent to one more client."""
        return max(LEAST, min(MOST, self._left))

    def spend(self, count: int) -> None:
        """So many bytes were sent."""
        self._left -= count
        if not self._ends:
            self._ends = True
            asyncio.get_running_loop().call_soon(self._end)

    def _end(self) -> None:
        self._left, self._ends = TURN, False
