"""From a link to the file it means: through the record of the link, or through the pages it could be on.

A file is handed out because its page lists it, and judged each time: a link that is known is no way round the
page. When the page can't be had, what was last said of a recorded link stands. Silence isn't absence here either: a
file is "not found" only when every page that could list it was read.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

import msgspec

from pypicache.errors import Denied, FileNotFound, ProjectNotFound, UpstreamError
from pypicache.index.catalog import Catalog
from pypicache.index.entry import Outcome, Page
from pypicache.index.lease import Lease
from pypicache.index.locate import SIDECAR, Located, find, project_of_path
from pypicache.index.lru import ByteLRU
from pypicache.offload import Offload
from pypicache.simple.links import LIKELY, project_candidates
from pypicache.simple.model import File, ProjectName
from pypicache.store.linkrecord import LinkRecord

OK = "ok"
"""The verdict on a file that was handed out; any other one is the reason why not, after one of these words."""

_REMOVED, _REFUSED = "removed: ", "refused: "


@functools.lru_cache(maxsize=1024)
def candidates_of(path: tuple[str, ...]) -> tuple[ProjectName, ...]:
    """The projects whose file could be at that path: the one that the path names, or what the file name can be split into."""
    named = project_of_path(path)
    return (named,) if named is not None else project_candidates(path[-1])[:LIKELY]


class Locator:
    """Finds the files of the index called `index`. `remember` is given records whose verdict has changed."""

    def __init__(
        self, *, index: str, catalog: Catalog, offload: Offload, remember: Callable[[LinkRecord], None]
    ) -> None:
        self._remember = remember
        self._index = index
        self._catalog = catalog
        self._offload = offload
        self._located: ByteLRU[tuple[str, tuple[str, ...]], Located] = ByteLRU(4 << 20)

    async def locate(
        self,
        path: tuple[str, ...],
        records: Sequence[LinkRecord] = (),
        *,
        project: ProjectName | None = None,
    ) -> tuple[ProjectName, str, Located]:
        """The project, the mirror whose file it is, and the file as the page lists it; judged.

        With `project`, the file is looked for on that project's page only. `records` are what is remembered of the link: of a sidecar's, its own and its wheel's.
        Raises FileNotFound, Denied, or UpstreamError when the page that could list it can't be had.
        """
        if records:
            return await self._recorded(path, records)
        failure: UpstreamError | None = None
        candidates = candidates_of(path) if project is None else (project,)
        async with aclosing(self._known_first(candidates)) as known_first:
            async for candidate in known_first:
                try:
                    page, located = await self._look_up(candidate, path)
                except ProjectNotFound:
                    continue
                except UpstreamError as error:
                    failure = failure or error
                    continue
                if located is not None:
                    return self._judged(candidate, page, located, records)
        if failure is not None:
            raise failure
        raise FileNotFound(f"{self._index} has no file {path[-1]} at that path")

    def known(self, project: ProjectName, path: tuple[str, ...]) -> tuple[Lease, File] | None:
        """The file at that path as memory knows it, which may be handed out, and how long that is so.

        None when it isn't known without looking on the page.
        """
        found = self._catalog.leases.of_held(project)
        located = None if found is None else self._located.get((found[1], path))
        if found is None or located is None or located.refusal is not None:
            return None
        return found[0], located.file

    async def _recorded(
        self, path: tuple[str, ...], records: Sequence[LinkRecord]
    ) -> tuple[ProjectName, str, Located]:
        """As `locate`, for a link that is remembered. ::

            the page          the file on it    last verdict    the answer
            held              listed            any             the file, judged
            held              not               ok              the page is asked for once more, and decides
            held              not               another         no: that verdict
            none              -                 ok              the file, as it is remembered
            none, or absent   -                 another         the page is asked for, and decides; if nobody
                                                                answers, that verdict

        Whatever it is, the page is asked for behind if it is old, so that one who only knows links sees removals too.
        """
        project = ProjectName(records[0].project)
        verdict = next((r.verdict for r in records if r.verdict != OK), OK)
        page = await self._catalog.held(project)
        absent = page is None and await self._catalog.absent(project)
        self._catalog.refresh_behind(project)
        if page is None and not absent and verdict == OK and records[0].sha256 is not None:
            return project, records[0].origin, Located(_file_of(records[0]))
        if page is not None and (located := await self._find(page, path)) is not None:
            return self._judged(project, page, located, records)
        if page is not None and verdict != OK:
            raise refusal(verdict)
        try:
            page, located = await self._look_up(project, path)
        except ProjectNotFound:
            raise self._removed(
                records, f"{path[-1]}: {self._index} has no project {project} any more"
            ) from None
        except UpstreamError as error:
            if verdict != OK:
                raise refusal(verdict) from error
            if page is None and not absent:
                raise
            located = None  # it was gone when last something was said
        if located is None or page is None:
            raise self._removed(records, f"{path[-1]} is no longer listed by {self._index}")
        return self._judged(project, page, located, records)

    async def _look_up(self, project: ProjectName, path: tuple[str, ...]) -> tuple[Page, Located | None]:
        """The project's page and the file on it; a page that doesn't list the file is asked for once more."""
        page = await self._catalog.page(project)
        located = await self._find(page, path)
        if located is None and page.outcome is Outcome.HIT:
            page = await self._catalog.page(project, revalidate=True)
            located = await self._find(page, path)
        return page, located

    async def _known_first(self, candidates: tuple[ProjectName, ...]) -> AsyncGenerator[ProjectName]:
        """The candidates, those whose page is held before the others. The first one is the file's nearly always: no other is looked for before."""
        unknown = []
        for project in candidates:
            if await self._catalog.held(project) is not None:
                yield project
            else:
                unknown.append(project)
        for project in unknown:
            yield project

    async def _find(self, page: Page, path: tuple[str, ...]) -> Located | None:
        key = (page.digest, path)
        located = self._located.get(key)
        if located is None:
            located = await self._offload.run(len(page.data), find, page.data, path)
            if located is not None:
                self._located.put(key, located, 1000)
        return located

    def _judged(
        self, project: ProjectName, page: Page, located: Located, records: Sequence[LinkRecord]
    ) -> tuple[ProjectName, str, Located]:
        if located.refusal is not None:
            reason = f"{located.file.filename}: {located.refusal}"
            self._conclude(records, _REFUSED + reason)
            raise Denied(reason)
        self._conclude(records, OK)
        return project, located.file.origin or page.origin, located

    def _removed(self, records: Sequence[LinkRecord], reason: str) -> FileNotFound:
        self._conclude(records, _REMOVED + reason)
        return FileNotFound(reason)

    def _conclude(self, records: Sequence[LinkRecord], verdict: str) -> None:
        """Have the verdict remembered, where it is another one than the last."""
        for record in records:
            if record.verdict != verdict:
                self._remember(msgspec.structs.replace(record, verdict=verdict))


def refusal(verdict: str) -> Denied | FileNotFound:
    """The error that a remembered verdict stands for."""
    if verdict.startswith(_REFUSED):
        return Denied(verdict.removeprefix(_REFUSED))
    return FileNotFound(verdict.removeprefix(_REMOVED))


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
