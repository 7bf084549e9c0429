"""What of a project an index hands out, and why not.

Judged on every request, over the page as it is held: so a change acts at once, on stored files too, and
a known file link can't walk round it. It changes no stored page and knows nothing of how answers look.

=============  ===========================  ========================
verdict        the project's page           its files and sidecars
=============  ===========================  ========================
Allow          as it is                     served
Hide(reason)   without files, its status    403 with the reason
Deny(reason)   403 with the reason          403 with the reason
=============  ===========================  ========================

`quarantined` (PEP 792) hides: an index must not offer such a project's files, and clients are to see the
status that says so. The other statuses are for people and tools to read; they pass.
"""

from __future__ import annotations

from dataclasses import dataclass

from pypicache.errors import one_line
from pypicache.simple.model import Project


@dataclass(frozen=True, slots=True)
class Allow:
    """Nothing is in the way."""


@dataclass(frozen=True, slots=True)
class Hide:
    """The page is there, its files aren't; `reason` is one line, fit for an answer."""

    reason: str


@dataclass(frozen=True, slots=True)
class Deny:
    """Neither page nor files; `reason` is one line, fit for an answer."""

    reason: str


Verdict = Allow | Hide | Deny


def judge_project(project: Project) -> Verdict:
    """Whether the project's files may be handed out."""
    if project.status != "quarantined":
        return Allow()
    why = f": {project.status_reason}" if project.status_reason else ""
    return Hide(one_line(f"{project.name} is quarantined by its index{why}"))


def visible(project: Project) -> Project:
    """The page as clients may see it; the very same object when nothing is hidden."""
    if isinstance(judge_project(project), Allow):
        return project
    fields = {name: getattr(project, name) for name in project.__struct_fields__}
    return Project(**fields | {"files": ()})
