"""Putting what an archive holds into the cache: every byte verified, every file published in one step.

Files come before the pages that list them, so whatever ends an import leaves a cache that serves what it has; running it
again goes on, since what is there already is only compared. A file that is here isn't written again, and a page that was
confirmed later than the archive's stays. A file that finds no room is passed over, and told.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from pypicache.care import kept
from pypicache.care.archive import Member, Reader
from pypicache.care.kept import Damaged
from pypicache.care.manifest import Held, Manifest, project_member
from pypicache.care.progress import Progress
from pypicache.care.stores import Stores
from pypicache.errors import StoreError, StoreFull

MAX_RECORD = 256 << 20
"""Bytes of one project's record, which is held in memory."""


@dataclass(slots=True)
class Imported:
    """What came of an import."""

    files: int = 0
    """Files and sidecars that weren't here."""
    bytes: int = 0
    """Theirs."""
    held: int = 0
    """Files that were."""
    pages: int = 0
    """Pages that are the archive's now."""
    older: int = 0
    """Pages that stayed, since they were confirmed later."""
    indexes: set[str] = field(default_factory=set)
    missing: tuple[str, ...] = ()
    """Digests that an earlier archive has, and the cache doesn't."""
    no_room: tuple[str, ...] = ()
    """Digests of what is in this one and isn't in the cache: it found no room, or had to go again for what came later."""


async def import_archive(stores: Stores, reader: Reader, progress: Progress) -> Imported:
    """Take all of it in. Raises Damaged for an archive that isn't what it says, StoreError."""
    done = Imported()
    progress.begin("import", sum(held.size for _, held in reader.manifest.members()))
    members = reader.members()
    while (member := await asyncio.to_thread(next, members, None)) is not None:
        if member.name.startswith("blobs/"):
            await _blob(stores, member, progress, done)
        else:
            await _project(stores, member, progress, done)
    await stores.pages.flush()
    if stores.pages.lost:
        raise StoreError("pages couldn't be stored: see above; the files were")
    lacking = await asyncio.to_thread(_lacking, stores, reader.manifest)
    done.missing = tuple(each.sha256 for each in lacking if each.left_out)
    done.no_room = tuple(each.sha256 for each in lacking if not each.left_out)
    return done


async def _blob(stores: Stores, member: Member, progress: Progress, done: Imported) -> None:
    sha256, size = member.held.sha256, member.held.size
    known = stores.blobs.keeper.files.look(sha256)
    pieces = member.read()
    if known is not None and known.size == size:
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            progress.step(len(piece))
        done.held += 1
        return
    try:
        await _store(stores, sha256, size, pieces, progress)
    except StoreFull:
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            progress.step(len(piece))  # the next member comes after it
        return
    done.files += 1
    done.bytes += size


async def _store(stores: Stores, sha256: str, size: int, pieces: Iterator[bytes], progress: Progress) -> None:
    """Write and publish it. Raises StoreFull, having taken some or none of the pieces, StoreError, and what they raise."""
    spool = await stores.blobs.spool(f"import:{sha256}", size)
    try:
        offset = 0
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            await spool.write(offset, [piece])
            offset += len(piece)
            progress.step(len(piece))
        (await stores.blobs.publish(spool, sha256)).close()
    except BaseException:
        await asyncio.shield(spool.discard())
        raise


async def _project(stores: Stores, member: Member, progress: Progress, done: Imported) -> None:
    if member.held.size > MAX_RECORD:
        raise Damaged(f"{member.name} has {member.held.size} bytes, which no page has")
    data = await asyncio.to_thread(lambda: b"".join(member.read()))
    progress.step(len(data))
    one = await kept.load(data)
    if member.name != project_member(f"{one.index} {one.project}"):
        raise Damaged(f"{member.name} is the record of another project")
    if await kept.put(stores, one, now=time.time()):
        done.pages += 1
    else:
        done.older += 1
    done.indexes.add(one.index)
    await stores.pages.flush()  # the queue is bounded, and pages are large


def _lacking(stores: Stores, manifest: Manifest) -> list[Held]:
    """What the archive tells of and the cache doesn't hold."""
    look = stores.blobs.keeper.files.look
    return [each for each in manifest.blobs if look(each.sha256) is None]
