"""Which projects are asked for most, without remembering all of them.

Counts are halved now and then, so that what was wanted last month gives way to what is wanted now, and the fewest
go when there are too many: a project that is asked for often stays. In memory only.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from pypicache.events import Answered
from pypicache.monitor.status import WantedStatus

MOST = 4096
"""So many projects are counted at a time."""

_ANSWERED = {200, 304}


class Wanted:
    """Counts answered requests for pages, by index and project."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._counts: dict[tuple[str, str], int] = {}

    def take(self, answered: Answered, times: int = 1) -> None:
        """Count it, if it was for a page that there is; `times`: so often it was given."""
        if answered.kind != "page" or answered.status not in _ANSWERED:
            return
        key = (answered.index, answered.subject)
        self._counts[key] = self._counts.get(key, 0) + times
        if len(self._counts) > self._most:
            self._forget()

    def top(self, count: int) -> Sequence[WantedStatus]:
        """The most wanted."""
        best = heapq.nsmallest(count, self._counts.items(), key=lambda item: (-item[1], item[0]))
        return [
            WantedStatus(index=index, project=project, requests=times) for (index, project), times in best
        ]

    def _forget(self) -> None:
        """Halve all counts and keep the larger half: done once in thousands of new projects."""
        kept = heapq.nlargest(self._most // 2, self._counts.items(), key=lambda item: item[1])
        self._counts = {key: max(1, times // 2) for key, times in kept}
