"""Removing from the cache what somebody names: projects, an index, pages, files that nobody uses, or all of it.

First the pages and links go, then the files that nothing else leads to: a file may be another index's too, and then it stays.
A file that somebody reads at the moment stays as well, and is told; it can be purged when it has been read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field

import msgspec

from pypicache.care.orders import Purge, Purged
from pypicache.care.progress import Progress
from pypicache.care.stores import Stores
from pypicache.errors import BadRequest
from pypicache.index.entry import Entry
from pypicache.index.shelf import page_key
from pypicache.store.holdings import records
from pypicache.store.linkrecord import LinkRecord
from pypicache.store.usage import SHARDS


@dataclass(slots=True)
class Going:
    """What a purge is about to remove."""

    keys: list[str] = field(default_factory=list)
    """Of the page store."""
    links: list[tuple[str, str]] = field(default_factory=list)
    """By index and path."""
    files: dict[str, int] = field(default_factory=dict)
    """Sizes by digest."""

    def counted(self) -> Purged:
        """In numbers."""
        pages = sum(key.startswith("entry:") and not key.startswith("entry:+") for key in self.keys)
        return Purged(
            pages=pages, links=len(self.links), files=len(self.files), bytes=sum(self.files.values())
        )


def check(order: Purge) -> None:
    """Raises BadRequest for an order that isn't one."""
    what = [bool(order.projects), order.older_than is not None, order.everything]
    if sum(what) > 1:
        raise BadRequest("projects, an age, or everything: only one of them can be purged at a time")
    if not any(what) and order.index is None and not order.pages:
        raise BadRequest("nothing was named to be purged")
    if order.older_than is not None and (order.pages or order.index is not None):
        raise BadRequest(
            "files that nobody uses are purged whichever index they are of, and pages have no such age"
        )


async def find(
    stores: Stores, order: Purge, progress: Progress, *, now: float, pinned: Callable[[str], bool]
) -> Going:
    """What the order means. `pinned` projects' files don't go for their age. Raises BadRequest."""
    check(order)
    going = Going()
    if order.older_than is None:
        going.keys = await _keys(stores, order)
    if not order.pages:
        await stores.links.settle()
        progress.begin("looking", 3 * SHARDS)
        await asyncio.to_thread(_find, stores, order, going, now, pinned, progress)
    return going


async def remove(stores: Stores, going: Going, progress: Progress) -> Purged:
    """Remove it; what is gone. Raises StoreError."""
    progress.begin("purge", len(going.links) + len(going.files))
    stores.pages.drop(tuple(going.keys))
    await stores.pages.flush()
    for index, path in going.links:
        await stores.links.delete(index, path)
        progress.step(1)
    return await asyncio.to_thread(_evict, stores, going, progress)


async def _keys(stores: Stores, order: Purge) -> list[str]:
    """Of the pages, facts and legacy documents that go; all of them where nothing was named."""
    keys = await stores.pages.keys("")
    found: list[str] = []
    left: list[str] = []
    for key in keys:
        kind, _, rest = key.partition(":")
        index, _, project = rest.rpartition(":")
        index = index.removeprefix("+legacy/")
        if kind == "page":
            continue
        meant = order.index in {None, index} and (
            not order.projects or project.partition("/")[0] in order.projects
        )
        (found if meant else left).append(key)
    if not left:
        return list(keys)
    # Pages are named by their bytes, which have the project's name in them: another index may have the same one.
    gone = await _digests(stores, found)
    names = {key.rpartition(":")[2] for key in found}
    kept = await _digests(stores, [key for key in left if key.rpartition(":")[2] in names])
    return found + [page_key(digest) for digest in gone - kept]


async def _digests(stores: Stores, keys: Iterable[str]) -> set[str]:
    """The pages that these entries lead to."""
    found = set()
    for key in keys:
        data = await stores.pages.get(key) if key.startswith("entry:") else None
        with suppress(msgspec.MsgspecError):
            entry = None if data is None else msgspec.msgpack.decode(data, type=Entry)
            if entry is not None and entry.page_digest is not None:
                found.add(entry.page_digest)
    return found


# In a thread


def _find(
    stores: Stores,
    order: Purge,
    going: Going,
    now: float,
    pinned: Callable[[str], bool],
    progress: Progress,
) -> None:
    """Fill in links and files."""
    scan = stores.blobs.keeper.files.scan
    if order.everything or order.older_than is not None:
        cutoff = float("inf") if order.everything else now - (order.older_than or 0.0)
        for shard in range(SHARDS):
            going.files |= {each.sha256: each.size for each in scan(shard) if each.used_at < cutoff}
            progress.step(1)
        if order.older_than is not None:
            _spare(stores, going, lambda record: pinned(record.project), progress)
        going.links = [
            (r.index, r.path)
            for r in _records(stores, progress)
            if order.everything or r.sha256 in going.files
        ]
        return
    for record in _records(stores, progress):
        if _meant(order, record):
            going.links.append((record.index, record.path))
            known = None if record.sha256 is None else stores.blobs.keeper.files.look(record.sha256)
            if known is not None:
                going.files[known.sha256] = known.size
    _spare(stores, going, lambda record: not _meant(order, record), progress)


def _meant(order: Purge, record: LinkRecord) -> bool:
    return order.index in {None, record.index} and (not order.projects or record.project in order.projects)


def _spare(stores: Stores, going: Going, spared: Callable[[LinkRecord], bool], progress: Progress) -> None:
    """Let those files stay that such a link leads to."""
    for record in _records(stores, progress):
        if record.sha256 in going.files and spared(record):
            del going.files[record.sha256]


def _records(stores: Stores, progress: Progress) -> Iterable[LinkRecord]:
    for shard in range(SHARDS):
        yield from records(stores.root, shard)
        progress.step(1)


def _evict(stores: Stores, going: Going, progress: Progress) -> Purged:
    files, done = stores.blobs.keeper.files, going.counted()
    for sha256, size in going.files.items():
        if files.evict(sha256) is None and files.look(sha256) is not None:
            done.in_use += 1
            done.files -= 1
            done.bytes -= size
        progress.step(1)
    return done
