"""What is to be told of hot answers: noted one by one, told many at a time.

To log and count an answer by itself takes longer than to give it. So the shortcut (`hot`) only notes it, and what was noted is
told when there is much of it, when a moment has passed, and before anything else is told or asked: whoever reads the log or the
metrics finds every answer in its place. It knows nothing of connections, and asks no clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from pypicache.events import Again, Taker
from pypicache.web.ids import Ids

MOST = 256
"""Answers that are told at a time: that takes a fraction of a millisecond."""

MOMENT = 0.2
"""Seconds for which an answer stays untold at most."""


class Ledger:
    """Notes answers that are given again for `takers`; `ids` name their requests."""

    def __init__(self, takers: Sequence[Taker], ids: Ids) -> None:
        self._takers = tuple(takers)
        self._ids = ids
        self._due: asyncio.TimerHandle | None = None
        self.notes: list[Again] = []
        """What hasn't been told yet. Whoever adds the first or the `MOST`th one calls `noted`."""

    def noted(self) -> None:
        """There is something to tell, soon or, when it is much, now."""
        if len(self.notes) >= MOST:
            self.settle()
        elif self._due is None:
            self._due = asyncio.get_running_loop().call_later(MOMENT, self.settle)

    def settle(self) -> None:
        """Tell all that was noted."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
        if self.notes:
            times = tuple(self.notes)
            self.notes.clear()
            first = self._ids.take(len(times))
            for taker in self._takers:
                taker.take_again(times, self._ids.prefix, first)
