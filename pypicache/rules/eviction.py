"""Which stored files go when there has to be room, and how much room that is.

What counts of a file is one instant, its *standing*: files go in the order of it, the earliest first. ::

    standing = credit - SIZE_WORTH * log2(size / 1 MiB), the logarithm within +-10

*Recency first*: a file that is used once has the instant of its use as its credit. What is installed today is
installed tomorrow, and what no lock file names any more is never asked for again.

*A touch of frequency*: each use makes the credit `now + USES_WORTH * log2(1 + 2 ** ((credit - now) / USES_WORTH))`. That is
a sum of uses that count half after each `USES_WORTH`, kept as an instant (Lee and others, LRFU, 2001): twice as many
uses are worth a day, and old ones fade by themselves. So one night's fan-out over rarely used files doesn't push out what is
used every day. It is worth `MOST_CREDIT` beyond the last use at most: the rage of a day goes like all else a week later.

*A touch of size*: a file of 1 GiB goes two and a half days before one of 1 MiB, since its room holds a thousand of those, and a
sidecar stays as much longer than that. More would have large wheels, the dearest to fetch again, never stay.

A file that somebody reads, or that is pinned, never goes; that isn't known here, but given (`spared`).
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

DAY = 86400.0

USES_WORTH = DAY
"""Seconds that twice as many uses are worth."""

MOST_CREDIT = 7 * DAY
"""Seconds that all uses before the last are worth at most."""

SIZE_WORTH = DAY / 4
"""Seconds that half the size is worth."""

_MIB = 1 << 20
_MOST_DOUBLINGS = 10.0


@dataclass(frozen=True, slots=True)
class Limits:
    """How large the cache may be. Sizes are bytes, `max_age` seconds."""

    max_size: int | None = None
    """All of the cache directory, downloads under way included; None: no limit."""
    min_free: int = 0
    """What is to stay free on the file system."""
    max_age: float | None = None
    """How long a file may go unused; None: for ever."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A stored file. Times are seconds since the epoch."""

    sha256: str
    size: int
    used_at: float
    """When it was last used."""
    credit: float
    """Its uses as an instant, `used_at` or later."""

    @property
    def standing(self) -> float:
        """The instant in whose order files go, the earliest first."""
        doublings = math.log2(max(self.size, 1) / _MIB)
        return self.credit - SIZE_WORTH * max(-_MOST_DOUBLINGS, min(doublings, _MOST_DOUBLINGS))


def bounded_credit(credit: float, used_at: float) -> float:
    """A credit that was read from somewhere, made possible for a file that was last used then."""
    return min(max(credit, used_at), used_at + MOST_CREDIT)


def credit_after(credit: float, now: float, uses: int = 1) -> float:
    """The credit of a file after so many more uses `now`; a credit that was given out by a clock ahead is bounded."""
    sum_of_uses = uses + 2.0 ** (min(credit - now, MOST_CREDIT) / USES_WORTH)
    return min(now + USES_WORTH * math.log2(sum_of_uses), now + MOST_CREDIT)


def together(one: float, other: float) -> float:
    """The credit of two files' uses taken as one file's; a credit of 0 is none."""
    first, last = sorted((one, other))
    return last + USES_WORTH * math.log2(1 + 2.0 ** ((first - last) / USES_WORTH))


def to_free(limits: Limits, *, held: int, free: int, incoming: int = 0) -> int:
    """Bytes that must go before `incoming` more may come, with `held` in the cache and `free` on the file system."""
    over = held + incoming - limits.max_size if limits.max_size is not None else 0
    return max(0, over, limits.min_free + incoming - free if limits.min_free else 0)


def headroom(limits: Limits) -> int:
    """Bytes below `max_size` that are kept empty, so that a download of ordinary size begins at once."""
    return min(limits.max_size // 50, 1 << 30) if limits.max_size is not None else 0


def attainable(limits: Limits, file_system: int) -> Limits:
    """The limits, where `min_free` asks for more than a file system of that size has: a tenth of it then."""
    if limits.min_free < file_system:
        return limits
    return Limits(max_size=limits.max_size, min_free=file_system // 10, max_age=limits.max_age)


def coldest(candidates: Iterable[Candidate], most: int) -> list[Candidate]:
    """Those that would go first, at most so many, the first last: ready to be popped.

    One after the other, since sorting many thousands at once would have every other thread wait for as long as it takes.
    """
    found: list[tuple[tuple[float, str], Candidate]] = []
    for candidate in candidates:
        item = (_warmth(candidate), candidate)
        if len(found) < most:
            heapq.heappush(found, item)
        elif found and item > found[0]:
            heapq.heapreplace(found, item)
    return [heapq.heappop(found)[1] for _ in range(len(found))]


def choose(
    candidates: Iterable[Candidate], need: int, *, spared: Callable[[str], bool] = lambda _: False
) -> Sequence[Candidate]:
    """The files that go so that `need` bytes come free, in this order; all that may go, if that isn't enough."""
    chosen: list[Candidate] = []
    for candidate in sorted(candidates, key=_warmth, reverse=True):
        if need <= 0:
            break
        if not spared(candidate.sha256):
            chosen.append(candidate)
            need -= candidate.size
    return chosen


def outlived(candidate: Candidate, limits: Limits, now: float) -> bool:
    """Whether nobody has used the file for `max_age`."""
    return limits.max_age is not None and now - candidate.used_at > limits.max_age


def _warmth(candidate: Candidate) -> tuple[float, str]:
    """The least of them goes last."""
    return -candidate.standing, candidate.sha256
