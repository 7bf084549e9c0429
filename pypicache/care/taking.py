"""Taking the files of a devpi-server directory into the cache: by hard link where that can be, else by copy.

A file that agrees neither with its page nor with its path in devpi stays where it is, and nothing is evicted for the sake of
one. devpi replaces and removes files by name and never changes one, so what is linked is safe from it; each is hashed before
it is taken, and by the scrub later on.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pypicache.care.devpi import OTHERS, Found, agrees, hashes_of, listed_as, why_not
from pypicache.care.progress import Progress
from pypicache.care.stores import Stores
from pypicache.errors import IntegrityError, NotFound, StoreFull, UpstreamError
from pypicache.index.entry import Page
from pypicache.index.locate import SIDECAR
from pypicache.index.serving import Serving
from pypicache.simple import model
from pypicache.simple.links import decode_path, packages_path
from pypicache.simple.model import File, Project, ProjectName
from pypicache.store.adopt import adopt
from pypicache.store.files import STEP, open_plain
from pypicache.store.linkrecord import LinkRecord

AT_A_TIME = 4
"""Projects that are looked at together: their pages may have to be asked for."""

PageOf = Callable[[str, ProjectName], Awaitable[Page | None]]
"""The page of that index's project; None where there is none to be had."""


def pages_of(indexes: Mapping[str, Serving]) -> PageOf:
    """Pages as these indexes have them, or get them."""

    async def page_of(index: str, project: ProjectName) -> Page | None:
        try:
            return await indexes[index].page(project)
        except (NotFound, UpstreamError):
            return None

    return page_of


@dataclass(slots=True)
class Taken:
    """What came of it. Paths are relative to devpi's directory."""

    linked: int = 0
    copied: int = 0
    held: int = 0
    """Were here already."""
    bytes: int = 0
    """Of what was linked or copied."""
    by_page: int = 0
    """How many a page vouched for."""
    by_path: list[str] = field(default_factory=list)
    """Those for which only their path in devpi did."""
    refused: dict[str, str] = field(default_factory=dict)
    """Those that were left, and why."""
    no_room: int = 0
    """How many found no room under cache.max_size and cache.min_free."""


class Taking:
    """Takes what devpi holds below `root`. `indexes` says which of ours a devpi index may be, `page_of` gives their pages."""

    def __init__(
        self,
        *,
        stores: Stores,
        root: Path,
        indexes: Callable[[str], Sequence[str]],
        page_of: PageOf,
        progress: Progress,
    ) -> None:
        self._stores = stores
        self._root = root
        self._indexes = indexes
        self._page_of = page_of
        self._progress = progress
        self._done = Taken()

    async def take(self, found: Sequence[Found]) -> Taken:
        """Take these. Raises StoreError when the cache can't be written."""
        self._progress.begin("import", sum(each.size for each in found))
        ordered = sorted(found, key=lambda each: (each.index, each.project or "", each.path))
        groups = itertools.groupby(ordered, key=lambda each: (each.index, each.project))
        todo = iter([(index, project, list(files)) for (index, project), files in groups])
        await asyncio.gather(*(self._work(todo) for _ in range(AT_A_TIME)))
        return self._done

    async def _work(self, todo: Iterator[tuple[str, ProjectName | None, list[Found]]]) -> None:
        for index, project, files in todo:
            pages = [] if project is None else await self._pages(index, project)
            for each in files:
                try:
                    await self._take(each, pages)
                except OSError as error:
                    self._refuse(each, error.strerror or str(error))
                self._progress.step(each.size)

    async def _pages(self, index: str, project: ProjectName) -> list[tuple[Page, Project]]:
        found = [await self._page_of(name, project) for name in self._indexes(index)]
        return [(page, await asyncio.to_thread(model.load, page.data)) for page in found if page is not None]

    async def _take(self, found: Found, pages: Sequence[tuple[Page, Project]]) -> None:
        """One file. Raises OSError when it can't be read, StoreError."""
        opened = await asyncio.to_thread(open_plain, found.path)
        if isinstance(opened, str):
            self._refuse(found, opened)
            return
        fd, status = opened
        try:
            matches = ((page, listed_as(project, found.path.name)) for page, project in pages)
            listed = [(page, *match) for page, match in matches if match is not None]
            wanted = {file.best_digest.algorithm for _, file, _ in listed if file.best_digest}
            digests = await asyncio.to_thread(hashes_of, fd, status.st_size, wanted)
            agreed = next((each for each in listed if agrees(each[1], digests)), None)
            if agreed is None and found.digits and not digests["sha256"].startswith(found.digits):
                digests |= await asyncio.to_thread(hashes_of, fd, status.st_size, OTHERS)
            if agreed is None and (why := why_not(found, [file for _, file, _ in listed], digests)):
                self._refuse(found, why)
                return
            if not await self._keep(found, fd, status.st_size, digests["sha256"]):
                return
            if agreed is None:
                self._done.by_path.append(self._shown(found))
                return
            self._done.by_page += 1
            await self._remember(*agreed, digests["sha256"], status.st_size)
        finally:
            os.close(fd)

    async def _keep(self, found: Found, fd: int, size: int, sha256: str) -> bool:
        """Have the bytes in the cache; whether they are. Nothing is evicted for them."""
        keeper = self._stores.blobs.keeper
        known = keeper.files.look(sha256)
        if known is not None and known.size == size:
            self._done.held += 1
            return True
        if await asyncio.to_thread(keeper.room.short, size):
            self._done.no_room += 1
            return False
        try:
            if await asyncio.to_thread(adopt, keeper, found.path, fd, sha256):
                self._done.linked += 1
            else:
                await self._copy(fd, size, sha256)
                self._done.copied += 1
        except StoreFull:
            self._done.no_room += 1
            return False
        except IntegrityError:
            self._refuse(found, "it changed while it was read")
            return False
        self._done.bytes += size
        return True

    async def _copy(self, fd: int, size: int, sha256: str) -> None:
        spool = await self._stores.blobs.spool(f"import:{sha256}", size)
        try:
            for start in range(0, size, STEP):
                piece = await asyncio.to_thread(os.pread, fd, min(STEP, size - start), start)
                await spool.write(start, [piece])
            (await self._stores.blobs.publish(spool, sha256)).close()
        except BaseException:
            await asyncio.shield(spool.discard())
            raise

    async def _remember(self, page: Page, file: File, listed: File, sha256: str, size: int) -> None:
        """Write down where its link leads, so that the file is served even when its page has gone."""
        segments = decode_path(packages_path(page.project, listed.url, listed.filename))
        if segments is None:
            return
        path = "/".join(segments) + (SIDECAR if file is not listed else "")
        known = self._stores.links.get(page.index, path)
        if known is None or known.sha256 is None:
            record = LinkRecord(
                index=page.index,
                project=page.project,
                path=path,
                filename=file.filename,
                url=file.url,
                origin=listed.origin or page.origin,
                sha256=sha256,
                size=size,
                digests=file.hashes,
                stored_at=time.time(),
            )
            await self._stores.links.put(record)

    def _refuse(self, found: Found, why: str) -> None:
        self._done.refused[self._shown(found)] = why

    def _shown(self, found: Found) -> str:
        return str(found.path.relative_to(self._root))
