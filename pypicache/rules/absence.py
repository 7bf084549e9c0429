"""Whether a "no such project" takes away a page that is held.

A rule over who said so; it asks nobody and holds no page. All of these mean that no mirror gave the page: one that
does outweighs any 404, since a replica can lag. ::

    who said 404 or 410                                      verdict
    two mirrors or more                                      GONE
    the mirror that listed the project, one of several       GONE
    the only mirror there is                                 REPEAT
    another mirror, while the one that listed it is silent   DISREGARD: for the held page that is an outage
    another mirror, and the listing one no longer counts     REPEAT

REPEAT: one server's 404 can be a hiccup, so it is believed when it is said again after `negative_ttl`. A mirror
no longer counts when it isn't configured any more, or has been silent for too long (`merge.Authority`).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from pypicache.rules.merge import Authority


class Absence(Enum):
    """What becomes of the held page."""

    GONE = "gone"
    REPEAT = "to be said again"
    DISREGARD = "disregarded"


def weigh(said: Sequence[str], lister: str, authority: Authority) -> Absence:
    """What it comes to that the mirrors `said` deny a project that `lister` listed."""
    if len(said) > 1:
        return Absence.GONE
    if not said or len(authority.order) == 1 or not authority.counts(lister):
        return Absence.REPEAT
    return Absence.GONE if lister in said else Absence.DISREGARD
