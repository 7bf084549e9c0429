"""Retry-After (RFC 9110 section 10.2.3): how long a mirror wants to be left alone.

Reads both forms, seconds and a date, and bounds what it reads: a mirror that says "in a year" is
asked again soon. It doesn't decide whether to ask; that is `breaker`.
"""

from __future__ import annotations

import re
from datetime import UTC
from email.utils import parsedate_to_datetime

CAP = 60.0
"""The longest wait that is believed, in seconds."""

_MAX_DATE = 40  # the longest form, RFC 850's with "Wednesday", has 33 characters
_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]+)?", re.ASCII)  # some servers send fractions


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
