"""The caches that a request has come through, so that one that comes back to where it began is found out.

Every daemon has a name of its own, new at each start, and puts it into Via (RFC 9110 section 7.6.3) of what it asks for.
A question that a client's request causes carries that request's names on: those of caches like this one and nothing else
of what the client sent. They travel with the context of the request's task (`contextvars`), which the tasks that it
starts inherit. This module imports nothing of the package.
"""

from __future__ import annotations

import re
from contextvars import ContextVar

MOST = 16
"""More caches than this in a row are taken for a loop."""

_OURS = re.compile(r"(?:^|,)[ \t]*1\.[01] (pypicache-[0-9a-f]{16})(?=[ \t]*(?:,|$))")
_came_through: ContextVar[tuple[str, ...]] = ContextVar("came_through", default=())


def arrive(via: str | None, own: str) -> bool:
    """Note what a request has come through, for what it causes; False if it has been here before."""
    names = tuple(_OURS.findall(via or ""))
    if own in names or len(names) >= MOST:
        return False
    _came_through.set(names)
    return True


def via(own: str) -> str:
    """The Via of a request that is sent on behalf of the one at hand."""
    return ", ".join(f"1.1 {name}" for name in (*_came_through.get(), own))
