"""Whether a held page goes out as it is, and whether mirrors are asked first.

A rule over ages; it holds no pages, asks no mirror and reads no clock. Windows are counted as the
configuration counts them: `ttl` from the last time a mirror confirmed the page, the others from the
end of `ttl`. ::

    age of the page                        freshness             what happens
    < ttl                                  FRESH                 it goes out, nobody is asked
    < ttl + stale_while_revalidate         ASK_WITHIN_PATIENCE   mirrors are asked; after `patience` it goes out
                                                                 and the refresh goes on behind
    < ttl + stale_if_error                 ASK_FIRST             the answer is waited for; it goes out only
                                                                 if no mirror answers
    older                                  GONE                  as if it weren't held

Where stale_if_error is the shorter of the two, stale_while_revalidate bounds both: a page that may go
out before anyone has answered may also go out when nobody does (RFC 5861 has the ideas).

Around that table:

- Jitter makes `ttl` a little shorter, never longer, so pages that came together don't expire together
  and none is believed for longer than configured. The other windows don't move.
- A client that insists (`no-cache`) turns FRESH and ASK_WITHIN_PATIENCE into ASK_FIRST, at most once in
  `ASK_LIMIT` seconds a page.
- A clock that was set back shows as a page from the future. Up to `CLOCK_SLACK` that is age 0; beyond,
  the age is unknown and the page counts as just stale: asked about, and still there in an outage. A clock
  that jumped forward makes pages old, which only means that mirrors are asked.
- `offline` means that nobody is asked: what is held goes out, however old it is.
"""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass
from enum import Enum

ASK_LIMIT = 5.0
"""Seconds in which clients that insist make at most one request upstream for one page."""

CLOCK_SLACK = 60.0
"""Seconds that a page may come from the future before the clock is taken to have been set back."""

AHEAD = 0.8
"""The share of `ttl` after which a popular page is refreshed before it expires."""

POPULAR = 3
"""How often a page was used since it was last confirmed, to be popular."""

_AGE = re.compile(r"[0-9]+", re.ASCII)


class Freshness(Enum):
    """What to do with a held page; the module's docstring has the table."""

    FRESH = "fresh"
    ASK_WITHIN_PATIENCE = "ask within patience"
    ASK_FIRST = "ask first"
    GONE = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """An index's settings about age, in seconds; the defaults are the configuration's."""

    ttl: float = 600.0
    """A page younger than this is served without asking."""

    patience: float = 1.0
    """How long mirrors are waited for while a held page could go out."""

    stale_while_revalidate: float = 86_400.0
    """How long after `ttl` the held page may go out like that."""

    stale_if_error: float = 30 * 86_400.0
    """How long after `ttl` the held page is served when no mirror answers."""

    negative_ttl: float = 60.0
    """How long "no such project" is believed."""


def assess(
    *,
    checked_at: float,
    now: float,
    windows: Windows,
    jitter: float = 0.0,
    revalidate: bool = False,
    asked_at: float | None = None,
    offline: bool = False,
) -> Freshness:
    """What to do with a page that a mirror last confirmed at `checked_at` (less the Age that it came with).

    `jitter` is the share of `ttl` to cut off, from `jitter(key)`; `revalidate` says that the client insists;
    `asked_at` is when mirrors were last asked, whatever came of it.
    """
    if offline:
        return Freshness.FRESH
    age = _elapsed(checked_at, now)
    if age is None:
        age = windows.ttl
    usable = _by_age(age, windows, jitter)
    if revalidate and usable is not Freshness.GONE and _may_insist(checked_at, asked_at, now):
        return Freshness.ASK_FIRST
    return usable


def assess_absence(
    *,
    checked_at: float,
    now: float,
    windows: Windows,
    revalidate: bool = False,
    asked_at: float | None = None,
    offline: bool = False,
) -> Freshness:
    """What to do with a "no such project" that mirrors confirmed at `checked_at`. ::

        < negative_ttl                     FRESH      it is believed: 404
        < negative_ttl + stale_if_error    ASK_FIRST  not believed: when no mirror answers, the index answers 503,
                                                      but a layer that is silent may be passed over for this name
        older                              GONE       as if it weren't known

    Silence isn't absence, so an old absence never becomes a 404 by itself.
    """
    if offline:
        return Freshness.FRESH
    age = _elapsed(checked_at, now)
    if age is None:
        age = windows.negative_ttl
    if age >= windows.negative_ttl + windows.stale_if_error:
        return Freshness.GONE
    if age >= windows.negative_ttl or (revalidate and _may_insist(checked_at, asked_at, now)):
        return Freshness.ASK_FIRST
    return Freshness.FRESH


def undisturbed(
    *,
    checked_at: float,
    asked_at: float,
    windows: Windows,
    jitter: float = 0.0,
    absent: bool = False,
    revalidate: bool = False,
    offline: bool = False,
) -> tuple[float, float]:
    """From when until when (exclusive) a page, or with `absent` a "no such project", stays FRESH and needs no refresh ahead.

    However often it is used: within this, answering with it takes no decision. Takes what `assess` takes.
    """
    if offline:
        return -math.inf, math.inf
    until = checked_at + (windows.negative_ttl if absent else AHEAD * _effective_ttl(windows, jitter))
    latest = checked_at
    if revalidate:
        latest = max(checked_at, asked_at)
        until = min(until, latest + ASK_LIMIT)
    if until <= checked_at:
        return until, until
    return latest - CLOCK_SLACK, until


def refresh_ahead(*, checked_at: float, now: float, windows: Windows, jitter: float = 0.0, uses: int) -> bool:
    """Whether a fresh page, used `uses` times since it was confirmed, is to be refreshed behind its answer.

    So that a popular page's next user after `ttl` needn't wait: it is asked about in the last fifth of it.
    """
    age = _elapsed(checked_at, now)
    return age is not None and uses >= POPULAR and age >= AHEAD * _effective_ttl(windows, jitter)


def jitter(key: str, fraction: float = 0.1) -> float:
    """A number in [0, fraction) that looks random but is always the same for `key`."""
    seed = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return (int.from_bytes(seed, "big") >> 11) / (1 << 53) * fraction


def clamp_age(text: str | None, ttl: float) -> float:
    """Seconds that a page spent in caches on its way here (Age, RFC 9111 section 5.1): between 0 and half of `ttl`.

    Half, because a CDN that is purged on every change sends ages of days for pages that are current: counted in
    full, they would never be fresh here. Absent or malformed is 0. Date isn't used: a mirror's clock isn't ours.
    """
    text = "" if text is None else text.strip(" \t")
    return min(float(text), ttl / 2) if _AGE.fullmatch(text) else 0.0


def _by_age(age: float, windows: Windows, jitter: float) -> Freshness:
    """The table at the top."""
    if age < _effective_ttl(windows, jitter):
        return Freshness.FRESH
    if age < windows.ttl + windows.stale_while_revalidate:
        return Freshness.ASK_WITHIN_PATIENCE
    if age < windows.ttl + windows.stale_if_error:
        return Freshness.ASK_FIRST
    return Freshness.GONE


def _effective_ttl(windows: Windows, jitter: float) -> float:
    """`ttl` with its jitter cut off."""
    return windows.ttl * (1.0 - min(max(jitter, 0.0), 1.0))


def _may_insist(checked_at: float, asked_at: float | None, now: float) -> bool:
    """Whether no mirror was asked within `ASK_LIMIT`."""
    waits = [_elapsed(instant, now) for instant in (checked_at, asked_at) if instant is not None]
    return all(wait is None or wait >= ASK_LIMIT for wait in waits)


def _elapsed(instant: float, now: float) -> float | None:
    """Seconds since then, at least 0; None when it lies in the future and the clock can't be trusted."""
    return None if instant > now + CLOCK_SLACK else max(0.0, now - instant)
