"""One named index: its pages, and the files they link to.

The seam that the edge talks to. An `Index` joins the catalog (what is listed) with the library (what is
stored): a file is handed out because a page lists it, and judged at each request, so a known link is no way
round a page. What a link needs is remembered beside the blob and outlives the page.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

from pypicache.errors import FileNotFound, IntegrityError, PypicacheError, UpstreamError
from pypicache.index import rendering
from pypicache.index.catalog import ANSWER_WITHIN, Catalog
from pypicache.index.content import Content
from pypicache.index.entry import Outcome, Page, Standing
from pypicache.index.facts import Facts, can_have_sidecar
from pypicache.index.lease import Lease
from pypicache.index.library import Library
from pypicache.index.link_lease import LinkLeases
from pypicache.index.locate import SIDECAR, Located, pinned, sidecar_of
from pypicache.index.locator import Locator
from pypicache.index.lru import ByteLRU
from pypicache.index.notes import Notes
from pypicache.index.renderer import Renderer
from pypicache.index.rendering import Rendering
from pypicache.index.serving import Opened, Serving
from pypicache.index.sidecars import THEIRS_WITHIN, Sidecars
from pypicache.index.tasks import Tasks
from pypicache.index.unstored import whole
from pypicache.offload import Offload
from pypicache.simple.model import File, ProjectName
from pypicache.store.linkrecord import LinkRecord
from pypicache.store.links import LinkStore
from pypicache.upstream.source import Source

MAX_SIDECAR = 32 << 20
"""A sidecar larger than this is refused: real ones have kilobytes."""


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
        facts: Facts,
        sidecars: Sidecars | None,
        renderings: ByteLRU[str, Rendering],
        offload: Offload,
        clock: Callable[[], float],
        offline: bool = False,
    ) -> None:
        self.name = name
        self._catalog = catalog
        self._library = library
        self._source = source
        self._facts = facts
        self._sidecars = sidecars
        self._offline = offline
        self._tasks = Tasks()
        self._renderer = Renderer(
            held=renderings, offload=offload, tasks=self._tasks, synthesize=sidecars is not None
        )
        self._renderings = renderings
        self._notes = Notes(index=name, links=links, facts=facts, tasks=self._tasks, clock=clock)
        self._locator = Locator(index=name, catalog=catalog, offload=offload, remember=self._notes.keep)
        leases = LinkLeases(notes=self._notes, locator=self._locator, facts=facts, library=library)
        self.link_lease = leases.of
        self.stored = library.stored
        self.denial = catalog.leases.of_denial

    async def __aenter__(self) -> Self:
        await self._catalog.__aenter__()
        if self._sidecars is not None:
            await self._sidecars.__aenter__()
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._notes.flush()
        await self._tasks.__aexit__(kind, error, trace)
        if self._sidecars is not None:
            await self._sidecars.__aexit__(kind, error, trace)
        await self._catalog.__aexit__(kind, error, trace)

    @property
    def leaves(self) -> Mapping[str, Serving]:
        """Itself: it is made of no other index."""
        return {self.name: self}

    # Pages

    async def page(
        self, project: ProjectName, *, revalidate: bool = False, within: float = ANSWER_WITHIN
    ) -> Page:
        """The project's page, with what is known beyond it; see `Catalog.page`."""
        if self._facts.at_hand(project) is None:  # the disk is asked once for both, where it is for one
            self._tasks.start(self._facts.of(project), name=f"facts of {project}")
        page = await self._catalog.page(project, revalidate=revalidate, within=within)
        learned = await self._facts.of(project)
        made = "" if self._sidecars is None else "sidecars "
        return dataclasses.replace(
            page, index=self.name, facts=learned.data, facts_digest=made + learned.digest
        )

    async def standing(self, project: ProjectName) -> Standing:
        """What is remembered of the project; nobody is asked."""
        return await self._catalog.standing(project)

    def refresh_behind(self, project: ProjectName) -> None:
        """Have the page asked for in the background if it is due; see `Catalog.refresh_behind`."""
        self._catalog.refresh_behind(project)

    def etag(self, page: Page, form: str, coding: str) -> str:
        """The ETag of that rendering of the page, made or not."""
        return rendering.etag(page.digest, page.facts_digest, form, coding)

    async def rendering(self, page: Page, form: str, coding: str) -> Rendering:
        """The page in that form and coding, made at most once."""
        return await self._renderer.rendering(page, form, coding)

    def renderings(self, page: Page) -> ByteLRU[str, Rendering]:  # noqa: ARG002 - an index of layers has several
        """What memory holds of renderings, by ETag; see `Serving.renderings`."""
        return self._renderings

    def lease(self, page: Page, *, revalidate: bool = False) -> Lease | None:
        """How long the same request gets this page; see `Serving.lease`."""
        lease = self._catalog.leases.of_page(page, revalidate=revalidate)
        learned = self._facts.at_hand(page.project)
        if lease is None or learned is None or learned.data != page.facts:
            return None
        return lease & self._facts.lease(page.project, learned)

    # Files

    def recorded(self, path: tuple[str, ...]) -> ProjectName | None:
        """The project whose file the link led to last, if it is remembered."""
        record = self._notes.record(path)
        return None if record is None else ProjectName(record.project)

    async def open_file(self, path: tuple[str, ...], project: ProjectName | None = None) -> Opened:
        """The file (or sidecar) that is linked at that path: decoded segments below `packages/`.

        With `project`, it is that project's file or none.
        Raises FileNotFound when no page lists it, Denied when the index doesn't hand it out, UpstreamError
        when it isn't stored and can't be had now.
        """
        record = self._record(path, project)
        records = [record] if record is not None else []
        if path[-1].endswith(SIDECAR):
            wheel = (*path[:-1], path[-1].removesuffix(SIDECAR))
            if (its := self._record(wheel, project)) is not None:
                records.append(its)
            project, origin, located = await self._locator.locate(wheel, records, project=project)
            opened = await self._open_sidecar(path, project, origin, located, record)
            sha256 = located.file.sha256 or (None if its is None else its.sha256)
            if not self._library.there(sha256):
                opened = dataclasses.replace(opened, wheel=located.file)
            return opened
        project, origin, located = await self._locator.locate(path, records, project=project)
        return await self._open(path, project, origin, located, record, sidecar=False)

    async def facts_of(
        self, path: tuple[str, ...], project: ProjectName | None = None
    ) -> tuple[File, int | None, str | None]:
        """The file at that path, its size and its SHA-256, as far as they are known without downloading it.

        Takes and raises what `open_file` does.
        """
        record = self._record(path, project)
        records = [record] if record is not None else ()
        project, origin, located = await self._locator.locate(path, records, project=project)
        file = located.file
        remembered = record if record is not None and record.digests == file.hashes else None
        sha256, size = file.sha256, file.size
        if remembered is not None:
            sha256 = sha256 or remembered.sha256
            size = remembered.size if size is None else size
        if size is None and not self._offline:
            size = await self._library.size_of(file, self._source.copies(project, file, origin))
        return file, size, sha256

    def _record(self, path: tuple[str, ...], project: ProjectName | None) -> LinkRecord | None:
        """What is remembered of the link, unless it was another project's."""
        record = self._notes.record(path)
        return record if record is None or project in {None, record.project} else None

    async def _open_sidecar(
        self,
        path: tuple[str, ...],
        project: ProjectName,
        origin: str,
        located: Located,
        record: LinkRecord | None,
    ) -> Opened:
        """A sidecar: kept, or the mirror's where the page promises one, or made; made also when no mirror keeps its promise."""
        sidecars, listed, began = self._sidecars, located.file, asyncio.get_running_loop().time()
        if sidecars is None or not can_have_sidecar(listed):
            if not listed.has_sidecar:
                raise FileNotFound(f"{listed.filename} has no metadata sidecar")
            return await self._whole(path, project, origin, located, record)
        if (kept := await sidecars.kept(project, listed)) is not None:
            return Opened(listed.filename + SIDECAR, kept, Outcome.HIT, collapsed=False, immutable=True)
        if not listed.has_sidecar:
            return await self._made_sidecar(path, project, origin, located, sidecars, began)
        try:
            # A record can't tell whether the wheel has been replaced, unless the page gives the sidecar's hash.
            known = record if sidecar_of(listed).hashes else None
            theirs = await self._whole(path, project, origin, located, known)
            await sidecars.accept(project, listed, theirs.content)
        except (UpstreamError, IntegrityError) as failure:
            try:
                return await self._made_sidecar(path, project, origin, located, sidecars, began)
            except PypicacheError:
                # The page promised one, so "there is none" isn't an answer: how the mirrors failed is.
                raise failure from None
        return theirs

    async def _made_sidecar(
        self,
        path: tuple[str, ...],
        project: ProjectName,
        origin: str,
        located: Located,
        sidecars: Sidecars,
        asked_at: float,
    ) -> Opened:
        listed = located.file
        wheel = (*path[:-1], listed.filename)

        async def open_wheel() -> Content:
            known = self._notes.record(wheel)
            return (await self._open(wheel, project, origin, located, known, sidecar=False)).content

        made = await sidecars.open(project, origin, listed, open_wheel, asked_at)
        content, outcome = made.content, Outcome.MISS if made.made else Outcome.HIT
        if made.made and not made.collapsed:
            self._notes.remember(path, project, origin, listed, content.sha256, content.size, sidecar=True)
        return Opened(listed.filename + SIDECAR, content, outcome, collapsed=made.collapsed, immutable=True)

    async def _whole(
        self,
        path: tuple[str, ...],
        project: ProjectName,
        origin: str,
        located: Located,
        record: LinkRecord | None,
    ) -> Opened:
        """The mirror's sidecar, all of it."""
        opened = await self._open(path, project, origin, located, record, sidecar=True)
        return dataclasses.replace(opened, content=await whole(opened.content, THEIRS_WITHIN))

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
        remembered = record if record is not None and record.digests == file.hashes else None
        sha256 = file.sha256 or (remembered.sha256 if remembered else None)
        known = remembered is not None and remembered.sha256 == sha256
        # The size tells a blob that was cut short from the file, before anything of it is sent.
        stored = self._library.stored(sha256, remembered.size if remembered and known else file.size)
        immutable = bool(listed.best_digest)
        if stored is not None:
            if remembered is None or remembered.sha256 is None:
                self._notes.remember(
                    path, project, origin, listed, stored.sha256, stored.size, sidecar=sidecar
                )
            return Opened(file.filename, stored, Outcome.HIT, collapsed=False, immutable=immutable)
        wanted = file if sidecar else pinned(file, remembered)
        if (joined := self._library.joined(wanted)) is not None:
            return Opened(file.filename, joined, Outcome.MISS, collapsed=True, immutable=immutable)
        if self._offline:
            raise UpstreamError("", f"{self.name} is offline and {file.filename} isn't in the cache")
        copies = self._source.copies(project, listed if sidecar else wanted, origin, sidecar=sidecar)
        reader, task = self._library.fetch(wanted, copies, max_size=MAX_SIDECAR if sidecar else None)
        self._notes.remember_when_done(task, path, project, origin, listed, reader, sidecar=sidecar)
        return Opened(file.filename, reader, Outcome.MISS, collapsed=False, immutable=immutable)
