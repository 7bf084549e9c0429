"""From a link to the file it means: through the record of the link, or through the pages it could be on.

A file is handed out because its page lists it, and judged each time: a link that is known is no way round the
page. When the page can't be had, what was last said of a recorded link stands. Silence isn't absence here either: a
file is "not found" only when every page that could list it was read.
"""

from __future__ import annotations

from pypicache.errors import Denied, FileNotFound, ProjectNotFound, UpstreamError
from pypicache.index.catalog import Catalog
from pypicache.index.entry import Outcome, Page
from pypicache.index.locate import SIDECAR, Located, find, project_of_path
from pypicache.index.lru import ByteLRU
from pypicache.offload import Offload
from pypicache.simple.links import project_candidates
from pypicache.simple.model import File, ProjectName
from pypicache.store.links import LinkRecord

CANDIDATES = 6
"""How many projects a file name without a record is looked for in: each may cost a question upstream."""


class Locator:
    """Finds the files of the index called `index`."""

    def __init__(self, *, index: str, catalog: Catalog, offload: Offload) -> None:
        self._index = index
        self._catalog = catalog
        self._offload = offload
        self._located: ByteLRU[tuple[str, tuple[str, ...]], Located] = ByteLRU(4 << 20)

    async def locate(
        self, path: tuple[str, ...], record: LinkRecord | None
    ) -> tuple[ProjectName, str, Located]:
        """The project, the origin of its page, and the file as the page lists it; judged."""
        if record is not None and (found := await self._recorded(path, record)) is not None:
            return found
        named = project_of_path(path)
        candidates = (named,) if named is not None else project_candidates(path[-1])[:CANDIDATES]
        failure: UpstreamError | None = None
        for project in await self._known_first(candidates):
            try:
                page, located = await self._look_up(project, path)
            except ProjectNotFound:
                continue
            except UpstreamError as error:
                failure = failure or error
                continue
            if located is not None:
                return project, page.origin, self._judged(located)
        if failure is not None:
            raise failure
        raise FileNotFound(f"{self._index} has no file {path[-1]} at that path")

    async def _recorded(
        self, path: tuple[str, ...], record: LinkRecord
    ) -> tuple[ProjectName, str, Located] | None:
        """As `_locate`, for a link that is remembered; None when its page has to be asked for."""
        project = ProjectName(record.project)
        page = await self._catalog.held(project)
        if page is None:
            if await self._catalog.absent(project):
                raise FileNotFound(f"{path[-1]}: {self._index} has no project {project} any more")
            if record.sha256 is None:
                return None
            # The page has gone (wiped, or too old): what it last said of this file still stands.
            self._catalog.refresh_behind(project)
            return project, record.origin, Located(_file_of(record))
        self._catalog.refresh_behind(project)
        located = await self._find(page, path)
        if located is None:
            page, located = await self._look_up(project, path)
        if located is None:
            raise FileNotFound(f"{path[-1]} is no longer listed by {self._index}")
        return project, page.origin, self._judged(located)

    async def _look_up(self, project: ProjectName, path: tuple[str, ...]) -> tuple[Page, Located | None]:
        """The project's page and the file on it; a page that doesn't list the file is asked for once more."""
        page = await self._catalog.page(project)
        located = await self._find(page, path)
        if located is None and page.outcome is Outcome.HIT:
            page = await self._catalog.page(project, revalidate=True)
            located = await self._find(page, path)
        return page, located

    async def _known_first(self, candidates: tuple[ProjectName, ...]) -> list[ProjectName]:
        """The candidates, those whose page is held before the others."""
        known = [project for project in candidates if await self._catalog.held(project) is not None]
        return known + [project for project in candidates if project not in known]

    async def _find(self, page: Page, path: tuple[str, ...]) -> Located | None:
        key = (page.digest, path)
        located = self._located.get(key)
        if located is None:
            located = await self._offload.run(len(page.data), find, page.data, path)
            if located is not None:
                self._located.put(key, located, 1000)
        return located

    def _judged(self, located: Located) -> Located:
        if located.refusal is not None:
            raise Denied(f"{located.file.filename}: {located.refusal}")
        return located


def _file_of(record: LinkRecord) -> File:
    """The file as its page last listed it, as far as a link needs; of a sidecar's record, the file it belongs to."""
    if record.filename.endswith(SIDECAR):
        return File(
            filename=record.filename.removesuffix(SIDECAR),
            url=record.url.removesuffix(SIDECAR),
            core_metadata=record.digests or True,
        )
    return File(
        filename=record.filename, url=record.url, hashes=record.digests, size=record.size, core_metadata=True
    )
