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

A mirror that hangs holds nothing up: `race` asks the next one after a moment. Each mirror has two breakers, one for
pages and one for files. Breakers order the mirrors and forbid none: those that refuse come last, and are asked, one
request at a time, where the caller has nothing to fall back on (`known` is None). Where it has, and no mirror is likely
to answer, it is told so at once. All of a mirror's failures over pages count; over files, only those that say
something of its health, not a file that is missing there. `rules.breaker` has the table.

A mirror may be trusted for pages or for files only (`serves`). Facts are the page mirrors': while one of them answers, no
other's page is looked at, and a no of any other isn't believed. When all of them fail, another's page goes for theirs,
and the index keeps what it knows of each file (`rules.merge`: those aren't among `origins`, so their word is the
least). Bytes are the file mirrors', who prove them by the page's digest. A sidecar is small, and facts: whoever
has it may send one whose digest the page gives; any other, and METADATA out of a part of a wheel, only a page mirror.

Otherwise the configured order holds, unless a mirror is clearly worse than another (`rules.score`).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Self

from pypicache.errors import (
    AllUpstreamsFailed,
    ProjectNotFound,
    UpstreamError,
    UpstreamRefused,
    UpstreamTimeout,
)
from pypicache.events import MirrorFailed, Observer
from pypicache.simple.model import STRENGTH, File, ProjectName
from pypicache.upstream.race import Race, Stragglers
from pypicache.upstream.source import Copy, Listing, NotModified, Validators
from pypicache.upstream.standing import Health, Kind, Mirror, Replica, Serves, reason, unwell
from pypicache.upstream.watched import WatchedCopy

BUDGET = 11.0
"""Seconds for one page over all mirrors: pip gives up at 15, and the index has things to do too."""

RESERVE = 2.0
"""Seconds of the budget that are kept for each mirror that hasn't been asked yet."""

OPINION = 3.0
"""Seconds for a mirror that is asked beside the one that has answered: nothing waits for it but a file's removal."""


class Mirrors:
    """One index by its replicas: a `pypicache.upstream.source.Source`. Leaving it as an async context manager ends
    the requests that nobody waits for any more.

    `name` is the index's. `serves` says by name which mirrors are trusted for one thing only. `clock` is monotonic; `budget` and `reserve` are seconds, as `BUDGET` and `RESERVE`; `spread` gives numbers in [0, 1) that keep several workers from
    returning to a mirror at the same instant.
    """

    def __init__(
        self,
        *,
        name: str,
        clients: Sequence[Replica],
        clock: Callable[[], float],
        observer: Observer,
        serves: Mapping[str, Serves] | None = None,
        budget: float = BUDGET,
        reserve: float = RESERVE,
        spread: Callable[[], float] = random.random,
    ) -> None:
        self.name = name
        self._mirrors = [
            Mirror(client, rank, serves=(serves or {}).get(client.name, "both"), clock=clock, spread=spread)
            for rank, client in enumerate(clients)
        ]
        self._clock = clock
        self._observer = observer
        self._budget = budget
        self._reserve = reserve
        self._stragglers = Stragglers()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stragglers.close()

    @property
    def health(self) -> tuple[Health, ...]:
        """Every mirror's breakers, in order of preference."""
        return tuple(mirror.health for mirror in self._mirrors)

    def willing(self) -> tuple[str, ...]:
        """The names of the mirrors that may be asked for something on the side, the preferred first.

        Mirrors whose breaker refuses are left out: nobody waits for a dead one for the sake of a side question.
        """
        return tuple(m.name for m in self._order("pages") if m.serves("pages") and m.allows("pages"))

    async def project(self, name: ProjectName, known: Validators | None = None) -> Listing | NotModified:
        """The page from the first mirror that has it. Raises ProjectNotFound or AllUpstreamsFailed."""
        deadline = self._clock() + self._budget
        line = self._order("pages")
        trusted = [mirror for mirror in line if mirror.serves("pages")]
        others = [mirror for mirror in line if not mirror.serves("pages")]
        race = await self._race(trusted, name, known, deadline - self._reserve * len(others))
        failed = race.failed
        if race.answer is None and not race.absent and others:
            race = await self._race(others, name, known, deadline)
            failed += race.failed
            failed += [
                UpstreamRefused(each, "no such project, but it serves no pages") for each in race.absent
            ]
            race.absent.clear()
        if race.answer is not None:
            return race.answer
        if race.absent:
            raise ProjectNotFound(
                f"{name}: no such project, says {', '.join(race.absent)}",
                confirmed=len(race.absent) > 1,
                origins=race.absent,
            )
        raise AllUpstreamsFailed(name, failed)

    async def _race(
        self, line: Sequence[Mirror], name: ProjectName, known: Validators | None, deadline: float
    ) -> Race:
        """Put the question to these mirrors in turn; where a page is held, only to those that are likely to answer."""
        asked = line if known is None else [mirror for mirror in line if mirror.allows("pages")]

        async def ask(mirror: Mirror, waiting: int) -> Listing | NotModified:
            return await self._attempt(
                mirror, name, known, deadline - self._clock() - self._reserve * waiting
            )

        race = Race(asked, ask, stragglers=self._stragglers, clock=self._clock, twice=known is None)
        await race.run()
        race.failed += [
            _Spared(mirror.name, f"not asked again so soon: {mirror.last_error}")
            for mirror in line
            if mirror not in asked
        ]
        return race

    @property
    def origins(self) -> tuple[str, ...]:
        """The names of the mirrors that are trusted for pages, in order of preference."""
        return tuple(mirror.name for mirror in self._mirrors if mirror.serves("pages"))

    async def ask(self, name: ProjectName, origins: Sequence[str]) -> Mapping[str, Listing | None]:
        """What these mirrors say of the project, asked at once; silent ones, and those with an open breaker, left out."""
        asked = [m for m in self._mirrors if m.name in origins and m.allows("pages")]
        said: dict[str, Listing | None] = {}
        await asyncio.gather(*(self._opinion(mirror, name, said) for mirror in asked))
        return said

    async def _opinion(self, mirror: Mirror, name: ProjectName, said: dict[str, Listing | None]) -> None:
        """Note what the mirror says, if it says anything."""
        try:
            answer = await self._attempt(mirror, name, None, OPINION)
        except ProjectNotFound:
            said[mirror.name] = None
        except UpstreamError:
            return
        else:
            assert isinstance(answer, Listing), "nothing was asked conditionally"
            said[mirror.name] = answer

    def copies(
        self,
        project: ProjectName,
        file: File,
        origin: str,
        *,
        sidecar: bool = False,
        unproven: bool = False,
    ) -> Sequence[Copy]:
        """The copies of the mirrors that are trusted for them: the page's origin first, since its links need no looking up, then by preference."""

        def trusted(mirror: Mirror) -> bool:
            if unproven or (sidecar and not _hashed(file)):
                return mirror.serves("pages")
            return sidecar or mirror.serves("files")

        return [
            WatchedCopy(
                copy, self._reporter(mirror, file.filename), partial(mirror.probe, "files"), mirror.far
            )
            for mirror in self._order("files", first=origin)
            if trusted(mirror)
            for copy in mirror.source.copies(project, file, origin, sidecar=sidecar)
        ]

    def _order(self, kind: Kind, *, first: str | None = None) -> list[Mirror]:
        """The mirrors as they are to be tried. Files also look at the pages' breaker: a dead host has neither."""
        if len(self._mirrors) == 1:
            return list(self._mirrors)
        kinds: tuple[Kind, ...] = ("pages",) if kind == "pages" else ("pages", "files")

        def place(mirror: Mirror) -> tuple[bool, bool, bool, int]:
            gives_way = mirror.gives_way(kind, self._mirrors)
            return not mirror.allows(*kinds), gives_way, mirror.name != first, mirror.rank

        return sorted(self._mirrors, key=place)

    async def _attempt(
        self, mirror: Mirror, name: ProjectName, known: Validators | None, seconds: float
    ) -> Listing | NotModified:
        """Ask one mirror, for at least `reserve` seconds, and note how it did."""
        own = known if known is not None and known.origin == mirror.name else None
        allowed = max(seconds, self._reserve)
        began = self._clock()
        try:
            try:
                async with asyncio.timeout(allowed):
                    answer = await self._in_turn(mirror, name, own)
            except TimeoutError as error:
                raise UpstreamTimeout(mirror.name, f"no page within {allowed:.3g} s") from error
        except ProjectNotFound:
            mirror.answered(self._clock() - began)
            raise
        except _Spared:
            raise
        except UpstreamError as error:
            mirror.failed("pages", error)
            self._observer(MirrorFailed(origin=mirror.name, what=name, reason=reason(error)))
            raise
        mirror.answered(self._clock() - began, answer.first_byte)
        return answer

    async def _in_turn(
        self, mirror: Mirror, name: ProjectName, known: Validators | None
    ) -> Listing | NotModified:
        """Ask at once; a mirror whose breaker isn't closed by one request at a time, whose failure is the others', too."""
        if not mirror.closed("pages"):
            seen = mirror.failures
            async with mirror.turn:
                if mirror.failures != seen:
                    raise _Spared(mirror.name, mirror.last_error)
                if not mirror.closed("pages"):
                    mirror.probe("pages")
                    return await mirror.source.project(name, known)
        return await mirror.source.project(name, known)

    def _reporter(self, mirror: Mirror, filename: str) -> Callable[[UpstreamError | None, int, float], None]:
        def report(error: UpstreamError | None, received: int, seconds: float) -> None:
            if error is None:
                mirror.delivered(received, seconds)
                return
            self._observer(MirrorFailed(origin=mirror.name, what=filename, reason=reason(error)))
            error.told = True
            if unwell(error):
                mirror.failed("files", error)

        return report


def _hashed(file: File) -> bool:
    """Whether the page gives a digest of the file's sidecar that can be checked."""
    promised = file.core_metadata if isinstance(file.core_metadata, tuple) else ()
    return any(digest.algorithm in STRENGTH for digest in promised)


class _Spared(UpstreamError):
    """The mirror wasn't asked, since it has just failed; the message says how. It says nothing new of its health."""
