"""What keeps the cache directory in order, wired: files, sums, room, use times, eviction. Blocking, and without a daemon too.

Whoever wants to look after the cache (the disk store, the janitor, a command on the bare directory) has a `Keeper`::

    with Keeper(root) as keeper:
        for blob in keeper.scan(): ...
        keeper.delete(sha256)

Several on one directory, in one process or many, get along. It decides nothing and runs nothing by itself. It may not
import anything of the package but errors, rules.eviction and its own folder.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from pypicache.rules.eviction import Candidate, Limits
from pypicache.store import parts
from pypicache.store.blobfiles import SHA256, BlobFiles
from pypicache.store.evictor import Evictor, Gone
from pypicache.store.files import private_directory, require_one_file_system
from pypicache.store.holdings import count_links
from pypicache.store.inspection import Damage, Inspection
from pypicache.store.quarantine import Quarantine
from pypicache.store.room import Room
from pypicache.store.root import prepare_root
from pypicache.store.sharing import Sharing
from pypicache.store.usage import SHARDS, Usage
from pypicache.store.uses import Uses

KEEP = 7 * 86400.0
"""Seconds that a partial file without a writer is kept for somebody to go on with it."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Bytes in the cache directory, by kind, and how many blobs there are."""

    blobs: int
    count: int
    spools: int
    """What downloads have written or reserved."""
    links: int
    others: int
    """Pages, lists, what was set aside."""

    @property
    def size(self) -> int:
        """All bytes."""
        return self.blobs + self.spools + self.links + self.others


class Keeper:
    """The cache in the directory `root`. `told` hears, in whichever thread, of each blob that was evicted.

    `group` names the group that may read blobs too. `now` gives seconds since the epoch.
    """

    def __init__(
        self,
        root: Path,
        *,
        limits: Limits | None = None,
        group: str | None = None,
        told: Callable[[Gone], object] = lambda _: None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.root = root
        self.spools = root / "spool"
        self.quarantine = Quarantine(root / "quarantine")
        self.usage = Usage(root / "usage")
        self.sharing = Sharing(group)
        self.files = BlobFiles(
            root, usage=self.usage, quarantine=self.quarantine, sharing=self.sharing, now=now
        )
        self.inspection = Inspection(self.files, quarantine=self.quarantine, now=now)
        self.uses = Uses(self.files, now=now)
        self.evictor = Evictor(
            files=self.files,
            spools=self.spools,
            quarantine=self.quarantine,
            uses=self.uses,
            told=told,
            usage=self.usage,
            count_links=lambda shard: count_links(root, shard, self.usage),
        )
        self.room = Room(root, usage=self.usage, limits=limits or Limits(), make=self.evictor.free)
        self._now = now

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def open(self) -> None:
        """Make the directory, or make sure that it is ours; sweep what a crash has left. Raises StoreError with the remedy."""
        prepare_root(self.root)
        for directory in (
            self.files.directory.parent,
            self.files.directory,
            self.spools,
            self.quarantine.directory,
        ):
            private_directory(directory)
        for directory in (self.spools, self.quarantine.directory):
            require_one_file_system(directory, self.files.directory)
        self.files.share(self.root)
        self.usage.open()
        self.room.settle()
        parts.sweep(self.spools, self.quarantine, before=self._now() - KEEP)
        self.count_spools()
        self.mend()
        self.quarantine.trim()

    def held(self) -> tuple[int, int]:
        """Bytes and files in the cache."""
        totals = self.totals()
        return totals.size, totals.count

    def close(self) -> None:
        """Write down the uses, and let go; more than once is fine."""
        self.uses.flush()
        self.usage.close()

    # Verbs

    def scan(self) -> Iterator[Candidate]:
        """Every blob, in no order."""
        for shard in range(SHARDS):
            yield from self.files.scan(shard)

    def delete(self, sha256: str) -> int | None:
        """Remove the blob, whoever reads it, and they read on; its size, None when there was none. Raises StoreError."""
        return self.files.delete(sha256) if SHA256.fullmatch(sha256) else None

    def verify(
        self, sha256: str, *, repair: bool = False, stop: threading.Event | None = None
    ) -> Damage | None:
        """Hash the blob; see `Inspection.judge`."""
        return self.inspection.judge(sha256, repair=repair, stop=stop)

    def strays(self) -> Iterator[Damage]:
        """Whatever below `blobs/` isn't a blob's file by its name and kind."""
        yield from self.inspection.strays()
        for shard in range(SHARDS):
            yield from self.inspection.strays(shard)

    def totals(self) -> Totals:
        """What the sums say, at once; exact after a pass, or `count`."""
        sums = self.usage.sums
        return Totals(sums.blobs, sums.count, sums.spools, sums.links, self.room.others)

    def count(self) -> Totals:
        """Count everything now, and have the sums say just that."""
        for shard in range(SHARDS):
            self.files.count(shard)
            count_links(self.root, shard, self.usage)
        self.count_spools()
        return self.totals()

    def mend(self) -> None:
        """Count the shards of which somebody was killed while a file came or went: milliseconds each."""
        for shard in self.usage.sums.torn:
            self.files.count(shard)
            count_links(self.root, shard, self.usage)

    def count_spools(self) -> bool:
        """Count what downloads have left, if nobody writes one; whether that could be."""
        with self.usage.locked() as sums:
            booked = parts.count(self.spools)
            if booked is not None:
                sums.spools = booked
        return booked is not None
