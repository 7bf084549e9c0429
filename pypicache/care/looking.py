"""What the cache holds: in numbers, by project, and the files of one.

Stored files are named by their bytes only; whose they are, the link records say, which are read through from end to end.
Memory grows with the number of projects, not of files.
"""

from __future__ import annotations

import asyncio
import functools
import heapq
from collections.abc import Iterable

import msgspec

from pypicache.care.orders import CacheInfo, FileInfo, Files, HitRates, IndexInfo, ProjectInfo, Projects
from pypicache.care.progress import Progress
from pypicache.care.stores import Stores
from pypicache.index.entry import Entry
from pypicache.index.shelf import entry_key
from pypicache.rules import eviction
from pypicache.rules.eviction import Candidate
from pypicache.store.holdings import records
from pypicache.store.linkrecord import LinkRecord
from pypicache.store.usage import SHARDS

Key = tuple[str, str]
"""Index and project."""


async def info(stores: Stores, top: int, progress: Progress, rates: HitRates | None = None) -> CacheInfo:
    """The cache in numbers, with the `top` largest and oldest files."""
    pages = await held_pages(stores)
    progress.begin("info", 2 * SHARDS)
    await stores.links.settle()
    return await asyncio.to_thread(_info, stores, top, pages, progress, rates)


async def listed(stores: Stores, progress: Progress) -> Projects:
    """Every project of which something is held."""
    pages = await held_pages(stores)
    progress.begin("list", SHARDS)
    await stores.links.settle()
    found = await asyncio.to_thread(_by_project, stores, progress)
    for key in pages - found.keys():
        found[key] = ProjectInfo(index=key[0], project=key[1])
    for key in pages:
        found[key].checked_at = await _checked_at(stores, key)
    return Projects(projects=tuple(found[key] for key in sorted(found)))


async def files_of(stores: Stores, project: str, progress: Progress) -> Files:
    """Every file of that project, of whichever index."""
    progress.begin("list", SHARDS)
    await stores.links.settle()
    files = await asyncio.to_thread(_files_of, stores, project, progress)
    held = {key for key in await held_pages(stores) if key[1] == project}
    projects = []
    for index, name in sorted(held | {(file.index, project) for file in files}):
        mine = [file for file in files if file.index == index]
        projects.append(
            ProjectInfo(
                index=index,
                project=name,
                files=len(mine),
                bytes=sum(file.size for file in mine),
                used_at=max((file.used_at for file in mine), default=0.0),
                credit=functools.reduce(eviction.together, (file.credit for file in mine), 0.0),
                checked_at=await _checked_at(stores, (index, name)),
            )
        )
    return Files(projects=tuple(projects), files=tuple(files))


async def held_pages(stores: Stores) -> set[Key]:
    """The projects of which a page, or its absence, is remembered."""
    found = set()
    for key in await stores.pages.keys("entry:"):
        index, _, project = key.removeprefix("entry:").rpartition(":")
        if not index.startswith("+"):  # legacy JSON is kept under names that no index has
            found.add((index, project))
    return found


async def _checked_at(stores: Stores, key: Key) -> float | None:
    """When the page was confirmed; None when there is none."""
    data = await stores.pages.get(entry_key(*key))
    try:
        entry = None if data is None else msgspec.msgpack.decode(data, type=Entry)
    except msgspec.MsgspecError:
        return None
    return None if entry is None or entry.absent else entry.checked_at


# In a thread


def _info(
    stores: Stores, top: int, pages: Iterable[Key], progress: Progress, rates: HitRates | None
) -> CacheInfo:
    keeper = stores.blobs.keeper
    largest: list[tuple[float, str]] = []
    oldest: list[tuple[float, str]] = []
    for shard in range(SHARDS):
        for each in keeper.files.scan(shard):
            _keep(largest, (each.size, each.sha256), top)
            _keep(oldest, (-each.used_at, each.sha256), top)
        progress.step(1)
    names: dict[str, LinkRecord] = {}
    wanted = {sha256 for _, sha256 in (*largest, *oldest)}
    indexes: dict[str, IndexInfo] = {}
    projects: dict[str, set[str]] = {}
    for record, known in _held(stores, progress):
        if known.sha256 in wanted:
            names.setdefault(known.sha256, record)
        index = indexes.setdefault(record.index, IndexInfo())
        index.files += 1
        index.bytes += known.size
        projects.setdefault(record.index, set()).add(record.project)
    for name, project in pages:
        indexes.setdefault(name, IndexInfo()).pages += 1
        projects.setdefault(name, set()).add(project)
    for name, index in indexes.items():
        index.projects = len(projects[name])
    totals = keeper.totals()
    return CacheInfo(
        directory=str(stores.root),
        bytes=totals.size,
        files=totals.count,
        files_bytes=totals.blobs,
        links_bytes=totals.links,
        spools_bytes=totals.spools,
        others_bytes=totals.others,
        indexes={name: indexes[name] for name in sorted(indexes)},
        largest=_named(stores, [sha256 for _, sha256 in sorted(largest, reverse=True)], names),
        oldest=_named(stores, [sha256 for _, sha256 in sorted(oldest, reverse=True)], names),
        rates=rates,
    )


def _keep(heap: list[tuple[float, str]], item: tuple[float, str], most: int) -> None:
    (heapq.heappush if len(heap) < most else heapq.heappushpop)(heap, item)


def _named(stores: Stores, digests: Iterable[str], names: dict[str, LinkRecord]) -> tuple[FileInfo, ...]:
    found = []
    for sha256 in digests:
        known = stores.blobs.keeper.files.look(sha256)
        record = names.get(sha256)
        if known is not None:
            found.append(_file(record, known) if record is not None else _nameless(known))
    return tuple(found)


def _held(stores: Stores, progress: Progress) -> Iterable[tuple[LinkRecord, Candidate]]:
    """Every link whose file is held, with that."""
    look = stores.blobs.keeper.files.look
    for shard in range(SHARDS):
        for record in records(stores.root, shard):
            known = None if record.sha256 is None else look(record.sha256)
            if known is not None:
                yield record, known
        progress.step(1)


def _by_project(stores: Stores, progress: Progress) -> dict[Key, ProjectInfo]:
    found: dict[Key, ProjectInfo] = {}
    for record, known in _held(stores, progress):
        key = (record.index, record.project)
        project = found.setdefault(key, ProjectInfo(index=record.index, project=record.project))
        project.files += 1
        project.bytes += known.size
        project.used_at = max(project.used_at, known.used_at)
        project.credit = eviction.together(project.credit, known.credit)
    return found


def _files_of(stores: Stores, project: str, progress: Progress) -> list[FileInfo]:
    found = [_file(record, known) for record, known in _held(stores, progress) if record.project == project]
    return sorted(found, key=lambda file: (file.index, file.filename))


def _file(record: LinkRecord, known: Candidate) -> FileInfo:
    return FileInfo(
        index=record.index,
        project=record.project,
        filename=record.filename,
        sha256=known.sha256,
        size=known.size,
        used_at=known.used_at,
        credit=known.credit,
        verdict=record.verdict,
    )


def _nameless(known: Candidate) -> FileInfo:
    """A file that no link leads to."""
    return FileInfo(
        index="",
        project="",
        filename="",
        sha256=known.sha256,
        size=known.size,
        used_at=known.used_at,
        credit=known.credit,
    )
