"""Replicas of one index, in order of preference: a failure moves on to the next, whatever kind it is.

What the mirrors say, and what it comes to::

    one gives a page, or says "unchanged"      that is the answer, whatever others said before it
    404 from some, nothing from the rest       ProjectNotFound
    nothing from any                           AllUpstreamsFailed, with how each one failed

Silence isn't absence: it takes a 404 or 410 to be absent. And a replica can lag, so one mirror's no is put to the
others; it stands if every mirror that answers agrees, and so it stands alone when no other answers: a second
mirror's outage can't turn a stated no into an error, or one dead replica would make every unknown name a failure.
For that confirmation, mirrors whose breaker is open aren't asked: they were silent a moment ago. The error names
those that said no, and is `confirmed` when two did. Whether a no takes away a page that is held is for the index to
decide, which knows what it holds and who listed it (`rules.absence`); it has the same question about single files
(`rules.merge`), for which `ask` puts it to chosen mirrors.

Each mirror has two breakers, one for pages and one for files, since files often come from other hosts. Breakers
order the mirrors and forbid none: those that refuse come last. All of a mirror's failures over pages count; over
files, only those that say something of its health, not a file that is missing there. `rules.breaker` has the table.

A seam for later: `_order` is the one place that ranks (scores go there), `_attempts` the one that asks in turn
(hedging goes there).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from pypicache.errors import (
    AllUpstreamsFailed,
    ProjectNotFound,
    UpstreamError,
    UpstreamGarbled,
    UpstreamRefused,
    UpstreamTimeout,
)
from pypicache.events import MirrorFailed, Observer
from pypicache.rules.breaker import Breaker
from pypicache.simple.model import File, ProjectName
from pypicache.upstream.faults import BadLink
from pypicache.upstream.source import Copy, Listing, NotModified, Source, Validators
from pypicache.upstream.watched import WatchedCopy

BUDGET = 11.0
"""Seconds for one page over all mirrors: pip gives up at 15, and the index has things to do too."""

RESERVE = 2.0
"""Seconds of the budget that are kept for each mirror that hasn't been asked yet."""

OPINION = 3.0
"""Seconds for a mirror that is asked beside the one that has answered: nothing waits for it but a file's removal."""

Kind = Literal["pages", "files"]

_BUSY = frozenset({408, 425, 429})


class Replica(Source, Protocol):
    """A source with a name: `client.Client`, or a test's."""

    name: str


@dataclass(slots=True)
class _Mirror:
    """A replica, its place in the order of preference, and its breakers as they are now."""

    source: Replica
    rank: int
    breakers: dict[Kind, Breaker] = field(default_factory=lambda: {"pages": Breaker(), "files": Breaker()})

    @property
    def name(self) -> str:
        return self.source.name


@dataclass(frozen=True, slots=True)
class Health:
    """How a mirror does, for status pages and tests."""

    name: str
    pages: Breaker
    files: Breaker


class Mirrors:
    """One index by its replicas: a `pypicache.upstream.source.Source`.

    `name` is the index's. `clock` is monotonic; `budget` and `reserve` are seconds, as `BUDGET` and `RESERVE`; `spread` gives numbers in [0, 1) that keep several workers from
    returning to a mirror at the same instant.
    """

    def __init__(
        self,
        *,
        name: str,
        clients: Sequence[Replica],
        clock: Callable[[], float],
        observer: Observer,
        budget: float = BUDGET,
        reserve: float = RESERVE,
        spread: Callable[[], float] = random.random,
    ) -> None:
        self.name = name
        self._mirrors = [_Mirror(client, rank) for rank, client in enumerate(clients)]
        self._clock = clock
        self._observer = observer
        self._budget = budget
        self._reserve = reserve
        self._spread = spread

    @property
    def health(self) -> tuple[Health, ...]:
        """Every mirror's breakers, in order of preference."""
        return tuple(Health(m.name, m.breakers["pages"], m.breakers["files"]) for m in self._mirrors)

    def willing(self) -> tuple[str, ...]:
        """The names of the mirrors that may be asked for something on the side, the preferred first.

        Mirrors whose breaker refuses are left out: nobody waits for a dead one for the sake of a side question.
        """
        now = self._clock()
        return tuple(m.name for m in self._order("pages") if m.breakers["pages"].allows(now))

    async def project(self, name: ProjectName, known: Validators | None = None) -> Listing | NotModified:
        """The page from the first mirror that has it. Raises ProjectNotFound or AllUpstreamsFailed."""
        absent: list[str] = []
        failed: list[UpstreamError] = []
        mirrors = self._order("pages")
        deadline = self._clock() + self._budget
        for position, mirror in enumerate(mirrors):
            now = self._clock()
            if absent and not mirror.breakers["pages"].allows(now):
                continue
            waiting = len(mirrors) - position - 1
            try:
                return await self._attempt(mirror, name, known, deadline - now - self._reserve * waiting)
            except ProjectNotFound:
                absent.append(mirror.name)
            except UpstreamError as error:
                failed.append(error)
                self._observer(MirrorFailed(origin=mirror.name, what=name, reason=_reason(error)))
        if absent:
            raise ProjectNotFound(
                f"{name}: no such project, says {', '.join(absent)}",
                confirmed=len(absent) > 1,
                origins=absent,
            )
        raise AllUpstreamsFailed(name, failed)

    @property
    def origins(self) -> tuple[str, ...]:
        """The mirrors' names, in order of preference."""
        return tuple(mirror.name for mirror in self._mirrors)

    async def ask(self, name: ProjectName, origins: Sequence[str]) -> Mapping[str, Listing | None]:
        """What these mirrors say of the project, asked at once; silent ones, and those with an open breaker, left out."""
        now = self._clock()
        asked = [m for m in self._mirrors if m.name in origins and m.breakers["pages"].allows(now)]
        said: dict[str, Listing | None] = {}
        await asyncio.gather(*(self._opinion(mirror, name, said) for mirror in asked))
        return said

    async def _opinion(self, mirror: _Mirror, name: ProjectName, said: dict[str, Listing | None]) -> None:
        """Note what the mirror says, if it says anything."""
        try:
            answer = await self._attempt(mirror, name, None, OPINION)
        except ProjectNotFound:
            said[mirror.name] = None
        except UpstreamError as error:
            self._observer(MirrorFailed(origin=mirror.name, what=name, reason=_reason(error)))
        else:
            assert isinstance(answer, Listing), "nothing was asked conditionally"
            said[mirror.name] = answer

    def copies(
        self, project: ProjectName, file: File, origin: str, *, sidecar: bool = False
    ) -> Sequence[Copy]:
        """The copies of all mirrors: the page's origin first, since its links need no looking up, then by preference."""
        return [
            WatchedCopy(copy, self._reporter(mirror, file.filename), self._prober(mirror))
            for mirror in self._order("files", first=origin)
            for copy in mirror.source.copies(project, file, origin, sidecar=sidecar)
        ]

    def _order(self, kind: Kind, *, first: str | None = None) -> list[_Mirror]:
        """The mirrors as they are to be tried. Files also look at the pages' breaker: a dead host has neither."""
        now = self._clock()

        def place(mirror: _Mirror) -> tuple[bool, bool, int]:
            kinds: tuple[Kind, ...] = ("pages",) if kind == "pages" else ("pages", "files")
            refused = not all(mirror.breakers[each].allows(now) for each in kinds)
            return refused, mirror.name != first, mirror.rank

        return sorted(self._mirrors, key=place)

    async def _attempt(
        self, mirror: _Mirror, name: ProjectName, known: Validators | None, seconds: float
    ) -> Listing | NotModified:
        """Ask one mirror, for at least `reserve` seconds, and let its breaker know."""
        self._probe(mirror, "pages")
        own = known if known is not None and known.origin == mirror.name else None
        allowed = max(seconds, self._reserve)
        try:
            try:
                async with asyncio.timeout(allowed):
                    answer = await mirror.source.project(name, own)
            except TimeoutError as error:
                raise UpstreamTimeout(mirror.name, f"no page within {allowed:.3g} s") from error
        except ProjectNotFound:
            self._succeeded(mirror, "pages")
            raise
        except UpstreamError as error:
            self._failed(mirror, "pages", error)
            raise
        self._succeeded(mirror, "pages")
        return answer

    def _reporter(self, mirror: _Mirror, filename: str) -> Callable[[UpstreamError | None], None]:
        def report(error: UpstreamError | None) -> None:
            if error is None:
                self._succeeded(mirror, "files")
                return
            self._observer(MirrorFailed(origin=mirror.name, what=filename, reason=_reason(error)))
            if _unwell(error):
                self._failed(mirror, "files", error)

        return report

    def _prober(self, mirror: _Mirror) -> Callable[[], None]:
        return lambda: self._probe(mirror, "files")

    def _probe(self, mirror: _Mirror, kind: Kind) -> None:
        mirror.breakers[kind] = mirror.breakers[kind].probe(self._clock())

    def _succeeded(self, mirror: _Mirror, kind: Kind) -> None:
        mirror.breakers[kind] = mirror.breakers[kind].on_success(self._clock())

    def _failed(self, mirror: _Mirror, kind: Kind, error: UpstreamError) -> None:
        mirror.breakers[kind] = mirror.breakers[kind].on_failure(
            self._clock(), error.retry_after, spread=self._spread(), answered=_answered(error)
        )


def _answered(error: UpstreamError) -> bool:
    """Whether the mirror said something, if only an error, rather than nothing."""
    if isinstance(error, UpstreamRefused):
        return error.http_status is not None or isinstance(error, BadLink)
    return isinstance(error, UpstreamGarbled)


def _unwell(error: UpstreamError) -> bool:
    """Whether a failure over a file says something of the mirror, and not just of that file."""
    if isinstance(error, BadLink | UpstreamGarbled):
        return False
    if isinstance(error, UpstreamRefused) and error.http_status is not None:
        return error.http_status >= 500 or error.http_status in _BUSY  # noqa: PLR2004 - server errors
    return True


def _reason(error: UpstreamError) -> str:
    """The error's message without the mirror's name, which the event has already."""
    return str(error).removeprefix(f"{error.origin}: ")
