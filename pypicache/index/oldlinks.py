"""devpi's file links, which old lock files hold: from the first digits of a digest and a file name to our own path.

`+f/{3 digits}/{13 digits}/{filename}` names no project and no path, so the file is looked for where it could be: among the links
that are remembered under its name, and then on the pages of the projects that its name can be split into. What is found
is a path below `packages/`, and no verdict: whether the file is handed out is decided as for any other link.

devpi takes the digits from the best digest that its mirror gave, the SHA-256 in all but old pages; any digest counts here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Protocol

from pypicache.errors import FileNotFound, ProjectNotFound, UpstreamError
from pypicache.index.catalog import Catalog
from pypicache.index.entry import Outcome, Page
from pypicache.index.layered import LayeredIndex
from pypicache.index.locate import SIDECAR
from pypicache.index.locator import OK, candidates_of
from pypicache.offload import Offload
from pypicache.simple import model
from pypicache.simple.links import decode_path, packages_path
from pypicache.simple.model import Digest, ProjectName
from pypicache.store.links import LinkStore

Path = tuple[str, ...]


class FindsOldLinks(Protocol):
    """Knows where the files of an index are."""

    async def path(self, digits: str, filename: str) -> Path:
        """The path below `packages/`, decoded, of the file whose digest begins so. `filename` may be a sidecar's.

        Raises FileNotFound when no page lists it, UpstreamError when a page that could can't be had.
        """
        ...


class OldLinks:
    """Of an index with mirrors."""

    def __init__(self, *, catalog: Catalog, links: LinkStore, offload: Offload) -> None:
        self._catalog = catalog
        self._links = links
        self._offload = offload

    async def path(self, digits: str, filename: str) -> Path:
        """See `FindsOldLinks.path`."""
        name = filename.removesuffix(SIDECAR)
        found = await self.remembered(digits, name)
        if found is None:
            projects = candidates_of((name,))
            held = [each for each in projects if await self._catalog.held(each) is not None]
            found = await _search(
                self._catalog.index,
                name,
                dict.fromkeys((*held, *projects)),
                lambda project: self.listed(project, digits, name),
            )
        return (*found[:-1], filename)

    async def remembered(self, digits: str, name: str) -> Path | None:
        """The path of such a link that is remembered; of several, one that led to the file when it was used last."""
        records = [
            record
            for record in await self._links.by_filename(self._catalog.index, name)
            if (record.sha256 or "").startswith(digits) or _begins(record.digests, digits)
        ]
        records.sort(key=lambda record: record.verdict != OK)
        return tuple(records[0].path.split("/")) if records else None

    async def listed(self, project: ProjectName, digits: str, name: str) -> Path | None:
        """The path that the project's page has for it; a page that doesn't list it is asked for once more."""
        page = await self._catalog.page(project)
        path = await self._on(page, digits, name)
        if path is None and page.outcome is Outcome.HIT:
            path = await self._on(await self._catalog.page(project, revalidate=True), digits, name)
        return path

    async def _on(self, page: Page, digits: str, name: str) -> Path | None:
        return await self._offload.run(len(page.data), find, page.data, digits, name)


class LayeredOldLinks:
    """Of an index with layers: what any of them remembers, else what the layer lists that answers for the project."""

    def __init__(self, *, index: LayeredIndex, leaves: Mapping[str, OldLinks]) -> None:
        self._index = index
        self._leaves = leaves

    async def path(self, digits: str, filename: str) -> Path:
        """See `FindsOldLinks.path`."""
        name = filename.removesuffix(SIDECAR)

        async def look(project: ProjectName) -> Path | None:
            page = await self._index.page(project)
            return await self._leaves[page.index].listed(project, digits, name)

        for leaf in self._index.leaves:
            if (found := await self._leaves[leaf].remembered(digits, name)) is not None:
                break
        else:
            found = await _search(self._index.name, name, candidates_of((name,)), look)
        return (*found[:-1], filename)


async def _search(
    index: str,
    name: str,
    projects: Iterable[ProjectName],
    look: Callable[[ProjectName], Awaitable[Path | None]],
) -> Path:
    """What the first of the projects has. Silence isn't absence: one that can't be looked at makes it an UpstreamError."""
    failure: UpstreamError | None = None
    for project in projects:
        try:
            found = await look(project)
        except ProjectNotFound:
            continue
        except UpstreamError as error:
            failure = failure or error
            continue
        if found is not None:
            return found
    raise failure or FileNotFound(f"{index} has no file {name} whose digest begins like that")


def find(page: bytes, digits: str, name: str) -> Path | None:
    """Where that page has a file of that name and such a digest. A pure function, for the helper process."""
    project = model.load(page)
    for file in project.files:
        if file.filename == name and _begins(file.hashes, digits):
            return decode_path(packages_path(project.name, file.url, file.filename))
    return None


def _begins(digests: Iterable[Digest], digits: str) -> bool:
    return any(digest.value.startswith(digits) for digest in digests)
