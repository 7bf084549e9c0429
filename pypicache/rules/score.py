"""How well a mirror does: decaying averages of what it took to answer, and when they outweigh the configured order.

The configuration's order decides. A mirror gives way to others only while it is *clearly* worse than one of them, so
that measurements don't send requests to and fro between mirrors that are about as good. `worse` has the rule ::

    slow       its answers begin, on average, over three times as late as another's, and 0.3 s later
    crawling   its files come at less than a quarter of another's rate, and under 1 MB/s
    failing    more than half of at least three recent requests failed, and another's didn't

Averages forget by time: a sample counts half after `HALF_LIFE`, and below `EVIDENCE` nothing is known. A mirror that
gave way is asked less or not at all, so its bad average lapses within a minute and it is tried again; what
that request may cost is bounded by a hedge (`rules.hedge`), for which the last few answers' times are kept as they are.

A score is a value; it asks nobody and reads no clock. `now` is seconds on a monotonic clock.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

HALF_LIFE = 15.0
"""Seconds in which a sample loses half of its weight."""

HEAVIEST = 6.0
"""The most samples that an average stands for: after a minute of silence it is below `EVIDENCE`."""

EVIDENCE = 0.5
"""The least weight with which an average says anything."""

SLOW_FACTOR, SLOW_FLOOR = 3.0, 0.3
CRAWL_FACTOR, CRAWL_CEILING = 4.0, 1e6
FAILING, FAILING_EVIDENCE = 0.5, 2.5

WINDOW = 32
"""How many of the last answers' times are kept."""

FEW = 5
"""Fewer answers than this are no history."""


@dataclass(frozen=True, slots=True)
class Average:
    """A mean that forgets."""

    total: float = 0.0
    weight: float = 0.0
    at: float = 0.0

    def add(self, value: float, now: float) -> Self:
        """The average with one more sample."""
        kept = min(self.weight_at(now), HEAVIEST - 1)
        mean = self.total / self.weight if self.weight else 0.0
        return type(self)(mean * kept + value, kept + 1, now)

    def weight_at(self, now: float) -> float:
        """How many samples it stands for; a clock that was set back makes none of them younger."""
        return float(self.weight * 0.5 ** (max(0.0, now - self.at) / HALF_LIFE))

    def mean(self, now: float, evidence: float = EVIDENCE) -> float | None:
        """The mean, or None when too little is known."""
        return self.total / self.weight if self.weight and self.weight_at(now) >= evidence else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What one mirror has done lately; a new one knows nothing."""

    latency: Average = Average()
    """Seconds to the first byte of an answer: the rest of it depends on the page's size."""
    rate: Average = Average()
    """Bytes a second, of files."""
    failures: Average = Average()
    """1 for a failure, 0 for an answer."""
    recent: tuple[float, ...] = ()
    """Seconds to the last whole answers, the oldest first: what a hedge waits for."""

    def on_answer(self, seconds: float, now: float, first_byte: float | None = None) -> Self:
        """An answer was there after so long, and began after `first_byte` if that was looked at."""
        return replace(
            self,
            latency=self.latency.add(seconds if first_byte is None else first_byte, now),
            failures=self.failures.add(0.0, now),
            recent=(*self.recent, seconds)[-WINDOW:],
        )

    def on_failure(self, now: float) -> Self:
        """A request failed."""
        return replace(self, failures=self.failures.add(1.0, now))

    def on_overtaken(self, seconds: float, now: float) -> Self:
        """Another mirror, asked later, answered first; this one has been silent for so long, and slow at least."""
        return replace(self, latency=self.latency.add(seconds, now))

    def on_transfer(self, rate: float | None, now: float) -> Self:
        """A file, or part of one, arrived; `rate` in bytes a second, None where too little came to tell."""
        failures = self.failures.add(0.0, now)
        if rate is None:
            return replace(self, failures=failures)
        return replace(self, rate=self.rate.add(rate, now), failures=failures)

    @property
    def p95(self) -> float | None:
        """Seconds within which 95 of 100 recent answers came; None without a history."""
        if len(self.recent) < FEW:
            return None
        return sorted(self.recent)[math.ceil(0.95 * len(self.recent)) - 1]


def worse(score: Score, others: Sequence[Score], now: float) -> bool:
    """Whether a mirror is clearly worse than one of these others, which isn't failing itself."""
    sound = [other for other in others if not _failing(other, now)]
    if _failing(score, now) and sound:
        return True
    latency, rate = score.latency.mean(now), score.rate.mean(now)
    for other in sound:
        faster, richer = other.latency.mean(now), other.rate.mean(now)
        if (
            latency is not None
            and faster is not None
            and latency > max(SLOW_FACTOR * faster, faster + SLOW_FLOOR)
        ):
            return True
        if rate is not None and richer is not None and rate < min(richer / CRAWL_FACTOR, CRAWL_CEILING):
            return True
    return False


def _failing(score: Score, now: float) -> bool:
    share = score.failures.mean(now, FAILING_EVIDENCE)
    return share is not None and share > FAILING
