"""Errors to responses: the one mapping.

An error body is one plain line that says what failed and where; it is never cached. 503 carries Retry-After in
whole seconds, since some clients can't read a date there. What isn't an expected error is a bug: the log gets its
traceback, the client a line without details.
"""

from __future__ import annotations

import logging
import math

from aiohttp import web

from pypicache.errors import (
    MethodNotAllowed,
    PypicacheError,
    TooManyAttempts,
    Unauthorized,
    UpstreamError,
    one_line,
)
from pypicache.web.headers import of_error

log = logging.getLogger(__name__)

RETRY_AFTER = 2
"""Seconds to wait when no mirror said how long. Small, since pip and poetry sleep it up to five times."""

MAX_RETRY_AFTER = 30


UNKEPT = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
"""The headers of an answer that nobody may keep."""


def plain(status: int, line: str, headers: dict[str, str] | None = None) -> web.Response:
    """A one-line answer that nobody may keep."""
    return web.Response(
        status=status,
        text=one_line(line, 1000) + "\n",
        content_type="text/plain",
        charset="utf-8",
        headers={**UNKEPT, **(headers or {})},
    )


def response_to(error: Exception) -> web.Response:
    """What the client is told of the error."""
    if not isinstance(error, PypicacheError):
        log.error("a bug: %r", error, exc_info=error)
        return plain(500, "internal error; the log has the details")
    headers = of_error(error)
    if error.status == 503:  # noqa: PLR2004 - the status with a header of its own
        asked_for = error.retry_after if isinstance(error, UpstreamError) else None
        wait = RETRY_AFTER if asked_for is None else min(max(1, math.ceil(asked_for)), MAX_RETRY_AFTER)
        headers["Retry-After"] = str(wait)
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = error.challenge
    elif isinstance(error, MethodNotAllowed):
        headers["Allow"] = ", ".join(error.allowed)
    elif isinstance(error, TooManyAttempts):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    return plain(error.status, str(error), headers)
