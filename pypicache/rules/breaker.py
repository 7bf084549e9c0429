"""A mirror's circuit breaker: closed, open, half-open, as one table.

A breaker orders mirrors and never forbids one: whoever holds breakers asks those that allow it first,
and when none does and nothing usable is held, asks the best one anyway, by `probe`. So it may open
early: a mirror that is silent or can't be reached is passed over after one such failure, one that
answers with errors after `TOLERATED` in a row (one broken page shouldn't cost a healthy mirror its turn).

A `Breaker` is a value; each event gives the next one, and the caller keeps the current one. ::

    state      event                                 next
    CLOSED     success                               CLOSED, errors forgotten
    CLOSED     failure: an error answer              CLOSED, counted; the third in a row: OPEN, first hold
    CLOSED     failure: silence, or a Retry-After    OPEN, first hold
    OPEN       success (a late answer)               CLOSED
    OPEN       failure, not due (a late one)         OPEN, no longer, unless a Retry-After says so
    OPEN       failure, due                          OPEN, next hold
    OPEN       probe                                 HALF_OPEN: one request goes to the mirror
    HALF_OPEN  success                               CLOSED
    HALF_OPEN  failure                               OPEN, next hold
    HALF_OPEN  probe, the last one lost              HALF_OPEN, again
    any        probe otherwise                       no change

    allows     CLOSED: always    OPEN: when due    HALF_OPEN: when the probe out there counts as lost

Holds grow from `FIRST_HOLD` by doubling to `LONGEST_HOLD`, each cut by up to half at random, so that
workers that lost a mirror together don't return to it together. A Retry-After makes a hold longer, up to
`RETRY_CAP`. A probe counts as lost after `LEASE`: its request may have been cancelled. So no breaker
refuses for longer than `REFUSAL_LIMIT`, not even when the clock is set back.

`now` is seconds on any one clock, better a monotonic one. Randomness comes in as a number.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Self

FIRST_HOLD = 5.0
"""Seconds of the first hold, before it is cut."""

LONGEST_HOLD = 30.0
"""Seconds of the longest hold: a mirror that recovers is used again within a minute."""

RETRY_CAP = 60.0
"""Seconds up to which a mirror's Retry-After is obeyed."""

LEASE = 30.0
"""Seconds after which a probe without an outcome counts as lost."""

REFUSAL_LIMIT = max(LONGEST_HOLD, RETRY_CAP, LEASE) + 1.0
"""No breaker refuses for longer than this many seconds; the last one is for rounding."""

TOLERATED = 3
"""So many error answers in a row open a closed breaker."""

_MAX_TRIPS = 8  # doubling is far beyond LONGEST_HOLD by then; a bound keeps the number small


class State(Enum):
    """Where a breaker stands."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """One mirror's breaker; a new one is closed."""

    state: State = State.CLOSED
    errors: int = 0
    """Error answers in a row while closed."""
    trips: int = 0
    """How often in a row it opened; it decides the next hold."""
    until: float = 0.0
    """OPEN: when it is due. HALF_OPEN: when the probe counts as lost."""

    def allows(self, now: float) -> bool:
        """Whether the mirror takes its turn like any other."""
        return self.state is State.CLOSED or not 0 < self.until - now <= REFUSAL_LIMIT

    def probe(self, now: float) -> Self:
        """A request is about to be sent, due or because every mirror is refused: until it ends, no other one goes."""
        if self.state is State.CLOSED or (self.state is State.HALF_OPEN and not self.allows(now)):
            return self
        return replace(self, state=State.HALF_OPEN, until=now + LEASE)

    def on_success(self, now: float) -> Self:  # noqa: ARG002 - all events take it; a success has no use for it yet
        """The mirror gave an answer, be it "unchanged" or "no such project"."""
        return type(self)()

    def on_failure(
        self, now: float, retry_after: float | None = None, *, spread: float, answered: bool = False
    ) -> Self:
        """A request failed. `answered`: with an error (5xx, garbage) rather than by silence or a refused connection.

        `retry_after` is in seconds (`retry.retry_after`); `spread`, in [0, 1), cuts the hold by up to half.
        """
        asked = min(retry_after or 0.0, RETRY_CAP)
        if self.state is State.OPEN and not self.allows(now):
            return replace(self, until=max(self.until, now + asked))
        errors = self.errors + 1
        if self.state is State.CLOSED and answered and retry_after is None and errors < TOLERATED:
            return replace(self, errors=errors)
        trips = min(self.trips + 1, _MAX_TRIPS)
        hold = min(FIRST_HOLD * 2 ** (trips - 1), LONGEST_HOLD) * (1 - spread / 2)
        return type(self)(state=State.OPEN, trips=trips, until=now + max(hold, asked))
