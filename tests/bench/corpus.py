"""What the benchmark serves: pages and wheels in the sizes of real ones, as plain files below one folder.

A page is stored as JSON and, beside it, gzipped, so that nginx can send it as it is: the limit that others are held to.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.wheels import Wheel, big_page, wheel

PAGES = {"small": 10, "page": 210, "large": 4_250, "huge": 15_000}
"""Projects and how many files their pages list: 4 kB, 94 kB, 1.9 MB and 7 MB."""

WHEELS = {"wheel-20k": 20_000, "wheel-126k": 126_000, "wheel-12m": 12 << 20, "wheel-200m": 200 << 20}
"""Projects of one wheel, and its size in bytes."""

COLD_PAGES = {"cold-page": 210, "cold-large": 4_250, "cold-huge": 15_000}
"""Projects that are asked for once, with a number behind."""

COLD_WHEEL = "cold-wheel"
"""The same, of one wheel of 12 MB."""

SET = 184
"""Packages of the set that is installed."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """Made files below `folder`: `simple/{project}/index.json`, its `.gz`, and `packages/…`."""

    folder: Path
    packages: tuple[Wheel, ...]
    """The set that is installed; the first requires all others, directly or through them."""

    def link(self, project: str) -> str:
        """The path of the project's first file, from the root."""
        page = json.loads((self.folder / "simple" / project / "index.json").read_bytes())
        return "/" + str(page["files"][0]["url"]).removeprefix("../../")


def make(folder: Path, *, large: bool, cold: int = 0) -> Corpus:
    """Write the corpus; without `large`, without the wheel of 200 MB. `cold`: how many of each thing to ask for once."""
    for name, files in PAGES.items():
        _page(folder, name, big_page(name, files))
    for name, size in WHEELS.items():
        if large or size < (100 << 20):
            _wheel(folder, wheel(name, "1.0", size=size))
    for number in range(cold):
        for name, files in COLD_PAGES.items():
            _page(folder, f"{name}-{number}", big_page(f"{name}-{number}", files))
        _wheel(folder, wheel(f"{COLD_WHEEL}-{number}", "1.0", size=WHEELS["wheel-12m"]))
    packages = tuple(package_set())
    for item in packages:
        _wheel(folder, item)
    names = [{"name": place.name} for place in sorted((folder / "simple").iterdir())]
    _page(folder, "", json.dumps({"meta": {"api-version": "1.1"}, "projects": names}).encode())
    return Corpus(folder, packages)


def small(folder: Path) -> Path:
    """One page and one wheel of it, made at once; the folder."""
    _page(folder, "page", big_page("page", PAGES["page"]))
    _wheel(folder, wheel("wheel-126k", "1.0", size=WHEELS["wheel-126k"]))
    return folder


def package_set() -> Iterable[Wheel]:
    """Wheels of 5 kB to 2 MB, each requiring up to four others, five levels deep, as an application's do."""
    for number in range(SET):
        first = number * 4 + 1
        requires = [f"dep-{other}>=1" for other in range(first, min(first + 4, SET))]
        size = 5_000 + (number * 7919 % 97) ** 2 * 60 + (1_500_000 if number % 23 == 0 else 0)
        yield wheel(f"dep-{number}", "1.0", requires=requires, size=size)


def _wheel(folder: Path, item: Wheel) -> None:
    digest = item.sha256
    path = f"packages/{digest[:2]}/{digest[2:4]}/{digest[4:]}/{item.filename}"
    for place, data in ((path, item.data), (f"{path}.metadata", item.metadata)):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_bytes(data)
    listed = {
        "filename": item.filename,
        "url": f"../../{path}",
        "hashes": {"sha256": digest},
        "size": len(item.data),
        "core-metadata": {"sha256": hashlib.sha256(item.metadata).hexdigest()},
    }
    meta = {"api-version": "1.1"}
    page = {"meta": meta, "name": item.name, "versions": [item.version], "files": [listed]}
    _page(folder, item.name, json.dumps(page).encode())


def _page(folder: Path, name: str, data: bytes) -> None:
    """Write a project's page; without a name, the list of all projects."""
    place = folder / "simple" / name
    place.mkdir(parents=True, exist_ok=True)
    (place / "index.json").write_bytes(data)
    (place / "index.json.gz").write_bytes(gzip.compress(data, 6, mtime=0))
