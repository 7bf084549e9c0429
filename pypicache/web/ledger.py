"""What is to be told of hot answers: noted one by one, told many at a time.

To log and count an answer by itself takes longer than to give it. So the shortcut (`hot`) only notes it, and what was noted is
told when there is much of it, when a moment has passed, and before anything else is told or asked: whoever reads the log or the
metrics finds every answer in its place. It knows nothing of connections, and asks no clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from pypicache.events import Again, Answered, Taker
from pypicache.web.ids import Ids

MOST = 256
"""Answers that are told at a time: that takes a fraction of a millisecond."""

MOMENT = 0.2
"""Seconds for which an answer stays untold at most."""

ALIKE = 20_000
"""Times of the same twenty-thousandth of a second are told as one: no line of text and no bucket of the metrics tells them apart, and JSON
has that of the first."""


class Ledger:
    """Notes answers that are given again for `takers`; `ids` name their requests."""

    def __init__(self, takers: Sequence[Taker], ids: Ids) -> None:
        self._takers = tuple(takers)
        self._ids = ids
        self._due: asyncio.TimerHandle | None = None
        self._notes: list[Again] = []
        self._record: Answered | None = None
        self._client, self._second = "", 0
        """What was given last, to whom and in which second."""
        self._times: dict[int, Again] = {}
        """The notes of that, by how long it took."""
        self._count = 0

    def note(self, record: Answered, client: str, at: float, seconds: float, times: int) -> None:
        """That was given: to be told soon or, when there is much to tell, now. What it means, `events.Again` says."""
        if record is not self._record or client != self._client or not 0.0 <= at - self._second < 1.0:
            self._record, self._client, self._second, self._times = record, client, int(at), {}
        alike = int(seconds * ALIKE)
        again = self._times.get(alike)
        if again is None:
            self._times[alike] = again = Again(record, client, at, seconds, times)
            self._notes.append(again)
        else:
            again.times += times
        self._count += times
        if self._count >= MOST:
            self.settle()
        elif self._due is None:
            self._due = asyncio.get_running_loop().call_later(MOMENT, self.settle)

    def settle(self) -> None:
        """Tell all that was noted."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
        if notes := self._notes:
            first = self._ids.take(self._count)
            self._notes, self._times, self._count = [], {}, 0
            for taker in self._takers:
                taker.take_again(notes, self._ids.prefix, first)
