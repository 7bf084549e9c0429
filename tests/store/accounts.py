"""The truth about a cache directory, found without the package's own eyes: what its sums are held against."""

from __future__ import annotations

import hashlib
import json
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
    blobs = [path.lstat().st_size for path in (root / "blobs" / "sha256").glob("*/*/*")]
    links = [path.lstat().st_size for path in (root / "links").glob("???/*")]
    spools = 0
    for part in (root / "spool").glob("*.part"):
        notes = part.with_name(part.name + ".journal")
        line = notes.read_bytes() if notes.exists() else b""
        size = json.loads(line[9:])["size"] if line.strip() else None
        spools += max(part.stat().st_size, size or 0)
    return Account(sum(blobs), len(blobs), spools, sum(links))


def weight(root: Path) -> int:
    """Bytes of all files in the directory, whatever they are."""
    total = 0
    for path in root.rglob("*"):
        try:
            total += path.lstat().st_size if not path.is_dir() else 0
        except OSError:
            continue  # it went while the others were looked at
    return total


def wrong_blobs(root: Path) -> list[str]:
    """The names of the blobs whose bytes hash to something else."""
    return [
        path.name
        for path in (root / "blobs" / "sha256").glob("*/*/*")
        if hashlib.sha256(path.read_bytes()).hexdigest() != path.name
    ]
