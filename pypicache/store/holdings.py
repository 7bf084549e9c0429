"""Whose the stored files are: the link records, read through from end to end.

A blob's name says nothing of its project or index. The links that lead to it do, and are few and small beside it; so they
are read when somebody asks (a pin, a quota, a list), and no second table is kept that could disagree with them.

All of it blocks. It may not import anything of the package but its own folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pypicache.store.files import entries
from pypicache.store.links import LinkRecord, read_record
from pypicache.store.usage import SHARDS, Usage


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


def _files(root: Path, shard: int) -> Iterator[tuple[str, int]]:
    """The paths and sizes of a shard's records."""
    for digit in range(16):
        for entry in entries(root / "links" / f"{shard:02x}{digit:x}", depth=1):
            try:
                yield entry.path, entry.stat(follow_symlinks=False).st_size
            except OSError:
                continue
