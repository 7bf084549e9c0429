"""Whose the stored files are: the link records, read through from end to end.

A blob's name says nothing of its project or index. The links that lead to it do, and are few and small beside it; so they
are read when somebody asks (a pin, a quota, a list), and no second table is kept on the disk that could disagree with them.

All of it blocks. It may not import anything of the package but its own folder.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from pypicache.store.files import entries
from pypicache.store.linkrecord import LinkRecord, read_record
from pypicache.store.usage import SHARDS, Usage

_SETTLED = 1.0
"""Seconds after which a directory's time of change tells one change from the next."""


class Holdings:
    """Which blobs are pinned, and which are whose: what the link records say, as of the last `refresh`.

    `pinned` tells of a project's name whether its files stay; blobs are told apart by index for those in `indexes`
    only. A refresh reads the directories in which something has changed since the one before.
    """

    def __init__(self, root: Path, *, pinned: Callable[[str], bool], indexes: Collection[str]) -> None:
        self._links = root / "links"
        self._is_pinned = pinned
        self._pinned: set[bytes] = set()
        self._of: dict[str, set[bytes]] = {name: set() for name in indexes}
        self._seen: dict[str, int] = {}
        self.refreshed_at = float("-inf")
        """When the last refresh began, in seconds since the epoch."""

    def refresh(self, now: Callable[[], float] = time.time) -> bool:
        """Learn what has been linked since the last time; whether there may be news.

        Memory grows by what is pinned, and by what `indexes` have.
        """
        began, news = now(), False
        for entry in entries(self._links, depth=1):
            try:
                changed = entry.stat(follow_symlinks=False).st_mtime_ns
            except OSError:
                continue
            if self._seen.get(entry.name) != changed:
                news = True
                for file in entries(entry.path, depth=1):
                    self._learn(file.path)
                if began - changed / 1e9 > _SETTLED:
                    self._seen[entry.name] = changed
        self.refreshed_at = began
        return news

    def pins(self, sha256: str) -> bool:
        """Whether the blob is a pinned project's."""
        return bytes.fromhex(sha256) in self._pinned

    def of(self, index: str) -> list[str]:
        """The digests of that index's files, stored or not."""
        return [digest.hex() for digest in self._of.get(index, ())]

    def _learn(self, file: str) -> None:
        record = read_record(file)
        if record is None or record.sha256 is None:
            return
        digest = bytes.fromhex(record.sha256)
        if self._is_pinned(record.project):
            self._pinned.add(digest)
        if record.index in self._of:
            self._of[record.index].add(digest)


def records(root: Path, shard: int | None = None) -> Iterator[LinkRecord]:
    """Every link record of the cache `root` (or of one shard), in no order; damaged ones are passed over."""
    for number in range(SHARDS) if shard is None else (shard,):
        for path, _ in _files(root, number):
            record = read_record(path)
            if record is not None:
                yield record


def count_links(root: Path, shard: int, usage: Usage) -> None:
    """Count the link records of that shard: from now on the usage knows exactly these."""
    with usage.locked() as sums:
        sums.counted_links(shard, sum(size for _, size in _files(root, shard)))


def trim_links(root: Path, shard: int, usage: Usage, *, stored: Callable[[str], bool]) -> None:
    """Forget the older half of the shard's links to files that aren't stored: their pages know where to find them.

    A link whose page gave no digest stays: it alone knows which bytes were seen first.
    """
    idle = []
    for path, _ in _files(root, shard):
        record = read_record(path)
        if record is not None and record.digests and not (record.sha256 and stored(record.sha256)):
            with contextlib.suppress(OSError):
                idle.append((Path(path).lstat().st_mtime, path))
    for _, path in sorted(idle)[: -(-len(idle) // 2)]:
        with contextlib.suppress(OSError), usage.locked(link=Path(path).name) as sums:
            size = Path(path).lstat().st_size
            Path(path).unlink()
            sums.link(Path(path).name, -size)


def _files(root: Path, shard: int) -> Iterator[tuple[str, int]]:
    """The paths and sizes of a shard's records. Most directories of a small cache aren't there, which mustn't cost much."""
    links = f"{root}/links/{shard:02x}"
    for digit in "0123456789abcdef":
        with contextlib.suppress(OSError), os.scandir(links + digit) as listing:
            for entry in listing:
                with contextlib.suppress(OSError):
                    yield entry.path, entry.stat(follow_symlinks=False).st_size
