"""Having in the cache what will be wanted: pages, files and metadata, fetched as if clients had asked for them.

It goes through the index, so with all of its rules: mirrors in their order, digests, downloads shared with clients who want the
same. A few at a time, so that clients aren't crowded out. What is held is passed over, which makes a prefetch that was
broken off go on when it is started again. Where more is wanted than the cache has room for, later files push out earlier ones:
those are told as missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from pypicache.care.choosing import matching
from pypicache.care.kept import name_of
from pypicache.care.orders import Prefetch, Prefetched, Target, Wanted
from pypicache.care.progress import Progress
from pypicache.errors import PypicacheError
from pypicache.index.content import Told
from pypicache.index.entry import Outcome
from pypicache.index.facts import can_have_sidecar
from pypicache.index.locate import SIDECAR
from pypicache.index.serving import Serving
from pypicache.locks.read import Pin, PinnedFile
from pypicache.simple import model
from pypicache.simple.links import decode_path, packages_path, version_of
from pypicache.simple.model import Digest, File, Project, ProjectName

NO_ROOM = "it had to go again for other files: see cache.max_size and cache.min_free"


class Prefetching:
    """One prefetch, from `index`; `stored` tells whether the cache holds the file of a SHA-256."""

    def __init__(
        self, index: Serving, order: Prefetch, progress: Progress, *, stored: Callable[[str], bool]
    ) -> None:
        self._index = index
        self._stored = stored
        self._order = order
        self._progress = progress
        self._turns = asyncio.Semaphore(max(1, min(order.at_a_time, 64)))
        self._done = Prefetched(missing={})
        self._had: dict[str, str] = {}
        """The digests of files that were fetched or held, by file name."""

    async def fetch(self) -> Prefetched:
        """Fetch what isn't held; what came of it. Raises PypicacheError for names that can't be."""
        wanted: dict[ProjectName, list[Wanted]] = {}
        for each in self._order.wanted:
            wanted.setdefault(name_of(each.project), []).append(each)
        self._progress.begin("pages", len(wanted))
        chosen = await asyncio.gather(*(self._page(project, each) for project, each in wanted.items()))
        files = [(project, file) for found in chosen for project, file in found]
        self._progress.begin("files", sum(max(1, file.size or 1) for _, file in files))
        await asyncio.gather(*(self._file(project, file) for project, file in files))
        self._done.missing |= await asyncio.to_thread(self._gone_again)
        return self._done

    def _gone_again(self) -> dict[str, str]:
        return {filename: NO_ROOM for filename, sha256 in self._had.items() if not self._stored(sha256)}

    async def _page(self, project: ProjectName, wanted: Sequence[Wanted]) -> list[tuple[ProjectName, File]]:
        """The files of the project that are wanted."""
        async with self._turns:
            try:
                page = await self._index.page(project)
            except PypicacheError as error:
                self._done.missing[project] = str(error)
                return []
            finally:
                self._progress.step(1)
            listed = await asyncio.to_thread(model.load, page.data)
        found: dict[str, File] = {}
        for each in wanted:
            files, lacking = choose(listed, each, self._order.targets, sdists=self._order.sdists)
            found |= {file.filename: file for file in files}
            for why in lacking:
                self._done.missing[f"{project} {each.version or ''}".strip()] = why
        return [(project, file) for file in found.values()]

    async def _file(self, project: ProjectName, file: File) -> None:
        path = decode_path(packages_path(project, file.url, file.filename))
        assert path is not None, "that is how pages link their files"
        done, all_of_it = 0, max(1, file.size or 1)

        def told(arrived: int) -> None:
            nonlocal done
            now = max(done, min(arrived, all_of_it))
            self._progress.step(now - done)
            done = now

        async with self._turns:
            try:
                size, held, sha256 = await self._whole(path, project, told)
            except PypicacheError as error:
                self._done.missing[file.filename] = str(error)
            else:
                self._done.held += held
                self._done.fetched += not held
                self._done.bytes += 0 if held else size
                if sha256 is not None:
                    self._had[file.filename] = sha256
                await self._sidecar(path, project, file)
        told(all_of_it)

    async def _whole(
        self, path: tuple[str, ...], project: ProjectName, told: Told | None = None
    ) -> tuple[int, bool, str | None]:
        """Its size, whether it was held, and its SHA-256. Raises PypicacheError."""
        opened = await self._index.open_file(path, project)
        try:
            size = await opened.content.whole(told)
            return size, opened.outcome is Outcome.HIT, opened.content.sha256
        finally:
            opened.content.close()

    async def _sidecar(self, path: tuple[str, ...], project: ProjectName, file: File) -> None:
        """Its metadata, too: made of the file where the mirror has none; without it nothing is missing."""
        if file.has_sidecar or can_have_sidecar(file):
            try:
                await self._whole((*path[:-1], path[-1] + SIDECAR), project)
            except PypicacheError:
                return


def choose(
    page: Project, wanted: Wanted, targets: Sequence[Target], *, sdists: bool
) -> tuple[list[File], list[str]]:
    """The files that each target would install, the best wheel or else the sdist; and why some are lacking."""
    version = wanted.version if wanted.version is not None or wanted.files else newest(page)
    files = tuple(PinnedFile(name, _digest(digest)) for name, digest in wanted.files)
    candidates = list(matching(page, Pin(page.name, version, files)))
    if not candidates:
        return [], [f"the page lists no file of {'any version' if version is None else version}"]
    if not targets:
        return candidates, []
    sources = [file for file in candidates if not file.filename.endswith(".whl")]
    chosen: dict[str, File] = {file.filename: file for file in sources} if sdists else {}
    lacking = []
    wheels = [(file, tags) for file in candidates if (tags := _tags(file))]
    for target in targets:
        rank = {tag: place for place, tag in enumerate(target.tags)}
        fitting = [
            (min(rank[tag] for tag in tags if tag in rank), file.filename, file)
            for file, tags in wheels
            if not rank.keys().isdisjoint(tags)
        ]
        if fitting:
            best = min(fitting)[2]
            chosen[best.filename] = best
        elif sources:
            chosen |= {file.filename: file for file in sources[:1]}
        else:
            lacking.append(f"no wheel for {target.name}, and no sdist")
    return list(chosen.values()), lacking


def newest(page: Project) -> str | None:
    """The newest version with a file that isn't yanked, a final one if there is any."""
    found: dict[Version, str] = {}
    for file in page.files:
        text = version_of(file.filename, page.name)
        if text is not None and not file.yanked:
            try:
                found[Version(text)] = text
            except InvalidVersion:
                continue
    final = [version for version in found if not version.is_prerelease]
    return found[max(final or found)] if found else None


def _tags(file: File) -> frozenset[str]:
    try:
        return frozenset(map(str, parse_wheel_filename(file.filename)[3]))
    except (InvalidWheelFilename, ValueError):
        return frozenset()


def _digest(text: str | None) -> Digest | None:
    algorithm, _, value = (text or "").partition(":")
    return model.digest(algorithm, value) if text else None
