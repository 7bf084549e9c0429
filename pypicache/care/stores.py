"""The stores of a cache directory, open: what commands work on when they need no daemon.

Everything in them is made for several processes at a time, so a daemon on the same directory isn't disturbed. What
it has in memory it doesn't forget by this; that is the caller's to tell it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pypicache.events import Observer
from pypicache.rules.eviction import Limits
from pypicache.store import soundness
from pypicache.store.disk import DiskBlobStore
from pypicache.store.diskpages import DiskPageStore
from pypicache.store.holdings import Holdings
from pypicache.store.links import LinkStore
from pypicache.store.lists import ListStore


@dataclass(frozen=True, slots=True)
class Stores:
    """What is kept in the directory `root`."""

    root: Path
    blobs: DiskBlobStore
    pages: DiskPageStore
    links: LinkStore
    lists: ListStore
    trouble: str | None = None
    """What was wrong with the page database when it was opened, if somebody asked."""


@asynccontextmanager
async def stores(
    root: Path,
    *,
    limits: Limits | None = None,
    pages_limit: int = 1 << 30,
    group: str | None = None,
    pinned: Callable[[str], bool] | None = None,
    look: bool = False,
    repair: bool = True,
    observe: Observer | None = None,
) -> AsyncIterator[Stores]:
    """The stores of that directory, which is made if need be. Raises StoreError with the remedy.

    `pages_limit` is of the page database, in bytes; `pinned` tells of a project's name whether its files stay where room has to
    be made. With `look`, that is looked through before it is opened; a damaged one
    is set aside at once, unless `repair` is False: then it stays as it is, and no page is found.
    """
    async with AsyncExitStack() as stack:
        blobs = await stack.enter_async_context(
            DiskBlobStore(root, limits=limits, group=group, observe=observe)
        )
        if pinned is not None:
            holdings = Holdings(root, pinned=pinned, indexes=())
            await asyncio.to_thread(holdings.refresh)
            blobs.keeper.evictor.spared = lambda candidate: holdings.pins(candidate.sha256)
        links = await stack.enter_async_context(LinkStore(root, usage=blobs.keeper.usage, observe=observe))
        folder = root / "pages"
        trouble = await asyncio.to_thread(soundness.database, folder) if look else None
        if trouble is not None and not repair:
            folder = Path(stack.enter_context(TemporaryDirectory())) / "pages"
        pages = await stack.enter_async_context(
            DiskPageStore(folder, size_limit=pages_limit, observe=observe)
        )
        lists = await stack.enter_async_context(ListStore(root, observe=observe))
        yield Stores(root, blobs, pages, links, lists, trouble)
