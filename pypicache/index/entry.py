"""What an index keeps of a project's page, and how it answers with it: values, shared by catalog and edge."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import msgspec

from pypicache.simple.model import ProjectName
from pypicache.upstream.source import Validators


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one project's page. Times are seconds since the epoch."""

    checked_at: float
    """When a mirror last confirmed it, less the age it had in caches on the way."""
    asked_at: float = 0.0
    """When the mirrors were last asked, whatever came of it."""
    page_digest: str | None = None
    """SHA-256 of the page's bytes; None when there is no such project."""
    origin: str = ""
    """The page's home: the mirror that its files and facts are from, unless they say otherwise (`rules.merge`)."""
    etag: str | None = None
    last_modified: str | None = None
    body_digest: str | None = None
    denied_at: float | None = None
    """When a mirror first said of a held project that it is gone; believed when said again after `negative_ttl`."""
    answered: str = ""
    """The mirror that answered last, whose validators these are; empty when it is `origin`."""
    denied_by: tuple[str, ...] = ()
    """The mirrors that said that there is no such project."""
    silent_since: dict[str, float] = {}
    """Mirrors that were asked in vain while others answered, and when that was first so."""
    unsure: tuple[str, ...] = ()
    """Mirrors that listed files which the last answer lacks: they are asked, too."""

    @property
    def absent(self) -> bool:
        """Whether this records that there is no such project."""
        return self.page_digest is None

    @property
    def validators(self) -> Validators:
        """How to ask the mirror that answered last whether its page has changed."""
        return Validators(
            origin=self.answered or self.origin,
            etag=self.etag,
            last_modified=self.last_modified,
            body_digest=self.body_digest,
        )


class Standing(enum.Enum):
    """What an index remembers of a project, without asking anyone; layers are passed over by it."""

    HELD = "held"
    """Its page is held, however old."""
    DENIED = "denied"
    """Its mirrors said that there is no such project, not longer ago than `stale_if_error` allows."""
    LAPSED = "denied long ago"
    """They said so, and that was too long ago to be believed."""
    UNKNOWN = "unknown"


class Outcome(enum.Enum):
    """How an answer came about; the edge turns it into Cache-Status (RFC 9211)."""

    HIT = "hit"
    MISS = "miss"
    """Nothing usable was held; a mirror was asked."""
    REVALIDATED = "revalidated"
    """The held page was too old; a mirror was asked and answered."""
    STALE = "stale-while-revalidate"
    """The held page was too old and went out, since no mirror answered within `patience`."""
    STALE_IF_ERROR = "stale-if-error"
    """The held page went out, since every mirror failed."""


@dataclass(frozen=True, slots=True)
class Page:
    """A project's page, and how it was come by."""

    project: ProjectName
    data: bytes
    """As `simple.model.dump` writes it."""
    digest: str
    origin: str
    """The mirror that it is from; a file on it may be another's (`File.origin`)."""
    checked_at: float
    outcome: Outcome
    collapsed: bool = False
    """Whether the answer was shared with another request's question."""
    facts: bytes = b""
    """What is known beyond the page (`facts.Learned.data`)."""
    index: str = ""
    """The index whose page it is: of an index with layers, the layer that answered."""
    facts_digest: str = ""
    """Names what is rendered beside the page itself: the facts, and whether sidecars are made."""
