"""One named index: its pages, and the files they link to.

The seam that the edge talks to. An `Index` joins the catalog (what is listed) with the library (what is
stored): a file is handed out because a page lists it, and judged at each request, so a known link is no way
round a page. What a link needs is remembered beside the blob and outlives the page.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import msgspec

from pypicache.errors import FileNotFound, UpstreamError
from pypicache.index import rendering
from pypicache.index.catalog import Catalog
from pypicache.index.entry import Outcome, Page
from pypicache.index.library import Library
from pypicache.index.locate import SIDECAR, Located, sidecar_of
from pypicache.index.locator import Locator
from pypicache.index.lru import ByteLRU
from pypicache.index.reader import Content
from pypicache.index.rendering import Rendering
from pypicache.index.tasks import Tasks
from pypicache.offload import Offload
from pypicache.simple.model import Digest, File, ProjectName
from pypicache.store.links import LinkRecord, LinkStore
from pypicache.upstream.source import Source

MAX_SIDECAR = 32 << 20
"""A sidecar larger than this is refused: real ones have kilobytes."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A file, ready to be sent."""

    filename: str
    content: Content
    outcome: Outcome
    collapsed: bool
    immutable: bool
    """Whether the page names its bytes by a digest, so that a client may keep it for ever."""


class Index:
    """Pages and files of one index. Use as an async context manager."""

    def __init__(
        self,
        *,
        name: str,
        catalog: Catalog,
        library: Library,
        source: Source,
        links: LinkStore,
        renderings: ByteLRU[str, Rendering],
        offload: Offload,
        clock: Callable[[], float],
        offline: bool = False,
    ) -> None:
        self.name = name
        self._catalog = catalog
        self._locator = Locator(index=name, catalog=catalog, offload=offload, remember=self._keep)
        self._library = library
        self._source = source
        self._links = links
        self._renderings = renderings
        self._offload = offload
        self._clock = clock
        self._offline = offline
        self._making: dict[str, asyncio.Task[Rendering]] = {}
        self._keeping: dict[LinkRecord, asyncio.Task[None]] = {}
        self._tasks = Tasks()

    async def __aenter__(self) -> Self:
        await self._catalog.__aenter__()
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What was said of a file last is wanted by the next process: these are writes of a few hundred bytes.
        await asyncio.gather(*self._keeping.values(), return_exceptions=True)
        await self._tasks.__aexit__(kind, error, trace)
        await self._catalog.__aexit__(kind, error, trace)

    # Pages

    async def page(self, project: ProjectName, *, revalidate: bool = False) -> Page:
        """The project's page; see `Catalog.page`."""
        return await self._catalog.page(project, revalidate=revalidate)

    def etag(self, page: Page, form: str, coding: str) -> str:
        """The ETag of that rendering of the page, made or not."""
        return rendering.etag(page.digest, "", form, coding)

    async def rendering(self, page: Page, form: str, coding: str) -> Rendering:
        """The page in that form and coding, made at most once."""
        etag = self.etag(page, form, coding)
        if (made := self._renderings.get(etag)) is not None:
            return made
        task = self._making.get(etag)
        if task is None:
            task = self._tasks.start(
                self._render(page, form, coding, etag), name=f"rendering of {page.project}"
            )
            self._making[etag] = task
            task.add_done_callback(lambda _: self._making.pop(etag, None))
        return await asyncio.shield(task)

    async def _render(self, page: Page, form: str, coding: str, etag: str) -> Rendering:
        body = await self._offload.run(len(page.data), rendering.render, page.data, form, coding)
        made = Rendering(body=body, etag=etag, coding=coding)
        self._renderings.put(etag, made, len(body))
        return made

    # Files

    async def open_file(self, path: tuple[str, ...]) -> Opened:
        """The file (or sidecar) that is linked at that path: decoded segments below `packages/`.

        Raises FileNotFound when no page lists it, Denied when the index doesn't hand it out, UpstreamError
        when it isn't stored and can't be had now.
        """
        record = self._record(path)
        records = [record] if record is not None else []
        if path[-1].endswith(SIDECAR):
            wheel = (*path[:-1], path[-1].removesuffix(SIDECAR))
            if (its := self._record(wheel)) is not None:
                records.append(its)
            project, origin, located = await self._locator.locate(wheel, records)
            return await self._open(path, project, origin, located, record, sidecar=True)
        project, origin, located = await self._locator.locate(path, records)
        return await self._open(path, project, origin, located, record, sidecar=False)

    async def size_of(self, path: tuple[str, ...]) -> tuple[File, int | None]:
        """The file at that path and its size, without downloading it. Raises as `open_file` does."""
        record = self._record(path)
        project, origin, located = await self._locator.locate(path, [record] if record is not None else ())
        file = located.file
        size = file.size
        if size is None and record is not None:
            size = record.size
        if size is None and not self._offline:
            size = await self._library.size_of(file, self._source.copies(project, file, origin))
        return file, size

    def _record(self, path: tuple[str, ...]) -> LinkRecord | None:
        """What is remembered of the link."""
        return self._links.get(self.name, "/".join(path))

    async def _open(
        self,
        path: tuple[str, ...],
        project: ProjectName,
        origin: str,
        located: Located,
        record: LinkRecord | None,
        *,
        sidecar: bool,
    ) -> Opened:
        listed = located.file
        file = sidecar_of(listed) if sidecar else listed
        if sidecar and not listed.has_sidecar:
            raise FileNotFound(f"{listed.filename} has no metadata sidecar")
        remembered = record if record is not None and record.digests == file.hashes else None
        sha256 = file.sha256 or (remembered.sha256 if remembered else None)
        stored = self._library.stored(
            sha256, remembered.size if remembered and remembered.sha256 == sha256 else None
        )
        immutable = bool(listed.best_digest)
        if stored is not None:
            if remembered is None or remembered.sha256 is None:
                self._remember(path, project, origin, file, stored.sha256, stored.size)
            return Opened(file.filename, stored, Outcome.HIT, collapsed=False, immutable=immutable)
        wanted = file if sidecar else _pinned(file, remembered)
        if (joined := self._library.joined(wanted)) is not None:
            return Opened(file.filename, joined, Outcome.MISS, collapsed=True, immutable=immutable)
        if self._offline:
            raise UpstreamError("", f"{self.name} is offline and {file.filename} isn't in the cache")
        copies = self._source.copies(project, listed if sidecar else wanted, origin, sidecar=sidecar)
        reader, task = self._library.fetch(wanted, copies, max_size=MAX_SIDECAR if sidecar else None)
        self._tasks.start(
            self._remember_when_done(task, path, project, origin, file, reader),
            name=f"link of {file.filename}",
        )
        return Opened(file.filename, reader, Outcome.MISS, collapsed=False, immutable=immutable)

    async def _remember_when_done(
        self,
        task: asyncio.Task[str],
        path: tuple[str, ...],
        project: ProjectName,
        origin: str,
        file: File,
        content: Content,
    ) -> None:
        sha256 = await asyncio.shield(task)
        self._remember(path, project, origin, file, sha256, content.size)

    def _remember(
        self,
        path: tuple[str, ...],
        project: ProjectName,
        origin: str,
        file: File,
        sha256: str | None,
        size: int | None,
    ) -> None:
        record = LinkRecord(
            index=self.name,
            project=project,
            path="/".join(path),
            filename=file.filename,
            url=file.url,
            origin=origin,
            sha256=sha256,
            size=size,
            digests=file.hashes,
            stored_at=self._clock(),
        )
        self._keep(record)

    def _keep(self, record: LinkRecord) -> None:
        """Write the record behind, unless the same one is being written."""
        if record not in self._keeping:
            task = self._tasks.start(self._links.put(record), name=f"link record of {record.filename}")
            self._keeping[record] = task
            task.add_done_callback(lambda _: self._keeping.pop(record, None))


def _pinned(file: File, remembered: LinkRecord | None) -> File:
    """The file with the digest that it had when it was first seen, if its page gives none: other bytes are refused."""
    if file.best_digest is not None or remembered is None or remembered.sha256 is None:
        return file
    return msgspec.structs.replace(file, hashes=(Digest("sha256", remembered.sha256),))
