"""Response headers that several handlers share: caching, and how the answer came about (RFC 9211)."""

from __future__ import annotations

from aiohttp import web

from pypicache.errors import Denied, FileNotFound, IntegrityError, ProjectNotFound, UpstreamError
from pypicache.index.entry import Outcome

VARY = "Accept, Accept-Encoding"
"""What pages, and all else that is said at their addresses, depend on."""

PAGE_CACHE_CONTROL = "public, max-age=0, must-revalidate"
"""Pages: clients revalidate each time, which costs a millisecond. Not `no-cache`, with which PDM downloads again."""

IMMUTABLE = "public, max-age=365000000, immutable"
"""Files whose bytes are named by a digest."""

REVALIDATE = "public, max-age=0, must-revalidate"
"""Files without a digest, which could be replaced under the same name."""

_CACHE_STATUS = {
    Outcome.HIT: "hit",
    Outcome.MISS: "fwd=miss; stored",
    Outcome.REVALIDATED: "fwd=stale; stored",
    Outcome.STALE: "hit; detail=stale-while-revalidate",
    Outcome.STALE_IF_ERROR: "hit; detail=stale-if-error",
}


def cache_status(outcome: Outcome, *, collapsed: bool) -> str:
    """The Cache-Status header's value."""
    return f"pypicache; {_CACHE_STATUS[outcome]}{'; collapsed' if collapsed else ''}"


CODINGS = ("zstd", "gzip")
"""What pages are compressed with, the preferred coding first."""


def joined(request: web.BaseRequest, name: str) -> str | None:
    """A request header's lines as one value (RFC 9110 section 5.3); None when it is absent."""
    values = request.headers.getall(name, ())
    return ", ".join(values) if values else None


def age(seconds: float) -> str:
    """The Age header's value (RFC 9111 section 5.1): whole seconds, never negative."""
    return str(max(0, int(seconds)))


def of_error(error: Exception) -> dict[str, str]:
    """Cache-Status, and Age if it was remembered, of an answer that is an error; nothing when no cache was asked."""
    match error:
        case ProjectNotFound(age=float(seconds)):
            return {"Cache-Status": "pypicache; hit; detail=negative", "Age": age(seconds)}
        case ProjectNotFound():
            return {"Cache-Status": "pypicache; fwd=miss; detail=negative"}
        case FileNotFound():
            return {"Cache-Status": "pypicache; detail=not-listed"}
        case Denied():
            return {"Cache-Status": "pypicache; detail=denied"}
        case IntegrityError():
            return {"Cache-Status": "pypicache; fwd=miss; detail=wrong-bytes"}
        case UpstreamError():
            return {"Cache-Status": "pypicache; fwd=miss; detail=no-answer"}
    return {}
