"""One index's pages: kept, refreshed, and never lost to a bad answer.

Kept are the page as the origin meant it (parsed, unfiltered, links absolute) and, apart from it, what is
known about it (`Entry`): when it was last confirmed, by which mirror, with which validators. So a 304
rewrites a few hundred bytes, and one page serves every form.

`freshness.assess` decides what to do with a held page; this module does it. Requests for one project, whatever
process they come to, share one question to the mirrors, which goes on when they leave; `refresh` asks it and says what the
held page becomes. A page is replaced only by what mirrors state; an outage changes nothing. It knows no HTTP and no concrete mirror.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

import msgspec

from pypicache.errors import ProjectNotFound, UpstreamError
from pypicache.events import Observer, PageServedStale
from pypicache.index.entry import Entry, Outcome, Page, Standing
from pypicache.index.lru import ByteLRU
from pypicache.index.page_lease import PageLeases
from pypicache.index.popularity import Popularity
from pypicache.index.shelf import Shelf, entry_key
from pypicache.index.tasks import Tasks
from pypicache.index.turn import Turn
from pypicache.rules import freshness
from pypicache.rules.freshness import Freshness, Windows
from pypicache.simple.model import ProjectName
from pypicache.store.pages import PageStore

ANSWER_WITHIN = 12.0
"""Seconds after which a client is answered, one way or another: pip gives up at 15. The question goes on behind."""


Told = tuple[Entry, bool]
"""What is known after a question, and whether it was this process that asked."""


class Asker(Protocol):
    """Asks the mirrors about one project: `refresh.Refresher` for pages, another for what is kept as pages are."""

    async def ask(
        self, project: ProjectName, held: Entry | None, page: bytes | None
    ) -> tuple[Entry, bytes | None]:
        """What is known now, and the page if it is another one than `page`. Raises UpstreamError when nobody answers."""
        ...


class Catalog:
    """The pages of one index. Use as an async context manager. `pages`: those that memory holds, by digest; may be shared."""

    def __init__(
        self,
        *,
        index: str,
        asker: Asker,
        store: PageStore,
        windows: Windows,
        clock: Callable[[], float],
        observer: Observer,
        offline: bool = False,
        pages: ByteLRU[str, bytes] | None = None,
    ) -> None:
        self.index = index
        self._asker = asker
        self._shelf = Shelf(index=index, store=store, pages=pages)
        self._windows = windows
        self._clock = clock
        self._observer = observer
        self._offline = offline
        self._flights: dict[ProjectName, asyncio.Task[Told]] = {}
        self._tasks = Tasks()
        self._turn = Turn(store, self._tasks)
        self._popularity = Popularity()
        self.leases = PageLeases(index=index, shelf=self._shelf, windows=windows, offline=offline)
        """How long what is held is the answer, and nobody is to be asked."""

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._tasks.__aexit__(kind, error, trace)

    async def page(
        self, project: ProjectName, *, revalidate: bool = False, within: float = ANSWER_WITHIN
    ) -> Page:
        """The project's page. `revalidate`: the client wants the mirrors asked now (at most once in 5 s they are).

        `within`: seconds after which it is given or refused, whoever is silent. The question goes on behind.
        Raises ProjectNotFound for a confirmed absence, UpstreamError when no mirror answers and nothing usable is held.
        """
        entry = await self._shelf.entry(project)
        match self._assess(project, entry, revalidate=revalidate):
            case Freshness.FRESH:
                assert entry is not None
                self._refresh_ahead(project, entry)
                return await self._answer(project, entry, Outcome.HIT)
            case Freshness.ASK_WITHIN_PATIENCE:
                assert entry is not None
                return await self._ask(project, entry, patience=min(self._windows.patience, within))
            case Freshness.ASK_FIRST:
                return await self._ask(project, entry, patience=within)
            case Freshness.GONE:
                return await self._ask(project, None, patience=within)

    async def held(self, project: ProjectName) -> Page | None:
        """The page as it is held, whatever its age, without asking anyone; None when there is none or the project is gone."""
        entry = await self._shelf.entry(project)
        if entry is None or entry.page_digest is None:
            return None
        data = await self._shelf.page(entry.page_digest)
        return None if data is None else self._page(project, entry, data, Outcome.HIT)

    async def known(self, project: ProjectName) -> tuple[Entry | None, Freshness]:
        """What is known of the project's page, and what would be done with it now; nobody is asked."""
        entry = await self._shelf.entry(project)
        return entry, self._assess(project, entry)

    async def standing(self, project: ProjectName) -> Standing:
        """What is remembered of the project; nobody is asked."""
        entry, freshness = await self.known(project)
        if entry is None:
            return Standing.UNKNOWN
        if not entry.absent:
            return Standing.HELD
        return Standing.LAPSED if freshness is Freshness.GONE else Standing.DENIED

    async def absent(self, project: ProjectName) -> bool:
        """Whether the project is recorded as not there, whatever the record's age."""
        entry = await self._shelf.entry(project)
        return entry is not None and entry.absent

    def forget(self, project: ProjectName | None = None) -> None:
        """Let go of what memory holds of the project, or of all: what is stored was changed by somebody else."""
        if project is None:
            self._shelf.clear()
        else:
            self._shelf.forget(project)

    def refresh_behind(self, project: ProjectName) -> None:
        """Have the page asked for in the background, if it is older than its `ttl` or not held at all."""
        entry = self._shelf.at_hand(project)
        if self._offline or project in self._flights or self._assess(project, entry) is Freshness.FRESH:
            return
        if entry is None or self._since(entry.asked_at) >= freshness.ASK_LIMIT:
            self._start(project, entry, look=entry is None)

    def _refresh_ahead(self, project: ProjectName, entry: Entry) -> None:
        """Have a popular page asked for in the background, if it is about to expire."""
        uses = self._popularity.use(project, entry.asked_at)
        about_to_expire = freshness.refresh_ahead(
            checked_at=entry.checked_at,
            now=self._clock(),
            windows=self._windows,
            jitter=self._jitter(project),
            uses=uses,
        )
        if (
            about_to_expire
            and not (self._offline or entry.absent or project in self._flights)
            and entry.denied_at is None
            and self._since(entry.asked_at) >= freshness.ASK_LIMIT
        ):
            self._start(project, entry)

    # What is held

    def _assess(self, project: ProjectName, entry: Entry | None, *, revalidate: bool = False) -> Freshness:
        if entry is None:
            return Freshness.GONE
        if entry.absent:
            return freshness.assess_absence(
                checked_at=entry.checked_at,
                asked_at=entry.asked_at,
                now=self._clock(),
                windows=self._windows,
                revalidate=revalidate,
                offline=self._offline,
            )
        usable = freshness.assess(
            checked_at=entry.checked_at,
            asked_at=entry.asked_at,
            now=self._clock(),
            windows=self._windows,
            jitter=self._jitter(project),
            revalidate=revalidate,
            offline=self._offline,
        )
        if entry.denied_at is None or self._offline or usable is Freshness.GONE:
            return usable
        # Someone said it is gone. It is shown until that is confirmed, and asked about again soon.
        due = self._since(entry.asked_at) >= self._windows.negative_ttl
        return Freshness.ASK_FIRST if due else Freshness.FRESH

    def _jitter(self, project: ProjectName) -> float:
        return freshness.jitter(f"{self.index}/{project}")

    def _since(self, instant: float) -> float:
        """Seconds between then and now. A clock that was set back must not make an instant last for ever."""
        return abs(self._clock() - instant)

    def _page(
        self, project: ProjectName, entry: Entry, data: bytes, outcome: Outcome, *, collapsed: bool = False
    ) -> Page:
        assert entry.page_digest is not None
        return Page(
            project=project,
            data=data,
            digest=entry.page_digest,
            origin=entry.origin,
            checked_at=entry.checked_at,
            outcome=outcome,
            collapsed=collapsed,
        )

    async def _answer(
        self, project: ProjectName, entry: Entry, outcome: Outcome, *, collapsed: bool = False
    ) -> Page:
        if entry.page_digest is None:
            age = self._clock() - entry.checked_at if outcome is Outcome.HIT else None
            raise ProjectNotFound(f"{self.index} has no project {project}", age=age)
        data = await self._shelf.page(entry.page_digest)
        if data is None:
            # The entry outlived its page (evicted, or damaged on disk): as if nothing were held.
            self._shelf.forget(project)
            return await self._ask(project, None, patience=ANSWER_WITHIN)
        return self._page(project, entry, data, outcome, collapsed=collapsed)

    # Asking the mirrors

    async def _ask(self, project: ProjectName, held: Entry | None, *, patience: float) -> Page:
        """Ask, wait for at most `patience` seconds, and use what is held when that brings nothing."""
        if self._offline:
            raise UpstreamError("", f"{self.index} is offline and {project} isn't in the cache")
        collapsed = project in self._flights
        flight = self._flights.get(project) or self._start(project, held)
        done, _ = await asyncio.wait({flight}, timeout=patience)
        if not done:
            if held is None or held.absent:
                raise UpstreamError(
                    "", f"{self.index}: no mirror answered for {project} within {patience:g} s", retry_after=2
                )
            return await self._answer(project, held, Outcome.STALE, collapsed=collapsed)
        try:
            entry, ours = flight.result()
        except UpstreamError as error:
            if held is None or held.absent:
                raise
            now = self._clock()
            self._observer(
                PageServedStale(
                    index=self.index, project=project, age=now - held.checked_at, reason=str(error)
                )
            )
            return await self._answer(project, held, Outcome.STALE_IF_ERROR, collapsed=collapsed)
        return await self._answer(
            project,
            entry,
            Outcome.REVALIDATED if held else Outcome.MISS,
            collapsed=collapsed or not ours,
        )

    def _start(self, project: ProjectName, held: Entry | None, *, look: bool = False) -> asyncio.Task[Told]:
        flight = self._tasks.start(self._refresh(project, held, look=look), name=f"page of {project}")
        self._flights[project] = flight
        flight.add_done_callback(lambda _: self._flights.pop(project, None))
        return flight

    async def _refresh(self, project: ProjectName, held: Entry | None, *, look: bool = False) -> Told:
        """Ask the mirrors and record what they say. Raises UpstreamError, having changed nothing but `asked_at`.

        What another process has been told meanwhile is the answer. With `look`, memory held nothing, and the disk may.
        """
        began = self._clock()
        async with self._turn.of(entry_key(self.index, project)):
            if look or self._turn.shared:
                latest = await self._shelf.entry(project)
                if latest is not None and (held is None or latest.asked_at > held.asked_at):
                    usable = self._assess(project, latest)
                    if usable is Freshness.FRESH or latest.asked_at >= began:
                        return latest, False
                    held = None if usable is Freshness.GONE else latest
            page = None
            if held is not None and held.page_digest is not None:
                page = await self._shelf.page(held.page_digest)
            try:
                entry, page = await self._asker.ask(project, held, page)
            except UpstreamError:
                if held is not None:
                    self._shelf.note(project, msgspec.structs.replace(held, asked_at=self._clock()))
                raise
            return self._shelf.keep(project, entry, page), True
