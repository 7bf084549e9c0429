"""The truth about a cache directory, found without the package's own eyes: what its sums are held against."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Account:
    """Bytes by kind."""

    blobs: int
    count: int
    spools: int
    links: int


def account(root: Path) -> Account:
    """What there is, read from the directory. A spool stands for what it will be, if its journal says so."""
    blobs = _sizes((root / "blobs" / "sha256").glob("*/*/*"))
    # Not `links/tmp`, where a kill may leave something.
    links = _sizes((root / "links").glob("[0-9a-f][0-9a-f][0-9a-f]/*"))
    spools = sum(map(_booked, (root / "spool").glob("*.part")))
    return Account(sum(blobs), len(blobs), spools, sum(links))


def _sizes(paths: Iterable[Path]) -> list[int]:
    """The sizes of these files, but for those that go meanwhile."""
    found = []
    for path in paths:
        with contextlib.suppress(OSError):
            found.append(path.lstat().st_size)
    return found


def _booked(part: Path) -> int:
    try:
        notes = part.with_name(part.name + ".journal")
        line = notes.read_bytes() if notes.exists() else b""
        size = json.loads(line[9:])["size"] if line.strip() else None
        return max(part.stat().st_size, size or 0)
    except (OSError, ValueError):  # being written, or gone
        return 0


def weight(root: Path) -> int:
    """Bytes of all files in the directory, whatever they are."""
    return sum(_sizes(path for path in root.rglob("*") if not path.is_dir()))


def wrong_blobs(root: Path) -> list[str]:
    """The names of the blobs whose bytes hash to something else."""
    return [
        path.name
        for path in (root / "blobs" / "sha256").glob("*/*/*")
        if hashlib.sha256(path.read_bytes()).hexdigest() != path.name
    ]
