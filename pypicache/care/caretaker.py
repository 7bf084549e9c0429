"""Does what is ordered, whoever orders it: a command on the bare directory, or one that asks a running daemon.

What is in the daemon's memory is for `Live` to say and to forget; without a daemon there is none. It knows no sockets.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from pypicache.care import looking, orders
from pypicache.care.kept import name_of
from pypicache.care.orders import Answer, AnyOrder, HitRates
from pypicache.care.progress import Progress
from pypicache.care.purging import find, remove
from pypicache.care.stores import Stores
from pypicache.care.verifying import Verifying
from pypicache.errors import BadRequest, PypicacheError, one_line
from pypicache.index.entry import Outcome, Page
from pypicache.index.serving import Serving
from pypicache.simple.model import ProjectName


class Live(Protocol):
    """What a service has in memory, and can do."""

    @property
    def indexes(self) -> Sequence[str]:
        """The names of its indexes."""
        ...

    async def rates(self) -> HitRates | None:
        """How it has done since its start; None when it serves nobody."""
        ...

    async def held(self, index: str, project: ProjectName) -> str | None:
        """The digest of the project's page as it is held; None when none is."""
        ...

    def serving(self, index: str) -> Serving:
        """The index itself."""
        ...

    async def page(self, index: str, project: ProjectName) -> Page:
        """The project's page, after its mirrors were asked. Raises what `Serving.page` does."""
        ...

    async def forget(self, index: str | None, projects: Sequence[ProjectName]) -> None:
        """Drop from memory what is known of these projects, or of all; of that index, or of all."""
        ...


class Caretaker:
    """Looks after `stores`. `pinned` tells of a project's name whether its files stay; `now` gives seconds since the epoch."""

    def __init__(
        self,
        *,
        stores: Stores,
        live: Live,
        pinned: Callable[[str], bool],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._stores = stores
        self._live = live
        self._pinned = pinned
        self._now = now

    async def do(self, order: AnyOrder, progress: Progress) -> Answer:
        """Do it; what came of it. Raises PypicacheError."""
        match order:
            case orders.Info(top=top):
                return await looking.info(self._stores, top, progress, await self._live.rates())
            case orders.List(project=None):
                return await looking.listed(self._stores, progress)
            case orders.List(project=str(project)):
                return await looking.files_of(self._stores, name_of(project), progress)
            case orders.Purge():
                return await self._purge(order, progress)
            case orders.Verify(repair=repair):
                return await Verifying(self._stores, progress, repair=repair).verify()
            case orders.Refresh(index=index, projects=projects):
                return await self._refresh(index, [name_of(each) for each in projects], progress)
            case orders.Prefetch():
                from pypicache.care.prefetching import Prefetching  # noqa: PLC0415 - a start doesn't wait for it

                self._known(order.index)
                serving = self._live.serving(order.index)
                return await Prefetching(serving, order, progress, stored=self._stored).fetch()
            case orders.Forget(index=index, projects=projects):
                await self._live.forget(index, [name_of(each) for each in projects])
                return orders.Forgotten()
        raise BadRequest(f"nobody knows how to do {order}")

    async def _purge(self, order: orders.Purge, progress: Progress) -> orders.Purged:
        names = tuple(name_of(each) for each in order.projects)
        order = orders.Purge(
            projects=names,
            older_than=order.older_than,
            everything=order.everything,
            index=order.index,
            pages=order.pages,
            dry=order.dry,
        )
        stores, live = self._stores, self._live
        going = await find(stores, order, progress, now=self._now(), pinned=self._pinned)
        if order.dry:
            return going.counted()
        stores.pages.drop(tuple(going.keys))  # counts from now on: nothing of it comes back to memory
        await live.forget(order.index, names)
        done = await remove(stores, going, progress)
        if order.everything or (order.index is not None and not names and not order.pages):
            for name in live.indexes if order.index is None else (order.index,):
                await stores.lists.drop(name)
        if order.everything:
            await asyncio.to_thread(stores.blobs.keeper.evictor.drop_remains)
        await live.forget(order.index, names)  # what was on its way from the disk into memory meanwhile
        return done

    def _stored(self, sha256: str) -> bool:
        return self._stores.blobs.keeper.files.look(sha256) is not None

    def _known(self, index: str) -> None:
        if index not in self._live.indexes:
            raise BadRequest(f"there is no index {one_line(index, 80)}")

    async def _refresh(
        self, index: str, projects: Sequence[ProjectName], progress: Progress
    ) -> orders.Refreshed:
        self._known(index)
        progress.begin("refresh", len(projects))
        said: dict[str, str] = {}
        failed = 0
        for project in projects:
            before = await self._live.held(index, project)
            try:
                page = await self._live.page(index, project)
            except PypicacheError as error:
                said[project] = str(error)
                failed += 1
            else:
                stale = page.outcome in {Outcome.STALE, Outcome.STALE_IF_ERROR}
                said[project] = (
                    "no mirror answered: the page is as old as it was"
                    if stale
                    else "unchanged"
                    if page.digest == before
                    else "changed"
                    if before is not None
                    else "new"
                )
                failed += stale
            progress.step(1)
        return orders.Refreshed(projects=said, failed=failed)
