"""What is exported: everything that the cache keeps, or what lock files pin.

Of a lock file, these are its projects' whole pages, and those of the pinned files that are held, with their sidecars: a lock file
names the files of every platform, and a cache has those that somebody wanted. A version of which no file is held is
missing.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import msgspec
from packaging.version import InvalidVersion, Version

from pypicache.care import kept
from pypicache.care.exporting import Selection
from pypicache.care.kept import Kept
from pypicache.care.stores import Stores
from pypicache.index.facts import Learned
from pypicache.index.locate import SIDECAR, sidecar_of
from pypicache.locks.read import Pin, PinnedFile
from pypicache.simple import model
from pypicache.simple.links import decode_path, packages_path, version_of
from pypicache.simple.model import File, Project, ProjectName
from pypicache.store.holdings import records
from pypicache.store.linkrecord import LinkRecord


async def everything(stores: Stores, selection: Selection) -> None:
    """All pages, links and files."""
    links: defaultdict[tuple[str, str], list[LinkRecord]] = defaultdict(list)
    for record in await asyncio.to_thread(lambda: list(records(stores.root))):
        links[record.index, record.project].append(record)
    held = {_of_key(key) for key in await stores.pages.keys("entry:")}
    for index, project in sorted(held | set(links)):
        if not index.startswith("+"):  # what only this program reads, such as legacy JSON
            selection.add(await kept.take(stores, index, project, links[index, project]))
    await asyncio.to_thread(selection.add_all_blobs)


def _of_key(key: str) -> tuple[str, str]:
    """Index and project of `shelf.entry_key`."""
    index, _, project = key.removeprefix("entry:").rpartition(":")
    return index, project


async def pinned(stores: Stores, selection: Selection, pins: Iterable[Pin], indexes: Sequence[str]) -> None:
    """What the pins need, as these indexes keep it; what isn't held is noted as missing."""
    by_project: defaultdict[ProjectName, list[Pin]] = defaultdict(list)
    for pin in pins:
        by_project[pin.project].append(pin)
    for project, wanted in sorted(by_project.items()):
        found: set[Pin] = set()
        for index in indexes:
            one = await kept.take(stores, index, project)
            if one.entry is None:
                continue
            links: dict[str, LinkRecord] = {}
            for pin in wanted if one.page else ():
                for file in matching(model.load(one.page), pin):
                    mine = _links(stores, one, file)
                    links |= {record.path: record for record in mine}
                    if selection.add_blobs(_digests(one, file, mine, sidecar=False)):
                        found.add(pin)
                    selection.add_blobs(_digests(one, file, mine, sidecar=True))
            selection.add(msgspec.structs.replace(one, links=tuple(links[path] for path in sorted(links))))
        selection.missing += [f"{project} {pin.version or ''}".strip() for pin in wanted if pin not in found]


def matching(page: Project, pin: Pin) -> Iterator[File]:
    """The files of the page that the pin allows."""
    for file in page.files:
        if any(_is(file, each) for each in pin.files) if pin.files else _has_version(page, file, pin):
            yield file


def _is(file: File, wanted: PinnedFile) -> bool:
    if wanted.filename not in {None, file.filename}:
        return False
    if wanted.digest is None:
        return True
    known = file.hash(wanted.digest.algorithm)
    return known == wanted.digest.value or (known is None and wanted.filename is not None)


def _has_version(page: Project, file: File, pin: Pin) -> bool:
    version = version_of(file.filename, page.name)
    if pin.version is None or version is None:
        return pin.version is None
    try:
        return Version(version) == Version(pin.version)
    except InvalidVersion:
        return version == pin.version


def _links(stores: Stores, one: Kept, file: File) -> list[LinkRecord]:
    """What is remembered of the file's link and its sidecar's."""
    segments = decode_path(packages_path(ProjectName(one.project), file.url, file.filename))
    path = "/".join(segments or ())
    found = [stores.links.get(one.index, each) for each in (path, path + SIDECAR)]
    return [record for record in found if record is not None and record.project == one.project]


def _digests(one: Kept, file: File, links: Iterable[LinkRecord], *, sidecar: bool) -> set[str]:
    """What the file, or its sidecar, may be stored as."""
    fact = Learned(one.facts, b"", "").of(file)
    listed = sidecar_of(file) if sidecar else file
    known = {listed.sha256, fact.sidecar if sidecar else fact.sha256}
    # A record holds for the file that it was made of: another may have taken its name since.
    known |= {
        record.sha256
        for record in links
        if (record.filename, record.digests) == (listed.filename, listed.hashes)
    }
    return {sha256 for sha256 in known if sha256 is not None}
