"""An index made of other indexes, in order of authority: the first that knows a project answers for it, whole.

What is never mixed can't be confused: pages, files and sidecars of a project all come from one layer, which decides on
them as it would on its own. Who may be asked for a name is `rules.owners`; the first of these that doesn't say "no
such project" is the one. ::

    the layer                                        and then
    gives a page, be it an old one                   that is the answer
    says "no such project", or did a moment ago      the next layer is asked
    is silent, and is remembered to have denied it   the next layer is asked; if none has it: 503, never 404
    is silent                                        503, and nobody else is asked

So an outage of a private index stops no installation of public projects that were installed before, and never lets
someone else's project take a private one's place. However many are silent, there is an answer in time (`rules.layers`);
the questions go on behind.

A file's link is decided by what is remembered, as a layer decides on its own links: what is cached is served
through any outage. It merges nothing, so what one page says of other indexes (PEP 708) stays true of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from pypicache.errors import AllUpstreamsFailed, FileNotFound, ProjectNotFound, UpstreamError
from pypicache.events import LayerSilent, Observer, Shadowed
from pypicache.index import layered_lease
from pypicache.index.catalog import ANSWER_WITHIN
from pypicache.index.content import Content
from pypicache.index.entry import Outcome, Page, Standing
from pypicache.index.lease import Lease
from pypicache.index.locate import SIDECAR
from pypicache.index.locator import candidates_of
from pypicache.index.lru import ByteLRU
from pypicache.index.rendering import Rendering
from pypicache.index.serving import Opened, Serving
from pypicache.rules import layers as turns
from pypicache.rules.owners import Claim, may_be_asked
from pypicache.simple.model import File, ProjectName

TROUBLED = 30.0
"""Seconds for which a layer that was silent isn't waited for in full: counted anew when it still is."""

MAX_SHADOWS = 1000
"""How many projects of several layers are remembered; of more, some are told again."""

T = TypeVar("T")


class LayeredIndex:
    """Pages and files of the indexes that it is made of.

    `layers` are these indexes with the patterns of what they own. `patience` is in seconds, `clock` monotonic.
    """

    def __init__(
        self,
        *,
        name: str,
        layers: Sequence[tuple[Serving, tuple[str, ...]]],
        patience: float,
        clock: Callable[[], float],
        observer: Observer,
    ) -> None:
        self.name = name
        self._members = {member.name: member for member, _ in layers}
        self.claims = tuple(Claim(member.name, owns) for member, owns in layers)
        self._leaves = {name: leaf for member, _ in layers for name, leaf in member.leaves.items()}
        self._patience = patience
        self._clock = clock
        self._observer = observer
        self._silent_at: dict[str, float] = {}
        self._shadows: dict[ProjectName, tuple[str, ...]] = {}

    @property
    def leaves(self) -> Mapping[str, Serving]:
        """The indexes with mirrors that its layers come down to, by name."""
        return self._leaves

    @property
    def shadows(self) -> Mapping[ProjectName, tuple[str, ...]]:
        """Projects that were seen in several layers, and the indexes of theirs that aren't shown."""
        return self._shadows

    def member(self, name: str) -> Serving:
        """The layer of that name."""
        return self._members[name]

    def asked(self, project: ProjectName) -> tuple[Serving, ...]:
        """The layers that may be asked for the project, in order of authority."""
        return tuple(self._members[name] for name in may_be_asked(project, self.claims))

    async def page(
        self, project: ProjectName, *, revalidate: bool = False, within: float = ANSWER_WITHIN
    ) -> Page:
        """The project's page, from the first layer that has it; the module's docstring has the table."""
        silent: list[UpstreamError] = []
        asked, ends = self.asked(project), self._clock() + within
        for place, member in enumerate(asked, start=1):
            try:
                page = await self._ask(member, project, ends, later=len(asked) - place, revalidate=revalidate)
            except ProjectNotFound:
                continue
            except UpstreamError as error:
                silent.append(error)
                if await member.standing(project) is not Standing.DENIED:
                    break
                self._observer(
                    LayerSilent(index=self.name, project=project, layer=member.name, reason=str(error))
                )
                continue
            if page.outcome is not Outcome.HIT:
                await self._look_for_shadows(project, page.index)
            return page
        if silent:
            raise silent[0] if len(silent) == 1 else AllUpstreamsFailed(self.name, silent)
        raise ProjectNotFound(f"{self.name} has no project {project}")

    async def _ask(
        self, member: Serving, project: ProjectName, ends: float, *, later: int = 0, revalidate: bool = False
    ) -> Page:
        """The layer's page, in its share of the time that `ends` then; `later` layers come after it. Raises as it does."""
        within = turns.wait(
            left=ends - self._clock(),
            later=later,
            denied=await member.standing(project) is Standing.DENIED,
            troubled=self._clock() - self._silent_at.get(member.name, -TROUBLED) < TROUBLED,
            patience=self._patience,
        )
        try:
            return await member.page(project, revalidate=revalidate, within=within)
        except UpstreamError:
            self._silent_at[member.name] = self._clock()
            raise

    async def _look_for_shadows(self, project: ProjectName, shown: str) -> None:
        """Tell, once, of other layers that hold the project, too."""
        hidden = tuple(
            [
                name
                for name, leaf in self._leaves.items()
                if name != shown and await leaf.standing(project) is Standing.HELD
            ]
        )
        if hidden == self._shadows.pop(project, ()):
            if hidden:
                self._shadows[project] = hidden
            return
        if hidden:
            if len(self._shadows) >= MAX_SHADOWS:
                del self._shadows[next(iter(self._shadows))]
            self._shadows[project] = hidden
            self._observer(Shadowed(index=self.name, project=project, layer=shown, hidden=hidden))

    def etag(self, page: Page, form: str, coding: str) -> str:
        """The ETag of that rendering of the page, made or not."""
        return self._leaves[page.index].etag(page, form, coding)

    async def rendering(self, page: Page, form: str, coding: str) -> Rendering:
        """The page in that form and coding: the same bytes as its own layer gives."""
        return await self._leaves[page.index].rendering(page, form, coding)

    def renderings(self, page: Page) -> ByteLRU[str, Rendering]:
        """What memory holds of its own layer's renderings, by ETag."""
        return self._leaves[page.index].renderings(page)

    def lease(self, page: Page, *, revalidate: bool = False) -> Lease | None:
        """How long the same request gets this page; see `Serving.lease`."""
        return layered_lease.of_page(self.asked(page.project), page, revalidate=revalidate)

    def denial(self, project: ProjectName, *, revalidate: bool = False) -> Lease | None:
        """How long the same request is told that there is no such project."""
        return layered_lease.of_denial(self.asked(project), project, revalidate=revalidate)

    def link_lease(self, path: tuple[str, ...], sha256: str) -> Lease | None:
        """How long the link leads to the stored file of that digest; see `Serving.link_lease`."""
        known = {member.recorded(each) for member in self._members.values() for each in _links(path)} - {None}
        if len(known) != 1 or (project := known.pop()) is None:
            return None  # others would be looked for first
        return layered_lease.of_link(
            self.asked(project), project, lambda member: member.link_lease(path, sha256)
        )

    def stored(self, sha256: str | None, size: int | None) -> Content | None:
        """The file of that digest, whatever index it came by: they share one store. See `Serving.stored`."""
        return next(iter(self._members.values())).stored(sha256, size)

    async def open_file(self, path: tuple[str, ...], project: ProjectName | None = None) -> Opened:
        """The file (or sidecar) at that path, from the layer that answers for its project. See `Serving.open_file`."""
        return await self._through(path, project, lambda member, name: member.open_file(path, name))

    async def facts_of(
        self, path: tuple[str, ...], project: ProjectName | None = None
    ) -> tuple[File, int | None, str | None]:
        """The file at that path, its size and its SHA-256, as far as they are known without downloading it.

        Takes and raises what `open_file` does.
        """
        return await self._through(path, project, lambda member, name: member.facts_of(path, name))

    async def _through(
        self,
        path: tuple[str, ...],
        project: ProjectName | None,
        use: Callable[[Serving, ProjectName], Awaitable[T]],
    ) -> T:
        """What comes of using the layer that answers for the path's project. Silence isn't absence here either."""
        failure: UpstreamError | None = None
        missing: FileNotFound | None = None
        for name in await self._candidates(path) if project is None else (project,):
            try:
                return await use(await self._answering(name, path), name)
            except ProjectNotFound:
                continue
            except FileNotFound as error:
                missing = missing or error
            except UpstreamError as error:
                failure = failure or error
        raise failure or missing or FileNotFound(f"{self.name} has no file {path[-1]} at that path")

    async def _candidates(self, path: tuple[str, ...]) -> Sequence[ProjectName]:
        """The projects whose file could be at that path: those of remembered links, or else those that are held first."""
        recorded = [member.recorded(each) for member in self._members.values() for each in _links(path)]
        if known := [name for name in dict.fromkeys(recorded) if name is not None]:
            return known
        candidates = candidates_of(_links(path)[-1])
        held = {
            name
            for name in candidates
            for leaf in self._leaves.values()
            if await leaf.standing(name) is Standing.HELD
        }
        return sorted(candidates, key=lambda name: name not in held)

    async def _answering(self, project: ProjectName, path: tuple[str, ...]) -> Serving:
        """The layer that answers for the project, as far as possible without asking any. Raises as `page` does.

        A layer that denied it, however long ago, is passed over and asked behind: that it has it now can't be known in an
        outage, and the link was given out when it hadn't.
        """
        asked, ends = self.asked(project), self._clock() + ANSWER_WITHIN
        remembering = [m for m in asked if any(m.recorded(each) == project for each in _links(path))]
        for member in asked:
            standing = await member.standing(project)
            if standing in {Standing.DENIED, Standing.LAPSED}:
                member.refresh_behind(project)
                continue
            if standing is Standing.HELD or remembering[:1] == [member]:
                return member
            try:
                await self._ask(member, project, ends)
            except ProjectNotFound:
                continue
            except UpstreamError:
                if not remembering:
                    raise
                continue
            return member
        # Nobody who may be asked had it when last it was asked: that isn't for ever.
        page = await self.page(project, within=ends - self._clock())
        return next(member for member in asked if page.index in member.leaves)

    async def standing(self, project: ProjectName) -> Standing:
        """What is remembered of the project: what the first layer says that hasn't denied it."""
        lapsed = False
        for member in self.asked(project):
            standing = await member.standing(project)
            if standing in {Standing.HELD, Standing.UNKNOWN}:
                return standing
            lapsed = lapsed or standing is Standing.LAPSED
        return Standing.LAPSED if lapsed else Standing.DENIED

    def recorded(self, path: tuple[str, ...]) -> ProjectName | None:
        """The project whose file the link led to last, in the first layer that remembers it."""
        found = (member.recorded(path) for member in self._members.values())
        return next((name for name in found if name is not None), None)

    def refresh_behind(self, project: ProjectName) -> None:
        """Have the layers that may be asked for the project asked in the background, where that is due."""
        for member in self.asked(project):
            member.refresh_behind(project)


def _links(path: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """The path, and that of its wheel if it is a sidecar's."""
    if not path[-1].endswith(SIDECAR):
        return (path,)
    return path, (*path[:-1], path[-1].removesuffix(SIDECAR))
