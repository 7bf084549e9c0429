"""devpi's file links, which old lock files hold: from the first digits of a digest and a file name to our own path.

`+f/{3 digits}/{13 digits}/{filename}` names no project and no path, so the file is looked for where it could be: among the links
that are remembered under its name, and then on the pages of the projects that its name can be split into. What is found
is a path below `packages/`, and no verdict: whether the file is handed out is decided as for any other link. Where no link is remembered
and no page can be had, the bytes alone are enough if they are stored, as after `import --devpi` without pages.

devpi takes the digits from the best digest that its mirror gave, the SHA-256 in all but old pages; any digest counts here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Protocol

from pypicache.errors import FileNotFound, ProjectNotFound, UpstreamError
from pypicache.index.catalog import Catalog
from pypicache.index.content import Stored
from pypicache.index.entry import Outcome, Page
from pypicache.index.layered import LayeredIndex
from pypicache.index.locate import SIDECAR
from pypicache.index.locator import OK, candidates_of
from pypicache.index.serving import Opened
from pypicache.offload import Offload
from pypicache.simple import model
from pypicache.simple.links import decode_path, packages_path
from pypicache.simple.model import Digest, File, ProjectName
from pypicache.store.linkrecord import LinkRecord
from pypicache.store.links import LinkStore

Path = tuple[str, ...]


class LoneFile:
    """A stored file of which nothing is known but its bytes, as something to ask for files. `stored` opens it."""

    def __init__(self, index: str, filename: str, stored: Callable[[], Awaitable[Stored | None]]) -> None:
        self.name = index
        self._filename = filename
        self._stored = stored

    async def open_file(self, path: Path) -> Opened:  # noqa: ARG002 - it has one file
        """The file."""
        stored = await self._stored()
        if stored is None:
            raise UpstreamError("", f"{self._filename} isn't in the cache any more, and no page can be had")
        return Opened(self._filename, stored, Outcome.STALE_IF_ERROR, collapsed=False, immutable=True)

    async def facts_of(self, path: Path) -> tuple[File, int | None, str | None]:
        """Its name, size and digest."""
        content = (await self.open_file(path)).content
        content.close()
        file = File(filename=self._filename, url="", hashes=(Digest("sha256", content.sha256 or ""),))
        return file, content.size, content.sha256


class FindsOldLinks(Protocol):
    """Knows where the files of an index are."""

    async def find(self, digits: str, filename: str) -> Path | LoneFile:
        """The path below `packages/`, decoded, of the file whose digest begins so. `filename` may be a sidecar's.

        In an outage it may be just the bytes. Raises FileNotFound when no page lists it, UpstreamError when a page that could
        can't be had.
        """
        ...


class OldLinks:
    """Of an index with mirrors.

    `stored` finds stored files by such digits, whichever index they came by.
    """

    def __init__(
        self,
        *,
        catalog: Catalog,
        links: LinkStore,
        offload: Offload,
        stored: Callable[[str], Awaitable[Stored | None]],
    ) -> None:
        self._catalog = catalog
        self._links = links
        self._offload = offload
        self._stored = stored

    async def find(self, digits: str, filename: str) -> Path | LoneFile:
        """See `FindsOldLinks.find`."""
        name = filename.removesuffix(SIDECAR)
        record = await self.remembered(digits, name)
        if record is not None and record.verdict == OK:
            return _beside(record.path.split("/"), filename)
        projects = candidates_of((name,))
        held = [each for each in projects if await self.holds(each)]
        try:
            found = await _search(
                self._catalog.index,
                name,
                dict.fromkeys((*held, *projects)),
                lambda project: self.listed(project, digits, name),
            )
        except (FileNotFound, UpstreamError) as error:
            if record is not None:  # it says why it isn't handed out
                return _beside(record.path.split("/"), filename)
            if held or isinstance(error, FileNotFound) or (lone := await self.lone(digits, filename)) is None:
                raise
            return lone
        return _beside(found, filename)

    async def remembered(self, digits: str, name: str) -> LinkRecord | None:
        """What is remembered of such a link; of several, of one that led to the file when it was used last."""
        records = [
            record
            for record in await self._links.by_filename(self._catalog.index, name)
            if (record.sha256 or "").startswith(digits) or _begins(record.digests, digits)
        ]
        return min(records, key=lambda record: record.verdict != OK, default=None)

    async def holds(self, project: ProjectName) -> bool:
        """Whether a page of the project is held, which then says what there is."""
        return await self._catalog.held(project) is not None

    async def lone(self, digits: str, filename: str) -> LoneFile | None:
        """The stored file whose digest begins so, if there is one and it is a file's name."""
        stored = None if filename.endswith(SIDECAR) else await self._stored(digits)
        if stored is None:
            return None
        stored.close()
        return LoneFile(self._catalog.index, filename, lambda: self._stored(digits))

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

    async def find(self, digits: str, filename: str) -> Path | LoneFile:
        """See `FindsOldLinks.find`."""
        name = filename.removesuffix(SIDECAR)
        leaves = [self._leaves[leaf] for leaf in self._index.leaves]
        records = [record for leaf in leaves if (record := await leaf.remembered(digits, name)) is not None]
        record = min(records, key=lambda record: record.verdict != OK, default=None)
        if record is not None and record.verdict == OK:
            return _beside(record.path.split("/"), filename)

        async def look(project: ProjectName) -> Path | None:
            page = await self._index.page(project)
            return await self._leaves[page.index].listed(project, digits, name)

        projects = candidates_of((name,))
        try:
            return _beside(await _search(self._index.name, name, projects, look), filename)
        except (FileNotFound, UpstreamError) as error:
            if record is not None:
                return _beside(record.path.split("/"), filename)
            held = [leaf for leaf in leaves for project in projects if await leaf.holds(project)]
            if (
                held
                or isinstance(error, FileNotFound)
                or (lone := await leaves[0].lone(digits, filename)) is None
            ):
                raise
            return lone


def _beside(path: Sequence[str], filename: str) -> Path:
    """The path with that file in the place of its last segment: itself, or its sidecar."""
    return (*path[:-1], filename)


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
