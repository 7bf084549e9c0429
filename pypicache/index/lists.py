"""One index's list of all projects: held on disk, refreshed behind those who ask, never waited for long.

It is large (PEP 503's root page has tens of megabytes) and little used, so it has rules of its own::

    held, younger than `ttl`        it goes out
    held, older                     it goes out, and the mirrors are asked behind; `no-cache` waits for that a while
    held, past `stale_if_error`     it goes out only if the mirrors, asked and waited for, bring no other
    none held                       waited for, `WITHIN` seconds at most; then 503, and the download goes on
    no mirror has one               404, believed for `negative_ttl`
    no mirror answers               the held one, or 503, at once for the next `QUIET` seconds

A mirror's list is taken apart and made anew slice by slice in the helper process, so that nothing here ever holds more
than a slice, and replaces the held one only when it has come to its end. No page waits for any of this.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import msgspec

from pypicache.errors import (
    AllUpstreamsFailed,
    NotFound,
    PypicacheError,
    StoreError,
    UpstreamError,
    UpstreamGarbled,
    UpstreamTimeout,
)
from pypicache.events import ListRefreshed, MirrorFailed, Observer
from pypicache.index.content import Stored
from pypicache.index.entry import Outcome
from pypicache.index.tasks import Tasks
from pypicache.offload import Offload
from pypicache.rules import freshness
from pypicache.rules.freshness import Freshness, Windows
from pypicache.simple.listing import NotAList, Part, State, step
from pypicache.store.lists import Draft, ListRecord, ListStore
from pypicache.upstream.source import ListBody, ListCopy, ListSource, NotModified, Validators

WITHIN = 10.0
"""Seconds that a client waits for a list that isn't held: pip gives up at 15."""

QUIET = 5.0
"""Seconds for which an outage is believed: who asks meanwhile is told at once."""

BUDGET = 900.0
"""Seconds for one list, however it drips."""

SLICE = (1 << 20) + 1
"""Bytes that are read in one step: just enough for the helper process, where they hold nobody up."""


@dataclass(frozen=True, slots=True)
class OpenedList:
    """A part of the list, ready to be sent."""

    content: Stored
    checked_at: float
    outcome: Outcome
    collapsed: bool


class _OnItsWay(UpstreamError):
    """The list isn't there yet, and its download goes on."""

    def __init__(self, index: str) -> None:
        super().__init__("", f"{index}: the list of projects is still on its way", retry_after=5)


class ProjectLists:
    """The list of one index. Use as an async context manager."""

    def __init__(
        self,
        *,
        index: str,
        source: ListSource,
        store: ListStore,
        windows: Windows,
        offload: Offload,
        clock: Callable[[], float],
        observer: Observer,
        offline: bool = False,
        within: float = WITHIN,
    ) -> None:
        self._index = index
        self._source = source
        self._store = store
        self._windows = windows
        self._offload = offload
        self._clock = clock
        self._observer = observer
        self._offline = offline
        self._within = within
        self._asked_at = float("-inf")
        self._refusal: PypicacheError | None = None
        self._flight: asyncio.Task[ListRecord] | None = None
        self._tasks = Tasks()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._tasks.__aexit__(kind, error, trace)

    async def open(self, part: Part, *, revalidate: bool = False) -> OpenedList:
        """That part of the list; the caller closes its content.

        Raises NotFound when no mirror has a list, UpstreamError when none answers and none is held.
        """
        record = self._store.held(self._index)
        fresh = self._assess(record, revalidate=revalidate)
        if fresh is Freshness.FRESH and (opened := self._opened(part, Outcome.HIT)) is not None:
            return opened
        if self._offline:
            raise UpstreamError("", f"{self._index} is offline and its list of projects isn't in the cache")
        collapsed = self._flight is not None
        flight = self._refresh()
        if fresh is not Freshness.GONE and not revalidate:
            opened = self._opened(part, Outcome.STALE if flight else Outcome.STALE_IF_ERROR)
            if opened is not None:
                return opened
        failed = await self._outcome(flight)
        if failed is None:
            outcome = Outcome.MISS if record is None else Outcome.REVALIDATED
        else:
            outcome = Outcome.STALE if isinstance(failed, _OnItsWay) else Outcome.STALE_IF_ERROR
        opened = self._opened(part, outcome, collapsed=collapsed)
        if opened is None:
            # Without the traceback of those who were told before: one refusal is told to many.
            raise (failed or _OnItsWay(self._index)).with_traceback(None)
        return opened

    def _assess(self, record: ListRecord | None, *, revalidate: bool) -> Freshness:
        if record is None:
            return Freshness.GONE
        return freshness.assess(
            checked_at=record.checked_at,
            asked_at=self._asked_at,
            now=self._clock(),
            windows=self._windows,
            jitter=freshness.jitter(self._index),
            revalidate=revalidate,
            offline=self._offline,
        )

    def _opened(self, part: Part, outcome: Outcome, *, collapsed: bool = False) -> OpenedList | None:
        blob = self._store.open(self._index, part)
        record = self._store.held(self._index)
        if blob is None or record is None:
            return None
        return OpenedList(Stored(blob), record.checked_at, outcome, collapsed)

    async def _outcome(self, flight: asyncio.Task[ListRecord] | None) -> PypicacheError | None:
        """How the question to the mirrors went, or that it takes too long; None when it brought a list."""
        if flight is None:
            return self._refusal
        done, _ = await asyncio.wait({flight}, timeout=self._within)
        if not done:
            return _OnItsWay(self._index)
        try:
            flight.result()
        except PypicacheError as error:
            return error
        return None

    # Asking the mirrors

    def _refresh(self) -> asyncio.Task[ListRecord] | None:
        """The question to the mirrors that is out, or a new one; None when the last answer is still believed."""
        if self._flight is not None:
            return self._flight
        since = self._clock() - self._asked_at
        believed = self._windows.negative_ttl if isinstance(self._refusal, NotFound) else QUIET
        if self._refusal is not None and 0 <= since < believed:
            return None
        flight = self._tasks.start(self._ask(), name=f"list of {self._index}")
        self._flight = flight
        flight.add_done_callback(self._landed)
        return flight

    def _landed(self, flight: asyncio.Task[ListRecord]) -> None:
        self._flight = None
        self._asked_at = self._clock()
        error = None if flight.cancelled() else flight.exception()
        self._refusal = error if isinstance(error, PypicacheError) else None

    async def _ask(self) -> ListRecord:
        """Take the first mirror's list that is one. Raises NotFound or UpstreamError, having changed nothing."""
        failed: list[UpstreamError] = []
        for copy in (copies := self._source.lists()):
            try:
                return await self._take(copy)
            except (NotFound, NotAList) as error:
                self._tell(copy.origin, str(error))
            except (UpstreamError, ValueError) as error:
                cause = (
                    error if isinstance(error, UpstreamError) else UpstreamGarbled(copy.origin, str(error))
                )
                self._tell(copy.origin, str(cause).removeprefix(f"{copy.origin}: "))
                failed.append(cause)
            except StoreError as error:
                raise UpstreamError("", f"{self._index}: the list of projects: {error}") from error
        if failed or not copies:
            raise AllUpstreamsFailed(f"{self._index}: the list of projects", failed)
        raise NotFound(
            f"{self._index} offers no list of all projects; ask for one at /{self._index}/simple/{{project}}/"
        )

    def _tell(self, origin: str, reason: str) -> None:
        self._observer(MirrorFailed(origin=origin, what="the list of projects", reason=f"{origin}: {reason}"))

    async def _take(self, copy: ListCopy) -> ListRecord:
        began = self._clock()
        held = self._store.held(self._index)
        known = None if held is None else Validators(origin=held.origin, etag=held.etag)
        answer = await copy.open(known)
        if isinstance(answer, NotModified):
            assert held is not None, "unchanged, compared with nothing"
            record = msgspec.structs.replace(held, checked_at=self._clock())
            await self._store.note(record)
        else:
            async with answer:
                record = await self._store_list(answer)
        changed = held is None or held.parts != record.parts
        self._observer(
            ListRefreshed(
                index=self._index,
                origin=copy.origin,
                count=record.count,
                changed=changed,
                seconds=self._clock() - began,
            )
        )
        return record

    async def _store_list(self, body: ListBody) -> ListRecord:
        """The whole list, through the helper process and into files."""
        draft = await self._store.draft(self._index)
        try:
            state = State(url=body.url, content_type=body.content_type)
            async with asyncio.timeout(BUDGET):
                async for piece in sliced(body.pieces(), SLICE):
                    state = await self._step(draft, state, piece, last=False)
                state = await self._step(draft, state, b"", last=True)
            return await self._store.publish(
                draft,
                checked_at=self._clock(),
                count=state.count,
                origin=body.validators.origin,
                etag=body.validators.etag,
            )
        except TimeoutError as error:
            raise UpstreamTimeout(body.validators.origin, f"no end within {BUDGET:g} s") from error
        finally:
            await asyncio.shield(draft.discard())

    async def _step(self, draft: Draft, state: State, piece: bytes, *, last: bool) -> State:
        weight = len(piece) + len(state.rest)
        state, parts = await self._offload.run(weight, step, state, piece, last=last)
        await draft.write(parts)
        return state


async def sliced(pieces: AsyncIterator[bytes], size: int) -> AsyncIterator[bytes]:
    """The same bytes in pieces of `size` and a rest, so that equal lists are cut alike."""
    waiting = bytearray()
    async for piece in pieces:
        waiting += piece
        while len(waiting) >= size:
            yield bytes(waiting[:size])
            del waiting[:size]
    if waiting:
        yield bytes(waiting)
