"""What can be asked of whoever looks after the cache, and what comes of it: values, as they go over the admin socket.

Sizes are bytes, times seconds since the epoch.
"""

from __future__ import annotations

import msgspec


class Info(msgspec.Struct, frozen=True, kw_only=True, tag_field="order", tag="info"):
    """What the cache holds, in numbers."""

    top: int = 10
    """How many of the largest and the oldest files are named."""


class List(msgspec.Struct, frozen=True, kw_only=True, tag_field="order", tag="list"):
    """Which projects are held; with `project`, which files of it."""

    project: str | None = None


class Purge(msgspec.Struct, frozen=True, kw_only=True, tag_field="order", tag="purge"):
    """Remove something: exactly one of the first four says what, the others narrow it."""

    projects: tuple[str, ...] = ()
    older_than: float | None = None
    """Files that nobody used for so many seconds."""
    everything: bool = False
    index: str | None = None
    """All of that index, or what was named in that index only."""
    pages: bool = False
    """All pages, or those of what was named only."""
    dry: bool = False
    """Only say what would go."""


class Verify(msgspec.Struct, frozen=True, kw_only=True, tag_field="order", tag="verify"):
    """Look at everything, and hash every file."""

    repair: bool = False


class Refresh(msgspec.Struct, frozen=True, kw_only=True, tag_field="order", tag="refresh"):
    """Ask the mirrors for these projects' pages now."""

    index: str
    projects: tuple[str, ...]


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a project that is to be in the cache."""

    project: str
    version: str | None = None
    """None: the newest that isn't a pre-release."""
    files: tuple[tuple[str | None, str | None], ...] = ()
    """Those that may be installed, by name, by digest (`sha256:…`), or both; empty: any of the version."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What installs: the tags that its wheels may have (packaging.tags), the best first."""

    name: str
    tags: tuple[str, ...]


class Prefetch(msgspec.Struct, frozen=True, kw_only=True, tag_field="order", tag="prefetch"):
    """Have these in the cache, for each of the targets; without targets, every file of them."""

    index: str
    wanted: tuple[Wanted, ...]
    targets: tuple[Target, ...] = ()
    sdists: bool = False
    """Source distributions as well, even where there is a wheel."""
    at_a_time: int = 4
    """Files, and pages, that are fetched together."""


class Forget(msgspec.Struct, frozen=True, kw_only=True, tag_field="order", tag="forget"):
    """Drop from memory what is known of that index's project, or of all: somebody else has changed what is stored."""

    index: str | None = None
    projects: tuple[str, ...] = ()


AnyOrder = Info | List | Purge | Verify | Refresh | Prefetch | Forget


class FileInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A stored file."""

    index: str
    project: str
    filename: str
    sha256: str
    size: int
    used_at: float
    credit: float = 0.0
    """Its uses as an instant (`rules.eviction`): more of them are later, and so are recent ones."""
    verdict: str = "ok"
    """What was said last when it was asked for."""


class ProjectInfo(msgspec.Struct, kw_only=True):
    """What is held of a project."""

    index: str
    project: str
    files: int = 0
    bytes: int = 0
    used_at: float = 0.0
    credit: float = 0.0
    """The uses of all of its files together, as an instant."""
    checked_at: float | None = None
    """When a mirror last confirmed its page; None where none is held."""


class IndexInfo(msgspec.Struct, kw_only=True):
    """What is held of an index. A file of two indexes is stored once, and counts for both."""

    projects: int = 0
    pages: int = 0
    files: int = 0
    bytes: int = 0


class HitRates(msgspec.Struct, frozen=True, kw_only=True):
    """How a running daemon has done since its start."""

    since: float
    requests: int
    hit_rate: float | None
    page_hits: int
    page_misses: int
    file_hits: int
    file_misses: int
    saved: int


class CacheInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The cache in numbers."""

    directory: str
    bytes: int
    files: int
    files_bytes: int
    links_bytes: int
    spools_bytes: int
    """What downloads under way have written or reserved."""
    others_bytes: int
    """Pages, lists, what was set aside."""
    indexes: dict[str, IndexInfo]
    largest: tuple[FileInfo, ...]
    oldest: tuple[FileInfo, ...]
    """Those that nobody used for the longest time."""
    rates: HitRates | None = None
    """None when no daemon runs."""


class Projects(msgspec.Struct, frozen=True, kw_only=True):
    """What is held, by project."""

    projects: tuple[ProjectInfo, ...]


class Files(msgspec.Struct, frozen=True, kw_only=True):
    """What is held of one project."""

    projects: tuple[ProjectInfo, ...]
    files: tuple[FileInfo, ...]


class Purged(msgspec.Struct, kw_only=True):
    """What was removed, or would be."""

    pages: int = 0
    links: int = 0
    files: int = 0
    bytes: int = 0
    in_use: int = 0
    """Files that stay, since somebody reads them."""


class Wrong(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that isn't as it should be."""

    kind: str
    """file, stray, link, page, database, list."""
    where: str
    what: str
    repaired: bool = False


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What a look at everything found."""

    files: int
    bytes: int
    links: int
    pages: int
    wrong: tuple[Wrong, ...]

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong any more."""
        return all(each.repaired for each in self.wrong)


class Refreshed(msgspec.Struct, frozen=True, kw_only=True):
    """What the mirrors said, by project: changed, unchanged, or why there is nothing."""

    projects: dict[str, str]
    failed: int


class Prefetched(msgspec.Struct, kw_only=True):
    """What came of a prefetch."""

    fetched: int = 0
    held: int = 0
    """Files that were in the cache already."""
    bytes: int = 0
    """Of what was fetched."""
    missing: dict[str, str] = {}
    """What couldn't be had, and why: files, or projects and versions."""


class Forgotten(msgspec.Struct, frozen=True, kw_only=True):
    """Done."""


Answer = CacheInfo | Projects | Files | Purged | Verified | Refreshed | Prefetched | Forgotten
