"""What `pypicache lock` does with each link: which index it is of, and its other name.

Where the origin is, options say, or the configuration, or the daemon; where its files are, options say, or the daemon,
which has read the origin's pages. The daemon is asked only for what a file needs, once. Nothing is ever guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

from pypicache.commands.asking import get_json
from pypicache.errors import NotFound, PypicacheError
from pypicache.locks import places
from pypicache.locks.places import Here, Origin
from pypicache.locks.rewrite import Package
from pypicache.simple.filenames import project_candidates
from pypicache.simple.links import OWN
from pypicache.simple.model import ProjectName, project_name


class Origins:
    """Where the origin of the index is. `simple` and `files` are what is known beforehand."""

    def __init__(self, cache: Here, *, simple: str | None = None, files: str | None = None) -> None:
        self.cache = cache
        self._simple = simple
        self._files = files
        self._layered = False
        self._of: dict[ProjectName, Origin | None] = {}

    def of(self, project: ProjectName | None) -> Origin:
        """Where the index is that has the project. Raises PypicacheError."""
        if self._simple is None and not self._layered:
            try:
                self._simple = _text(self._ask(None), "simple")
            except NotFound:
                self._layered = True
        if self._simple is not None:
            return Origin(self._simple, self._files)
        if project is None:
            raise places.Unmapped(
                f"{self.cache.pages[0]}/ is made of several indexes: --origin says which one is meant"
            )
        return self.with_files(project, links=True)

    def with_files(self, project: ProjectName | None, *, links: bool) -> Origin:
        """The same, with where its files are; with `links`, those of the project each. Raises PypicacheError."""
        if not links and self._simple is not None and self._files is not None:
            return Origin(self._simple, self._files)
        if project is None:
            return self.of(None)
        if project not in self._of:
            self._of[project] = self._found(project)
        found = self._of[project]
        if found is None:
            raise places.Unmapped(f"{self.cache.pages[0]}/ has no project {project}")
        return found

    def _found(self, project: ProjectName) -> Origin | None:
        try:
            said = self._ask(project)
        except NotFound:
            return None
        files = said.get("files")
        urls = {str(name): str(url) for name, url in files.items()} if isinstance(files, dict) else {}
        simple = self._simple or _text(said, "simple")
        prefix = self._files or places.files_prefix(tuple(urls.values()))
        if self._simple is not None:
            self._files = prefix  # one origin for all: no need to ask for the next project
        return Origin(simple, prefix, urls)

    def _ask(self, project: ProjectName | None) -> Mapping[str, Any]:
        root = self.cache.files[0].removesuffix("packages/")
        try:
            said = get_json(f"{root}+origin/{quote(project or '', safe='')}")
        except NotFound:
            raise
        except PypicacheError as error:
            raise PypicacheError(
                f"{error}; --origin and --files say without it where the files are"
            ) from error
        if not isinstance(said, dict):
            raise PypicacheError(f"what answers at {root} isn't pypicache")
        return said


def _text(said: Mapping[str, Any], key: str) -> str:
    value = said.get(key)
    if not isinstance(value, str):
        raise PypicacheError("what answers isn't pypicache")
    return value


class ToCanonical:
    """Links of this cache become the origin's; all others stay."""

    def __init__(self, origins: Origins) -> None:
        self._origins = origins

    def __call__(self, url: str, package: Package) -> str:
        """The link's name elsewhere. Raises PypicacheError where that can't be known."""
        cache = self._origins.cache
        if not cache.has(url):
            return url
        if not url.startswith(cache.files):
            return places.page_to_origin(url, cache, self._origins.of(package.project))
        project = package.project or _project_of(url)
        origin = self._origins.with_files(project, links=f"/packages/{OWN}/" in url)
        return places.file_to_origin(url, cache, origin)


class ToCache:
    """Links of the origin become this cache's; all others stay."""

    def __init__(self, origins: Origins) -> None:
        self._origins = origins

    def __call__(self, url: str, package: Package) -> str:
        """The link's name here; the same link where it is none of the origin's. Raises PypicacheError."""
        cache = self._origins.cache
        if cache.has(url) or not url.startswith(("http://", "https://")):
            return url
        return self._page(url, package) or self._file(url, package) or url

    def _page(self, url: str, package: Package) -> str | None:
        try:
            return places.page_to_cache(url, self._origins.cache, self._origins.of(package.project))
        except places.Unmapped:
            return None

    def _file(self, url: str, package: Package) -> str | None:
        cache = self._origins.cache
        its = package.index is not None and (
            cache.has(package.index) or self._page(package.index, package) is not None
        )
        project = package.project or _project_of(url)
        if package.index is not None and not its:
            return None
        try:
            origin = self._origins.of(project)
            if not its:
                origin = self._origins.with_files(project, links=False)
        except places.Unmapped:
            return None
        return places.file_to_cache(url, cache, origin, project=project, its=its)


def _project_of(url: str) -> ProjectName | None:
    """The project that a file's address alone points to."""
    segments = unquote(url.partition("#")[0].partition("?")[0]).split("/")
    if OWN in segments[-3:-2]:
        return project_name(segments[-2])
    return next(iter(project_candidates(segments[-1])), None)
