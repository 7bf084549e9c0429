"""When a second mirror is asked although the first may still answer, and how often that may happen.

A mirror is given as long as it nearly always takes (the 95th percentile of its recent answers), then the next one is
asked too and the first good answer counts. So a mirror that hangs costs a moment and not a timeout. ::

    the silent mirror                         the next one is asked after
    has a history                             its own p95, within [SHORTEST, LONGEST]
    has none                                  UNKNOWN
    failed last, and is being tried again     PROBATION

Extra requests are paid for from a budget, a share of all requests, since a whole network that is slow isn't helped by
asking everyone. Free are those that hardly count as extra: the silent mirror is on probation, or already owes
another request the answer that somebody else gave. It sends nothing and reads no clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

SHORTEST, LONGEST = 0.05, 2.0
UNKNOWN = 1.0
PROBATION = 0.1

SHARE = 0.1
"""Extra requests for each request."""

MOST = 10.0
"""How many extra requests can be saved up; it is also what there is at first."""


def delay(p95: float | None, *, probation: bool) -> float:
    """Seconds of silence after which the next mirror is asked."""
    if probation:
        return PROBATION
    return UNKNOWN if p95 is None else min(max(p95, SHORTEST), LONGEST)


@dataclass(frozen=True, slots=True)
class Allowance:
    """The budget: how many extra requests may be sent now."""

    left: float = MOST

    def earn(self) -> Self:
        """A request was sent."""
        return type(self)(min(self.left + SHARE, MOST))

    def spend(self) -> Self | None:
        """An extra request is about to be sent; None when it can't be afforded."""
        return type(self)(self.left - 1) if self.left >= 1 else None
