"""What a path can mean: a type for each place, and what is true of places in general.

Values only. Which path means what is `routes`' business, what is there is the edge's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pypicache.simple.model import ProjectName
from pypicache.web import devpi_paths


@dataclass(frozen=True, slots=True)
class ProjectList:
    """The list of all projects (PEP 503's root)."""

    index: str


@dataclass(frozen=True, slots=True)
class ProjectPage:
    """One project's page."""

    index: str
    project: ProjectName


@dataclass(frozen=True, slots=True)
class FilePath:
    """A file or a sidecar: decoded segments below `packages/`."""

    index: str
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LegacyJSON:
    """A project's legacy JSON, of all its versions or of one.

    `root` is what the path names the index by: its links stand below it, as those of the page at the same address do.
    """

    index: str
    project: ProjectName
    version: str | None = None
    root: str = ""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the index, and the files of the project if there is one, are at their origin."""

    index: str
    project: ProjectName | None


@dataclass(frozen=True, slots=True)
class Redirect:
    """The same thing under its proper name; `location` is relative, so that it holds behind any proxy."""

    location: str


@dataclass(frozen=True, slots=True)
class Explain:
    """Why the index answers as it does for the project."""

    index: str
    project: ProjectName


@dataclass(frozen=True, slots=True)
class Status:
    """What the daemon tells of itself."""


@dataclass(frozen=True, slots=True)
class Reload:
    """Where one asks for the configuration to be read again."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """The same, as metrics."""


@dataclass(frozen=True, slots=True)
class Asset:
    """What the pages for people need beside them."""

    name: Literal["style.css", "live.js", "icon.svg"]


@dataclass(frozen=True, slots=True)
class ProjectAbout:
    """What people want to know of a project."""

    index: str
    project: ProjectName


@dataclass(frozen=True, slots=True)
class FindProject:
    """The way to the page of a project that was typed in."""


@dataclass(frozen=True, slots=True)
class Health:
    """The process lives."""


@dataclass(frozen=True, slots=True)
class Ready:
    """It can serve."""


@dataclass(frozen=True, slots=True)
class Root:
    """`/` itself."""


@dataclass(frozen=True, slots=True)
class NotHere:
    """Nothing is at that path; `reason` is one line for the client."""

    reason: str
    status: int = 404


Route = (
    ProjectList
    | ProjectPage
    | FilePath
    | LegacyJSON
    | Explain
    | Origin
    | Redirect
    | Status
    | Reload
    | Asset
    | ProjectAbout
    | FindProject
    | Metrics
    | Health
    | Ready
    | Root
    | NotHere
    | devpi_paths.Place
)

_OPEN = (Redirect, Health, Ready, NotHere, *devpi_paths.OPEN)
"""What says nothing of what is here."""


def is_open(where: Route) -> bool:
    """Whether that is answered to everyone, whoever may read."""
    return isinstance(where, _OPEN)


def index_of(where: Route) -> str | None:
    """The index that the place belongs to; None when it belongs to none."""
    index: str | None = getattr(where, "index", None)
    return index
