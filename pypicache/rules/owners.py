"""Which layers may be asked for a project, and in what order: a rule over names.

Layers are different indexes in order of authority. `owns` is a promise in both directions::

    the name is owned by            asked for it
    one layer                       that layer alone
    several layers                  the first of them alone
    none                            the layers without `owns`, in their order

So a name that is owned is asked for nowhere else, whatever happens to its owner, and an owner never hears of a
name that isn't its own. It knows nothing of what layers answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pypicache.simple.model import ProjectName


@dataclass(frozen=True, slots=True)
class Claim:
    """One layer: the index it is, and the patterns of the names that are its own."""

    index: str
    owns: tuple[str, ...] = ()
    """Normalised project names (PEP 503) in which `*` stands for any text; empty: asked for every name that nobody owns."""


def may_be_asked(project: ProjectName, layers: Sequence[Claim]) -> tuple[str, ...]:
    """The indexes that may be asked for the project, in order of authority; empty when none may."""
    owner = next((layer.index for layer in layers if any(matches(project, p) for p in layer.owns)), None)
    if owner is not None:
        return (owner,)
    return tuple(layer.index for layer in layers if not layer.owns)


def matches_any(project: str, patterns: Sequence[str]) -> bool:
    """Whether one of the patterns names the project, whose name is normalised."""
    return any(matches(ProjectName(project), pattern) for pattern in patterns)


def matches(project: ProjectName, pattern: str) -> bool:
    """Whether the pattern names the project."""
    parts = pattern.split("*")
    if len(parts) == 1:
        return project == pattern
    first, *between, last = parts
    if not project.startswith(first):
        return False
    position = len(first)
    # The leftmost place for each part leaves the most room for the rest, so there is nothing to try again.
    for part in between:
        found = project.find(part, position)
        if found < 0:
            return False
        position = found + len(part)
    return len(project) - len(last) >= position and project.endswith(last)
