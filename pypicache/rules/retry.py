"""Asking again: how long a mirror wants to be left alone, and when its failure may be over.

Retry-After (RFC 9110 section 10.2.3) comes in two forms, seconds and a date, and what it says is bounded: a mirror
that says "in a year" is asked again soon. Whether a mirror is worth asking at all is for `breaker`.

Within one answer, mirrors may fail by turns: by the time that the last one has failed, the first one may be well. So one
that was asked `AGED` ago is asked a second time before a client is told that nobody answers, unless that has
taken `GIVE_UP` already: failures that take so long are of the lasting kind.
"""

from __future__ import annotations

import re
from datetime import UTC
from email.utils import parsedate_to_datetime

CAP = 60.0
"""The longest wait that is believed, in seconds."""

_MAX_DATE = 40  # the longest form, RFC 850's with "Wednesday", has 33 characters
_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]+)?", re.ASCII)  # some servers send fractions


AGED = 0.3
"""Seconds after which a failure may be over."""

GIVE_UP = 4.0
"""Seconds after which no mirror is asked a second time."""


def second_chance_at(asked: float, *, began: float, now: float) -> float | None:
    """When a mirror that was `asked` and failed may be asked again; None: not for this answer, which `began` then."""
    return asked + AGED if now < began + GIVE_UP else None


def retry_after(text: str | None, now: float, cap: float = CAP) -> float | None:
    """Seconds to wait from `now` (seconds since the epoch), between 0 and `cap`; None when the header says nothing.

    A date in the past is 0. However absurd a number is, it comes to `cap`.
    """
    text = "" if text is None else text.strip(" \t")
    if _SECONDS.fullmatch(text):
        return min(float(text), cap)
    if not text.isascii() or len(text) > _MAX_DATE:
        return None
    try:
        date = parsedate_to_datetime(text)
        if date.tzinfo is None:  # "-0000", or no zone at all, as in asctime's form: HTTP dates are UTC
            date = date.replace(tzinfo=UTC)
        wait = date.timestamp() - now
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return min(max(wait, 0.0), cap)
