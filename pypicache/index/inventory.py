"""A project's files as people want to see them: what its page lists, and what of that is in the cache.

It reads what is held, and asks no mirror; the work on a page is done elsewhere than on the loop. A part of the list at
a time, since there are projects with ten thousand files. It decides nothing about what is served.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Protocol

import msgspec

from pypicache.index import facts
from pypicache.index.catalog import Catalog
from pypicache.offload import Offload
from pypicache.rules import policy
from pypicache.simple import model
from pypicache.simple.links import packages_path
from pypicache.simple.model import ProjectName

Look = Callable[[Sequence[str]], Awaitable[Mapping[str, float]]]
"""Which of these SHA-256s are stored, and when each was last used, in seconds since the epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One file."""

    filename: str
    path: str
    """Below `packages/`, percent-encoded."""
    size: int | None
    uploaded: str | None
    requires_python: str | None
    yanked: bool | str
    sha256: str | None
    mirror: str
    """The mirror whose listing of it counts."""
    used_at: float | None = None
    """When it was last used; None: it isn't in the cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """What is known of a project's files, the newest first."""

    versions: int
    status: str | None
    reason: str | None
    total: int
    """How many files there are."""
    stored: int
    """How many of them are in the cache."""
    stored_bytes: int
    shown: tuple[Listed, ...]
    """Those that were asked for."""


class TakesStock(Protocol):
    """Tells of the files of one index."""

    async def inventory(self, project: ProjectName, *, start: int, count: int) -> Inventory | None:
        """`count` files from the `start`-th on; None when no page is held."""
        ...


class Stock:
    """The files of one index with mirrors."""

    def __init__(self, *, catalog: Catalog, learned: facts.Facts, offload: Offload, look: Look) -> None:
        self._catalog = catalog
        self._learned = learned
        self._offload = offload
        self._look = look

    async def inventory(self, project: ProjectName, *, start: int, count: int) -> Inventory | None:
        """`count` files from the `start`-th on; None when no page is held."""
        page = await self._catalog.held(project)
        if page is None:
            return None
        learned = await self._learned.of(project)
        said, listed = await self._offload.run(
            len(page.data) + len(learned.data), _listed, page.data, learned.data, page.origin
        )
        used = await self._look([file.sha256 for file in listed if file.sha256 is not None])
        stored = [file for file in listed if file.sha256 in used]
        return Inventory(
            versions=len(said.versions),
            status=said.status,
            reason=said.status_reason,
            total=len(listed),
            stored=len(stored),
            stored_bytes=sum(file.size or 0 for file in stored),
            shown=tuple(
                replace(file, used_at=used.get(file.sha256 or "")) for file in listed[start : start + count]
            ),
        )


def _listed(page: bytes, learned: bytes, origin: str) -> tuple[model.Project, list[Listed]]:
    """The page without its files, and these, the newest first."""
    project = facts.apply(model.load(page), facts.decode(learned), synthesize=False)
    listed = [
        Listed(
            filename=file.filename,
            path=packages_path(project.name, file.url, file.filename),
            size=file.size,
            uploaded=file.upload_time,
            requires_python=file.requires_python,
            yanked=file.yanked,
            sha256=file.sha256,
            mirror=file.origin or origin,
        )
        for file in policy.visible(project).files
    ]
    listed.reverse()  # pages have the newest last; where they say when, that counts
    if all(file.uploaded for file in listed):
        listed.sort(key=attrgetter("uploaded"), reverse=True)
    return msgspec.structs.replace(project, files=(), withdrawn=()), listed
