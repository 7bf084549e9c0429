"""Why an index answers as it does for a project: what is held, how old it is, who said so, who isn't well.

It reads what is there and asks no mirror, so that explaining changes nothing. What it says is fit for anyone who may
read the index: mirrors by name, no addresses, no credentials. Times are seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from pypicache.index.catalog import Catalog
from pypicache.index.entry import Entry, Standing
from pypicache.index.explain_file import FileState, Seen, look, state
from pypicache.index.layered import LayeredIndex
from pypicache.offload import Offload
from pypicache.rules.breaker import Breaker
from pypicache.rules.freshness import Freshness, Windows
from pypicache.simple.model import ProjectName
from pypicache.store.links import LinkStore


class Health(Protocol):
    """How a mirror does."""

    @property
    def name(self) -> str:
        """The mirror's name."""
        ...

    @property
    def pages(self) -> Breaker:
        """Its breaker for pages."""
        ...

    @property
    def files(self) -> Breaker:
        """Its breaker for files."""
        ...


class Watched(Protocol):
    """The mirrors of one index."""

    @property
    def health(self) -> Sequence[Health]:
        """How each of them does, in order of preference."""
        ...


class BreakerState(msgspec.Struct, frozen=True, kw_only=True):
    """A mirror's breaker as it is now."""

    state: str
    errors: int
    wait: float
    """Seconds until the mirror takes its turn again; 0 when it does already."""


class MirrorState(msgspec.Struct, frozen=True, kw_only=True):
    """How one mirror does."""

    name: str
    pages: BreakerState
    files: BreakerState


class LayerState(msgspec.Struct, frozen=True, kw_only=True):
    """One layer, as far as the project goes."""

    index: str
    owns: tuple[str, ...]
    may_be_asked: bool
    standing: str
    """`Standing`: what is remembered of the project there."""


class Explanation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an index with mirrors, or with layers, has to say of a project. Fields that don't apply are left out."""

    index: str
    project: str
    answer: str
    """What a client gets now, in a sentence."""
    standing: str
    freshness: str | None = None
    """`Freshness`, and until when it is that; of an absence, too."""
    fresh_until: float | None = None
    usable_until: float | None = None
    """When the page, or the absence, stops being of use in an outage."""
    checked_at: float | None = None
    """When a mirror last confirmed it, less the age that it came with."""
    age: float | None = None
    asked_at: float | None = None
    mirror: str | None = None
    """The mirror that answered last."""
    home: str | None = None
    """The mirror that the page is from."""
    etag: str | None = None
    last_modified: str | None = None
    files: int | None = None
    file: FileState | None = None
    """The one file that was asked about."""
    withdrawn: dict[str, str] = {}
    """Files that were taken off the page while other mirrors may still list them, the latest, and by which mirror."""
    hidden: str | None = None
    """Why the files aren't handed out, if they aren't."""
    denied_at: float | None = None
    """When a mirror first said that there is no such project; once confirmed, it isn't held any more."""
    denied_by: tuple[str, ...] = ()
    silent_since: dict[str, float] = {}
    """Mirrors that were asked in vain while others answered."""
    unsure: tuple[str, ...] = ()
    """Mirrors that listed files which the last answer lacks."""
    mirrors: tuple[MirrorState, ...] = ()
    layers: tuple[LayerState, ...] = ()
    also_in: tuple[str, ...] = ()
    """Other layers that hold the project, too, and aren't shown."""
    below: tuple[Explanation, ...] = ()
    """What the layers that may be asked have to say."""


class Explains(Protocol):
    """Explains one index's answers."""

    async def explain(self, project: ProjectName, filename: str | None = None) -> Explanation:
        """Why the index answers as it does for the project, and for that file of it; nobody is asked."""
        ...


class Explainer:
    """Explains the answers of an index with mirrors. `clock` is the epoch's, `monotonic` the breakers'."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        mirrors: Watched,
        links: LinkStore,
        windows: Windows,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        offload: Offload,
    ) -> None:
        self._catalog = catalog
        self._mirrors = mirrors
        self._links = links
        self._windows = windows
        self._clock = clock
        self._monotonic = monotonic
        self._offload = offload

    async def explain(self, project: ProjectName, filename: str | None = None) -> Explanation:
        """Why the index answers as it does for the project, and for that file of it; nobody is asked."""
        entry, freshness = await self._catalog.known(project)
        standing = await self._catalog.standing(project)
        seen, home = None, ""
        if entry is not None and (page := await self._catalog.held(project)) is not None:
            seen, home = await self._offload.run(len(page.data), look, page.data, filename), page.origin
        hidden = None if seen is None else seen.hidden
        said = Explanation(
            index=self._catalog.index,
            project=project,
            answer=_answer(standing, freshness, hidden),
            standing=standing.value,
            files=None if seen is None else seen.files,
            file=None if filename is None else await self._file(project, filename, home, seen),
            withdrawn={} if seen is None else seen.withdrawn,
            hidden=hidden,
            mirrors=tuple(map(self._mirror, self._mirrors.health)),
        )
        return said if entry is None else self._dated(said, entry, freshness)

    async def _file(self, project: ProjectName, filename: str, home: str, seen: Seen | None) -> FileState:
        records = await self._links.by_filename(self._catalog.index, filename)
        return state(filename, home, seen, tuple(each for each in records if each.project == project))

    def _dated(self, said: Explanation, entry: Entry, freshness: Freshness) -> Explanation:
        """The explanation with what the entry says."""
        windows = self._windows
        fresh = entry.checked_at + (windows.negative_ttl if entry.absent else windows.ttl)
        return msgspec.structs.replace(
            said,
            freshness=freshness.value,
            fresh_until=fresh,
            usable_until=fresh + windows.stale_if_error,
            checked_at=entry.checked_at,
            age=max(0.0, self._clock() - entry.checked_at),
            asked_at=entry.asked_at,
            mirror=entry.answered or entry.origin or None,
            home=entry.origin or None,
            etag=entry.etag,
            last_modified=entry.last_modified,
            denied_at=entry.checked_at if entry.absent else entry.denied_at,
            denied_by=entry.denied_by,
            silent_since=dict(entry.silent_since),
            unsure=entry.unsure,
        )

    def _mirror(self, health: Health) -> MirrorState:
        return MirrorState(name=health.name, pages=self._state(health.pages), files=self._state(health.files))

    def _state(self, breaker: Breaker) -> BreakerState:
        now = self._monotonic()
        wait = 0.0 if breaker.allows(now) else breaker.until - now
        return BreakerState(state=breaker.state.value, errors=breaker.errors, wait=round(wait, 1))


class LayeredExplainer:
    """Explains the answers of an index with layers; `members` explain these, by name."""

    def __init__(self, *, index: LayeredIndex, members: Mapping[str, Explains]) -> None:
        self._index = index
        self._members = members

    async def explain(self, project: ProjectName, filename: str | None = None) -> Explanation:
        """Which layer answers for the project, and what each that may be asked remembers; nobody is asked."""
        asked = [member.name for member in self._index.asked(project)]
        below = tuple([await self._members[name].explain(project, filename) for name in asked])
        layers = tuple(
            [
                LayerState(
                    index=claim.index,
                    owns=claim.owns,
                    may_be_asked=claim.index in asked,
                    standing=(await self._index.member(claim.index).standing(project)).value,
                )
                for claim in self._index.claims
            ]
        )
        standing = await self._index.standing(project)
        decides = next((each for each in below if each.standing not in _PASSED), None)
        return Explanation(
            index=self._index.name,
            project=project,
            answer="no layer that may be asked has it: 404 when they say so again"
            if decides is None
            else f"{decides.index} decides: {decides.answer}",
            standing=standing.value,
            layers=layers,
            also_in=self._index.shadows.get(project, ()),
            below=below,
        )


_PASSED = {Standing.DENIED.value, Standing.LAPSED.value}


def _answer(standing: Standing, freshness: Freshness, hidden: str | None) -> str:
    """What a client gets now."""
    match standing, freshness:
        case Standing.UNKNOWN, _:
            return "nothing is known: the mirrors are asked, and 503 if none answers"
        case ((Standing.DENIED | Standing.LAPSED), Freshness.FRESH):
            return "404: mirrors said that there is no such project"
        case ((Standing.DENIED | Standing.LAPSED), _):
            return "the mirrors are asked again: there was no such project; 503 if none answers"
        case _, Freshness.FRESH:
            text = "the held page, without asking"
        case _, Freshness.ASK_WITHIN_PATIENCE:
            text = "the mirrors are asked; the held page if they take longer than patience"
        case _, Freshness.ASK_FIRST:
            text = "the mirrors are asked; the held page if none answers"
        case _:
            text = "the held page is too old: the mirrors are asked, and 503 if none answers"
    return text if hidden is None else f"{text}; files: 403, {hidden}"
