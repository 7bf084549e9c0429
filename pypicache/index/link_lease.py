"""How long a link to a stored file or sidecar gets the same answer: as long as its page lists it so, and the blob is there.

It is told which blob the link led to just now, and looks whether that follows from what memory holds. If it can't tell, there
is no lease, which costs time and nothing else.
"""

from __future__ import annotations

import math

from pypicache.index.facts import Facts
from pypicache.index.lease import Lease, Read
from pypicache.index.library import Library
from pypicache.index.locate import SIDECAR, sidecar_of
from pypicache.index.locator import Locator
from pypicache.index.notes import Notes
from pypicache.simple.model import File, ProjectName


class LinkLeases:
    """Gives the leases of one index's links."""

    def __init__(self, *, notes: Notes, locator: Locator, facts: Facts, library: Library) -> None:
        self._notes = notes
        self._locator = locator
        self._facts = facts
        self._library = library

    def of(self, path: tuple[str, ...], sha256: str) -> Lease | None:
        """How long the link at that path leads to the stored file of that digest; None: don't count on it."""
        wheel = (*path[:-1], path[-1].removesuffix(SIDECAR))
        record = self._notes.record(path) or self._notes.record(wheel)
        if record is None:
            return None  # then it was looked for on more than one page
        project = ProjectName(record.project)
        known = self._locator.known(project, wheel)
        if known is None:
            return None
        lease, file = known
        blob: Read = (self._library.glance, sha256, self._library.glance(sha256))
        if path == wheel:
            return lease & _while(blob) if file.sha256 == sha256 else None
        learned = self._facts.at_hand(project)
        if learned is None or not _is_sidecar(
            file, sha256, learned.of(file).sidecar, learned.of(file).checked
        ):
            return None
        return lease & _while(blob) & self._facts.lease(project, learned)


def _is_sidecar(wheel: File, sha256: str, made: str | None, checked: bool) -> bool:  # noqa: FBT001 - a field of `Fact`
    """Whether nothing but that can be the wheel's sidecar: its page gives the digest, or it was made of the verified wheel."""
    promised = sidecar_of(wheel).sha256
    return sha256 == promised if promised is not None else checked and sha256 == made


def _while(*reads: Read) -> Lease:
    return Lease(-math.inf, math.inf, reads)
