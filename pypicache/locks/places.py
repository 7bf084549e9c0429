"""The two names that one index has in lock files: this cache's, and that of the origin it caches.

Links map both ways by prefix, since the cache keeps an origin's path after its first `packages/` segment
(contract.md section 3). The files of an index may be on another host than its pages; where, only its pages tell.
What an origin without such a segment links is at `packages/-/{project}/{filename}`, and only its page leads back.

Pure functions over text: nobody is asked here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

from pypicache.errors import PypicacheError, one_line
from pypicache.simple.links import OWN, packages_path
from pypicache.simple.model import ProjectName

PACKAGES = "/packages/"
_PAGES = ("simple", "+simple", "index")


class Unmapped(PypicacheError):
    """A link of a lock file has no equivalent that is known; the message says what would make it known."""


@dataclass(frozen=True, slots=True)
class Here:
    """An index as this cache has it: how its addresses begin. The first of each is the one that is written."""

    pages: tuple[str, ...]
    """Of its pages, without a slash at the end."""
    files: tuple[str, ...]
    """Of its files, ending in `packages/`."""

    def has(self, url: str) -> bool:
        """Whether this is an address of the index here."""
        return _below(url, self.pages) is not None or url.startswith(self.files)


def here(addresses: Sequence[str]) -> Here:
    """From the addresses of its pages (`http://127.0.0.1:3141/simple/`). Raises Unmapped for what isn't one."""
    pages: dict[str, None] = {}
    files: dict[str, None] = {}
    for address in addresses:
        parent, _, last = address.rstrip("/").rpartition("/")
        if last not in _PAGES or "://" not in parent:
            raise Unmapped(
                f"{one_line(address)} isn't an index of this cache: one ends in /simple/, such as http://127.0.0.1:3141/simple/"
            )
        twins = (last,) if last == "index" else (last, *(set(_PAGES[:2]) - {last}))
        pages.update(dict.fromkeys(f"{parent}/{each}" for each in twins))
        files[parent + PACKAGES] = None
    if not pages:
        raise Unmapped("nothing says at which address lock files have this cache: name it with --cache")
    return Here(tuple(pages), tuple(files))


@dataclass(frozen=True, slots=True)
class Origin:
    """The index that is cached: where its pages are, and how its files' addresses begin."""

    simple: str
    """The root of its Simple API."""
    files: str | None = None
    """What its files' addresses begin with, ending in `packages/`; None where that isn't known, or isn't one text."""
    links: Mapping[str, str] = field(default_factory=dict)
    """By file name, where files of one project are."""


def files_prefix(urls: Sequence[str]) -> str | None:
    """What the addresses of an index's files begin with, up to their first `packages/`; None when they differ or have none."""
    found = {url[: url.find(PACKAGES, url.find("://") + 3) + len(PACKAGES)] for url in urls if _mapped(url)}
    return found.pop() if len(found) == 1 else None


def _mapped(url: str) -> bool:
    return "://" in url and PACKAGES in url.partition("://")[2] and "?" not in url


def page_to_origin(url: str, cache: Here, origin: Origin) -> str:
    """The address of the origin's pages that this one of the cache stands for."""
    rest = _below(url, cache.pages)
    assert rest is not None, "the caller asks `Here.has`"
    return origin.simple.rstrip("/") + rest


def file_to_origin(url: str, cache: Here, origin: Origin) -> str:
    """The address of the origin's file that this one of the cache stands for. Raises Unmapped."""
    path = next(url[len(start) :] for start in cache.files if url.startswith(start))
    bare, mark, fragment = path.partition("#")
    if not bare.startswith(f"{OWN}/") and origin.files is not None:
        return origin.files + path
    filename = unquote(bare.rpartition("/")[2])
    if (known := origin.links.get(filename)) is not None:
        return known + mark + fragment
    raise Unmapped(
        f"{one_line(url)}: no page of {one_line(origin.simple)} says where {one_line(filename)} is"
        + ("" if bare.startswith(f"{OWN}/") else ": name what its file links begin with by --files")
    )


def file_to_cache(
    url: str, cache: Here, origin: Origin, *, project: ProjectName | None, its: bool
) -> str | None:
    """The cache's address of the origin's file; None when that isn't a file of the origin's.

    `its`: the lock file says that the project is from this origin, so that all of its files are.
    """
    bare, mark, fragment = url.partition("#")
    if origin.files is not None and bare.startswith(origin.files) and len(bare) > len(origin.files):
        return cache.files[0] + url[len(origin.files) :]
    filename = unquote(bare.rpartition("/")[2])
    its = its or origin.links.get(filename) == bare
    if not its or project is None or not bare.startswith(("https://", "http://")):
        return None
    return cache.files[0] + packages_path(project, bare, filename) + mark + fragment


def page_to_cache(url: str, cache: Here, origin: Origin) -> str | None:
    """The cache's address of the origin's pages; None when that isn't one of the origin's."""
    rest = _below(url, (origin.simple.rstrip("/"),))
    return None if rest is None else cache.pages[0] + rest


def _below(url: str, starts: Sequence[str]) -> str | None:
    """What follows the first of these that the address begins with, a whole number of segments on."""
    for start in starts:
        if url.startswith(start) and url[len(start) : len(start) + 1] in {"", "/"}:
            return url[len(start) :]
    return None
