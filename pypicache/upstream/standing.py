"""One replica and what is known of its health: its breakers, its scores, and the answers that it still owes.

Rules are elsewhere (`rules.breaker`, `rules.score`, `rules.hedge`); here are their current values for one mirror, one
for pages and one for files, since files often come from other hosts. It asks nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

from pypicache.errors import UpstreamError, UpstreamGarbled, UpstreamRefused
from pypicache.rules import hedge
from pypicache.rules.breaker import Breaker, State
from pypicache.rules.score import Score, worse
from pypicache.upstream.faults import BadLink
from pypicache.upstream.source import Source

Kind = Literal["pages", "files"]

Serves = Literal["both", "pages", "files"]
"""What a mirror is trusted for: facts (pages), bytes (files), or both."""

MEASURABLE = 256 << 10
"""Fewer bytes than this say nothing of a mirror's throughput."""

FAR = 0.02
"""Seconds to the first byte of a page; sooner, and the mirror is near."""

_BUSY = frozenset({408, 425, 429})


class Replica(Source, Protocol):
    """A source with a name: `client.Client`, or a test's."""

    name: str


@dataclass(frozen=True, slots=True)
class Health:
    """How a mirror does, for status pages and tests."""

    name: str
    pages: Breaker
    files: Breaker
    latency: float | None = None
    """Seconds to the first byte of a page, when it was last asked; None when it never was."""
    rate: float | None = None
    """Bytes a second of a file, likewise."""
    failing: float | None = None
    """The share of requests for pages that failed, lately."""
    last_error: str = ""
    """How it failed last; empty when it never did."""
    last_error_age: float | None = None
    """Seconds since then."""


class Mirror:
    """A replica, its place (`rank`) in the order of preference, and its standing as it is now."""

    def __init__(
        self,
        source: Replica,
        rank: int,
        *,
        serves: Serves = "both",
        clock: Callable[[], float],
        spread: Callable[[], float],
    ) -> None:
        self.source = source
        self.rank = rank
        self.name = source.name
        self._serves = serves
        self.breakers: dict[Kind, Breaker] = {"pages": Breaker(), "files": Breaker()}
        self.scores: dict[Kind, Score] = {"pages": Score(), "files": Score()}
        self.owing = 0
        """Requests that another mirror answered while this one was silent, and still is."""
        self.turn = asyncio.Lock()
        """Held by the one request that is sent to a mirror whose breaker isn't closed."""
        self.failures = 0
        """How often it failed over pages, and how it did last."""
        self.last_error = ""
        self._last_failure = ""
        self._failed_at: float | None = None
        self._clock = clock
        self._spread = spread

    @property
    def health(self) -> Health:
        """Its breakers, and what is known of it."""
        now, pages = self._clock(), self.scores["pages"]
        return Health(
            self.name,
            self.breakers["pages"],
            self.breakers["files"],
            latency=pages.latency.mean(now, evidence=0.0),
            rate=self.scores["files"].rate.mean(now, evidence=0.0),
            failing=pages.failures.mean(now),
            last_error=self._last_failure,
            last_error_age=None if self._failed_at is None else now - self._failed_at,
        )

    @property
    def hedge_delay(self) -> float:
        """Seconds of its silence over a page after which the next mirror is asked."""
        return hedge.delay(self.scores["pages"].p95, probation=not self.closed("pages"))

    @property
    def suspect(self) -> bool:
        """Whether asking another in its place is hardly extra: it is on probation, or owes an answer."""
        return self.owing > 0 or not self.closed("pages")

    def serves(self, kind: Kind) -> bool:
        """Whether it is trusted for these."""
        return self._serves in {"both", kind}

    def closed(self, kind: Kind) -> bool:
        """Whether its breaker is closed."""
        return self.breakers[kind].state is State.CLOSED

    def allows(self, *kinds: Kind) -> bool:
        """Whether it takes its turn like any other."""
        return all(self.breakers[kind].allows(self._clock()) for kind in kinds)

    def gives_way(self, kind: Kind, others: Iterable[Mirror]) -> bool:
        """Whether it is clearly worse than one of the others, or owes an answer."""
        if kind == "pages" and self.owing:
            return True
        return worse(self.scores[kind], [m.scores[kind] for m in others if m is not self], self._clock())

    def far(self) -> bool:
        """Whether its answers are known to begin late enough for a round trip to matter."""
        latency = self.scores["pages"].latency.mean(self._clock())
        return latency is not None and latency >= FAR

    def probe(self, kind: Kind) -> None:
        """A request is about to be sent."""
        self.breakers[kind] = self.breakers[kind].probe(self._clock())

    def answered(self, seconds: float, first_byte: float | None = None) -> None:
        """It answered a question for a page after so long, be it with "no such project"; `first_byte`: it began after so long."""
        now = self._clock()
        self.breakers["pages"] = self.breakers["pages"].on_success(now)
        self.scores["pages"] = self.scores["pages"].on_answer(seconds, now, first_byte)

    def overtaken(self, seconds: float) -> None:
        """Another mirror, asked later, answered a question for a page; this one has been silent for so long."""
        self.scores["pages"] = self.scores["pages"].on_overtaken(seconds, self._clock())

    def delivered(self, received: int, seconds: float) -> None:
        """So many bytes of a file came in so many seconds of waiting for them."""
        now = self._clock()
        rate = received / seconds if received >= MEASURABLE and seconds > 0 else None
        self.breakers["files"] = self.breakers["files"].on_success(now)
        self.scores["files"] = self.scores["files"].on_transfer(rate, now)

    def failed(self, kind: Kind, error: UpstreamError) -> None:
        """A request failed in a way that says something of its health."""
        now = self._clock()
        self.breakers[kind] = self.breakers[kind].on_failure(
            now, error.retry_after, spread=self._spread(), answered=said_something(error)
        )
        self.scores[kind] = self.scores[kind].on_failure(now)
        self._last_failure, self._failed_at = reason(error), now
        if kind == "pages":
            self.failures += 1
            self.last_error = reason(error)


def unwell(error: UpstreamError) -> bool:
    """Whether a failure over a file says something of the mirror, and not just of that file."""
    if isinstance(error, BadLink | UpstreamGarbled):
        return False
    if isinstance(error, UpstreamRefused) and error.http_status is not None:
        return error.http_status >= 500 or error.http_status in _BUSY  # noqa: PLR2004 - server errors
    return True


def reason(error: UpstreamError) -> str:
    """The error's message without the mirror's name, which the event has already."""
    return str(error).removeprefix(f"{error.origin}: ")


def said_something(error: UpstreamError) -> bool:
    """Whether the mirror said something, if only an error, rather than nothing."""
    if isinstance(error, UpstreamRefused):
        return error.http_status is not None or isinstance(error, BadLink)
    return isinstance(error, UpstreamGarbled)
