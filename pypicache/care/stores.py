"""The stores of a cache directory, open: what commands work on when they need no daemon.

Everything in them is made for several processes at a time, so a daemon on the same directory isn't disturbed. What
it has in memory it doesn't forget by this; that is the caller's to tell it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from pypicache.config import schema
from pypicache.events import Observer
from pypicache.rules.eviction import Limits
from pypicache.store.disk import DiskBlobStore
from pypicache.store.diskpages import DiskPageStore
from pypicache.store.links import LinkStore


@dataclass(frozen=True, slots=True)
class Stores:
    """What is kept in the directory `root`."""

    root: Path
    blobs: DiskBlobStore
    pages: DiskPageStore
    links: LinkStore


def limits_of(cache: schema.Cache) -> Limits:
    """How large the configuration lets the cache grow."""
    return Limits(max_size=cache.max_size, min_free=cache.min_free, max_age=cache.max_age)


@asynccontextmanager
async def stores(
    root: Path, *, limits: Limits | None = None, group: str | None = None, observe: Observer | None = None
) -> AsyncIterator[Stores]:
    """The stores of that directory, which is made if need be. Raises StoreError with the remedy."""
    async with AsyncExitStack() as stack:
        blobs = await stack.enter_async_context(
            DiskBlobStore(root, limits=limits, group=group, observe=observe)
        )
        usage = blobs.keeper.usage
        links = await stack.enter_async_context(LinkStore(root, usage=usage, observe=observe))
        pages = await stack.enter_async_context(DiskPageStore(root / "pages", observe=observe))
        yield Stores(root, blobs, pages, links)
