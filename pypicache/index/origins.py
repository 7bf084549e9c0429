"""Where an index is at its origin: the address of its pages, and those of a project's files.

Lock files that are to hold without this cache name these. The origin is one of the index's mirrors; which one, the
configuration says. Its own page tells where its files are, since they may be on another host: the page that
is held, if its files are the origin's, else the origin is asked.

Addresses only, no credentials. It knows nothing of lock files.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from pypicache.errors import NotFound
from pypicache.index.catalog import Catalog
from pypicache.index.layered import LayeredIndex
from pypicache.offload import Offload
from pypicache.simple import model
from pypicache.simple.model import ProjectName
from pypicache.upstream.source import Replicas


class AtOrigin(msgspec.Struct, frozen=True, kw_only=True):
    """Where an index is, and one project of it."""

    index: str
    """The index itself, or that of its layers which has the project."""
    simple: str
    """The root of the origin's Simple API."""
    files: dict[str, str] = {}
    """Where the project's files are there, by file name; empty where the origin doesn't say."""


class FindsOrigins(Protocol):
    """Knows where an index is at its origin."""

    async def origin(self, project: ProjectName | None) -> AtOrigin:
        """Where the index is, and the project's files. Raises as the project's page does."""
        ...


class Origins:
    """Of an index with mirrors. `mirror` is the origin's name, `simple` its address."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        source: Replicas,
        mirror: str,
        simple: str,
        offload: Offload,
        offline: bool = False,
    ) -> None:
        self._catalog = catalog
        self._source = source
        self._mirror = mirror
        self._simple = simple
        self._offload = offload
        self._offline = offline

    async def origin(self, project: ProjectName | None) -> AtOrigin:
        """Where the index is, and the project's files."""
        files: dict[str, str] = {}
        if project is not None:
            page = await self._catalog.page(project)
            files = await self._offload.run(len(page.data), _links, page.data, page.origin, self._mirror)
            if not files and not self._offline:
                files = await self._asked(project)
        return AtOrigin(index=self._catalog.index, simple=self._simple, files=files)

    async def _asked(self, project: ProjectName) -> dict[str, str]:
        listing = (await self._source.ask(project, (self._mirror,))).get(self._mirror)
        if listing is None:
            return {}
        return await self._offload.run(len(listing.page), _links, listing.page, self._mirror, self._mirror)


class LayeredOrigins:
    """Of an index with layers: the origin is that of the layer which answers for the project."""

    def __init__(self, *, index: LayeredIndex, leaves: Mapping[str, FindsOrigins]) -> None:
        self._index = index
        self._leaves = leaves

    async def origin(self, project: ProjectName | None) -> AtOrigin:
        """Where the project is. Raises NotFound without one."""
        if project is None:
            raise NotFound(f"{self._index.name} is made of layers: which origin it is depends on the project")
        page = await self._index.page(project)
        return await self._leaves[page.index].origin(project)


def _links(page: bytes, home: str, mirror: str) -> dict[str, str]:
    """Where that mirror has the files, of those that are its own on this page."""
    project = model.load(page)
    return {file.filename: file.url for file in project.files if (file.origin or home) == mirror}
