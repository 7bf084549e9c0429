"""Counts every answered request: by index, kind, status and outcome, with bytes and seconds.

It takes `events.Answered` on the event loop, at about a microsecond each, and keeps integers only; whoever reads it,
from whatever thread, copies a dict first. What keys it can get is bounded: indexes are the configured ones, the rest
are words of this program. It knows no metric and no clock.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from pypicache.events import Answered, Kind, Outcome

Origin = Literal["cache", "shared", "mirror", "own"]

SOURCES: Final[Mapping[Outcome, Origin]] = {
    "hit": "cache",
    "stale": "cache",
    "stale_if_error": "cache",
    "negative": "cache",
    "shared": "shared",
    "miss": "mirror",
    "revalidated": "mirror",
    "absent": "mirror",
    "refused": "own",
    "failed": "own",
    "none": "own",
}
"""Where the bytes of an answer come from. ::

    cache    they were held
    shared   another client's download, or question to a mirror, brought them
    mirror   a mirror was asked for this request's sake
    own      this program's own words: errors, the status page, metrics
"""

SECONDS: Final = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
    300.0,
)
"""Upper bounds of the histograms' buckets; above the last one there is one more."""

_HITS = frozenset({"hit", "stale", "stale_if_error", "negative"})
_MISSES = frozenset({"miss", "revalidated", "absent"})


class Histogram:
    """How often a value fell into which bucket, and the sum of all. `counts` has one number more than there are bounds."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float] = SECONDS) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float, times: int = 1) -> None:
        """One more, or so many."""
        self.counts[bisect_left(self.bounds, value)] += times
        self.total += value * times


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What all requests since the start come to."""

    requests: int = 0
    """Those that had to do with an index: somebody who watches isn't counted."""
    pages: tuple[int, int] = (0, 0)
    """Requests for pages, lists and legacy JSON that the cache answered, shared ones included; and that took a mirror."""
    files: tuple[int, int] = (0, 0)
    """The same, of files and sidecars."""
    failed: int = 0
    """Answers with a status of 500 or more."""
    sent: int = 0
    saved: int = 0
    """Bytes sent that no mirror was asked for."""


class Tally:
    """Counts answers."""

    def __init__(self) -> None:
        self.requests: dict[tuple[str, Kind, int, Outcome], int] = {}
        """How many, by index, kind, status and outcome."""
        self.sent: dict[tuple[str, Origin], int] = {}
        """Bytes of bodies, by index and where they were from."""
        self.seconds: dict[tuple[Kind, Outcome], Histogram] = {}
        """How long they took, from the first byte of the request to the last of the response."""

    def take(self, answered: Answered) -> None:
        """Count one."""
        self.take_again(answered, answered.seconds, 1)

    def take_again(self, answered: Answered, seconds: float, times: int) -> None:
        """Count so many, each of which took so long."""
        kind, outcome = answered.kind, answered.outcome
        key = (answered.index, kind, answered.status, outcome)
        self.requests[key] = self.requests.get(key, 0) + times
        if answered.sent:
            source = (answered.index, SOURCES[outcome])
            self.sent[source] = self.sent.get(source, 0) + answered.sent * times
        self._histogram(kind, outcome).add(seconds, times)

    def _histogram(self, kind: Kind, outcome: Outcome) -> Histogram:
        histogram = self.seconds.get((kind, outcome))
        if histogram is None:
            histogram = self.seconds[kind, outcome] = Histogram()
        return histogram

    def totals(self) -> Totals:
        """What it all comes to; a few hundred additions."""
        pages, files = [0, 0], [0, 0]
        requests = failed = 0
        for (_, kind, status, outcome), count in self.requests.copy().items():
            failed += count if status >= 500 else 0  # noqa: PLR2004 - server errors
            if kind == "other":
                continue
            requests += count
            which = files if kind in {"file", "sidecar"} else pages
            which[0] += count if outcome in _HITS or outcome == "shared" else 0
            which[1] += count if outcome in _MISSES else 0
        sent = self.sent.copy()
        return Totals(
            requests=requests,
            pages=(pages[0], pages[1]),
            files=(files[0], files[1]),
            failed=failed,
            sent=sum(sent.values()),
            saved=sum(count for (_, source), count in sent.items() if source in {"cache", "shared"}),
        )
