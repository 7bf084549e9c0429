"""Asking the mirrors for one page, and what their answers make of the page that is held.

The answer of one mirror isn't the whole truth when another one listed what is held: `rules.merge` says what becomes of
each file, `rules.absence` what a "no such project" is worth, and here further mirrors are asked where these rules
want them to be. It holds no pages and decides nothing about age; it knows no HTTP and no concrete mirror.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass, replace

import msgspec

from pypicache.errors import ProjectNotFound, UpstreamError
from pypicache.events import DigestChanged, Observer, PageRefreshed, Withdrawn
from pypicache.index.catalog import Catalog
from pypicache.index.entry import Entry
from pypicache.index.lru import ByteLRU
from pypicache.index.merging import Settled, Told, renew, review
from pypicache.index.shelf import digest_of
from pypicache.offload import Offload
from pypicache.rules.absence import Absence, weigh
from pypicache.rules.freshness import Windows
from pypicache.rules.merge import LAPSE, Authority
from pypicache.simple.model import ProjectName
from pypicache.store.pages import PageStore
from pypicache.upstream.source import Listing, NotModified, Replicas

OPINIONS = 3
"""How many further mirrors are asked about files that the answer lacks."""


@dataclass(frozen=True, slots=True)
class _Round:
    """What came of one round of questions, beside the answer itself."""

    settled: Settled | None = None
    """What the held page has become; None when it stays as it is."""
    asked: tuple[str, ...] = ()
    """The further mirrors that were asked."""
    said: tuple[str, ...] = ()
    """Those of them that answered."""


class Refresher:
    """Asks about the pages of the index called `index`."""

    def __init__(
        self,
        *,
        index: str,
        source: Replicas,
        windows: Windows,
        clock: Callable[[], float],
        observer: Observer,
        offload: Offload,
    ) -> None:
        self._index = index
        self._source = source
        self._windows = windows
        self._clock = clock
        self._observer = observer
        self._offload = offload

    async def ask(
        self, project: ProjectName, held: Entry | None, page: bytes | None
    ) -> tuple[Entry, bytes | None]:
        """What is known after the mirrors were asked, and the page if it is another one than `page`.

        `held` is what was known before, and `page` its page, if there is one. Raises UpstreamError when no mirror
        said anything that counts.
        """
        if held is None or page is None:
            return await self._first(project)
        authority = self._authority(held)
        # A file whose owner has been silent for too long is decided by the others' whole pages.
        known = None if authority.lapsed & set(held.unsure) else held.validators
        began = self._clock()
        try:
            answer = await self._source.project(project, known)
        except ProjectNotFound as error:
            return self._denied(project, held, error, authority), None
        authority = replace(authority, lapsed=authority.lapsed - {answer.validators.origin})
        try:
            round_ = await self._settle(project, held, page, answer, authority)
        except (BrokenExecutor, MemoryError) as error:
            raise UpstreamError("", f"{project}: too large to be merged with the memory there is") from error
        settled = round_.settled
        digest = held.page_digest if settled is None else settled.digest
        entry = self._entry(answer, digest, held, round_)
        changed = digest != held.page_digest
        self._tell(project, entry, changed=changed, seconds=self._clock() - began)
        if settled is None:
            return entry, None
        self._tell_more(project, settled)
        return entry, settled.page if changed else None

    async def _first(self, project: ProjectName) -> tuple[Entry, bytes | None]:
        """As `ask`, with nothing held: whatever is said counts."""
        began = self._clock()
        try:
            answer = await self._source.project(project, None)
        except ProjectNotFound as error:
            return self._absent(error), None
        assert isinstance(answer, Listing), "unchanged, compared with nothing"
        entry = self._entry(answer, await digest_of(answer.page), None, _Round())
        self._tell(project, entry, changed=True, seconds=self._clock() - began)
        return entry, answer.page

    # A page, or "unchanged"

    def _authority(self, held: Entry) -> Authority:
        """The mirrors and their order; those that listed what is held, and have been silent for too long, lapsed."""
        now = self._clock()
        lapsed = frozenset(origin for origin, at in held.silent_since.items() if now - at > LAPSE)
        return Authority(tuple(self._source.origins), lapsed)

    async def _settle(
        self,
        project: ProjectName,
        held: Entry,
        page: bytes,
        answer: Listing | NotModified,
        authority: Authority,
    ) -> _Round:
        """What the held page becomes, and who was asked beside the mirror that answered."""
        before, origin = Told(held.origin, page), answer.validators.origin
        weight = len(page)
        if isinstance(answer, NotModified):
            if not held.unsure:
                return _Round()
            asked = held.unsure[:OPINIONS]
            said = await self._source.ask(project, asked)
            if not (opinions := _pages(said)):
                return _Round(None, asked, tuple(said))
            weight += sum(len(told.page) for told in opinions)
            settled = await self._offload.run(weight, review, before, held.unsure, opinions)
            return _Round(settled, asked, tuple(said))
        if answer.page == page and origin == held.origin:
            return _Round()
        new = Told(origin, answer.page)
        weight += len(answer.page)
        settled = await self._offload.run(weight, renew, before, new, authority)
        if not settled.unsure:
            return _Round(settled)
        others = dict.fromkeys(name for name in (*settled.unsure, *authority.order) if name != origin)
        asked = tuple(others)[:OPINIONS]
        said = await self._source.ask(project, asked)
        if not said and not authority.lapsed & set(settled.unsure):
            return _Round(settled, asked)
        opinions = _pages(said)
        weight += sum(len(told.page) for told in opinions)
        settled = await self._offload.run(weight, renew, before, new, authority, opinions, 1 + len(said))
        return _Round(settled, asked, tuple(said))

    def _entry(
        self, answer: Listing | NotModified, digest: str | None, held: Entry | None, round_: _Round
    ) -> Entry:
        now, validators, settled = self._clock(), answer.validators, round_.settled
        if settled is not None:
            home, unsure = settled.home, settled.unsure
        else:
            home, unsure = (validators.origin, ()) if held is None else (held.origin, held.unsure)
        silent = dict.fromkeys((home, *round_.asked), now) | ({} if held is None else held.silent_since)
        for origin in (validators.origin, *round_.said):
            silent.pop(origin, None)
        return Entry(
            # Bounded, since a CDN that is purged on every change sends ages of days for pages that are current.
            checked_at=now - min(answer.age, self._windows.ttl / 2),
            asked_at=now,
            page_digest=digest,
            origin=home,
            answered=validators.origin,
            silent_since={origin: at for origin, at in silent.items() if origin in self._source.origins},
            unsure=unsure,
            etag=validators.etag,
            last_modified=validators.last_modified,
            body_digest=validators.body_digest,
        )

    # "No such project"

    def _denied(
        self, project: ProjectName, held: Entry, error: ProjectNotFound, authority: Authority
    ) -> Entry:
        now = self._clock()
        match Absence.GONE if error.confirmed else weigh(error.origins, held.origin, authority):
            case Absence.DISREGARD:
                raise UpstreamError("", f"{error}; {held.origin}, which listed it, doesn't answer") from error
            case Absence.REPEAT if (
                held.denied_at is None or abs(now - held.denied_at) < self._windows.negative_ttl
            ):
                return msgspec.structs.replace(
                    held, asked_at=now, denied_at=held.denied_at or now, denied_by=error.origins
                )
        self._observer(Withdrawn(index=self._index, project=project, filenames=(), reason=str(error)))
        return self._absent(error)

    def _absent(self, error: ProjectNotFound) -> Entry:
        now = self._clock()
        return Entry(checked_at=now, asked_at=now, denied_by=error.origins)

    # What is told

    def _tell(self, project: ProjectName, entry: Entry, *, changed: bool, seconds: float) -> None:
        self._observer(
            PageRefreshed(
                index=self._index, project=project, origin=entry.answered, changed=changed, seconds=seconds
            )
        )

    def _tell_more(self, project: ProjectName, settled: Settled) -> None:
        """What an operator wants to know of the change: files that went, and bytes that aren't what they were."""
        for dispute in settled.disputes:
            self._observer(
                DigestChanged(
                    index=self._index,
                    project=project,
                    filename=dispute.filename,
                    origin=dispute.origin,
                    held=dispute.held,
                    got=dispute.got,
                    followed=dispute.followed,
                )
            )
        if settled.withdrawn:
            self._observer(
                Withdrawn(
                    index=self._index, project=project, filenames=settled.withdrawn, reason="no longer listed"
                )
            )
        if settled.refusal is not None:
            self._observer(
                Withdrawn(index=self._index, project=project, filenames=(), reason=settled.refusal)
            )


def _pages(said: Mapping[str, Listing | None]) -> tuple[Told, ...]:
    """The pages among the answers."""
    return tuple(Told(origin, answer.page) for origin, answer in said.items() if answer is not None)


def page_catalog(
    *,
    index: str,
    source: Replicas,
    store: PageStore,
    windows: Windows,
    clock: Callable[[], float],
    observer: Observer,
    offload: Offload,
    offline: bool = False,
    pages: ByteLRU[str, bytes] | None = None,
) -> Catalog:
    """A catalog of pages whose mirrors are asked as described above."""
    asker = Refresher(
        index=index, source=source, windows=windows, clock=clock, observer=observer, offload=offload
    )
    return Catalog(
        index=index,
        asker=asker,
        store=store,
        windows=windows,
        clock=clock,
        observer=observer,
        offline=offline,
        pages=pages,
    )
