"""Response headers that several handlers share: caching, and how the answer came about (RFC 9211)."""

from __future__ import annotations

from pypicache.index.entry import Outcome

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


def joined(values: list[str]) -> str | None:
    """A header's lines as one value (RFC 9110 section 5.3); None when it is absent."""
    return ", ".join(values) if values else None
