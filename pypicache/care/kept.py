"""One project as one index keeps it: its page, what was learned of it, its links. Taken out of the stores, and put back.

Where pages and facts are in the page store is the catalog's and the facts' own business; they say the keys.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite

import msgspec

from pypicache.care.stores import Stores
from pypicache.errors import PypicacheError, one_line
from pypicache.index import facts as facts_of
from pypicache.index.entry import Entry
from pypicache.index.facts import Fact, facts_key
from pypicache.index.shelf import digest_of, entry_key, page_key
from pypicache.simple import model
from pypicache.simple.model import ProjectName
from pypicache.store.linkrecord import LinkRecord


class Damaged(PypicacheError):
    """What was carried here isn't what was taken out there."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What an index keeps of a project, but for its files' bytes. A field is only ever added, with a default."""

    index: str
    project: str
    entry: Entry | None = None
    """What is known of the page; it may be that there is none."""
    page: bytes = b""
    """As `simple.model.dump` writes it; empty when there is none."""
    facts: dict[str, Fact] = {}
    links: tuple[LinkRecord, ...] = ()

    @property
    def blobs(self) -> frozenset[str]:
        """The digests of what the links and facts lead to."""
        linked = {record.sha256 for record in self.links if record.sha256 is not None}
        learned = {fact.sidecar for fact in self.facts.values() if fact.sidecar is not None}
        return frozenset(linked | learned)


async def take(stores: Stores, index: str, project: str, links: Iterable[LinkRecord] = ()) -> Kept:
    """What the index keeps of the project, with these of its links."""
    entry, page = await _page(stores, index, project)
    facts = facts_of.decode(await stores.pages.get(facts_key(index, project)) or b"")
    ordered = tuple(sorted(links, key=lambda record: record.path))
    return Kept(index=index, project=project, entry=entry, page=page, facts=facts, links=ordered)


async def _page(stores: Stores, index: str, project: str) -> tuple[Entry | None, bytes]:
    data = await stores.pages.get(entry_key(index, project))
    try:
        entry = None if data is None else msgspec.msgpack.decode(data, type=Entry)
    except msgspec.MsgspecError:
        entry = None
    if entry is None or entry.page_digest is None:
        return entry, b""
    page = await stores.pages.get(page_key(entry.page_digest))
    if page is None or await digest_of(page) != entry.page_digest:
        return None, b""  # the mirrors know
    return entry, page


def dump(kept: Kept) -> bytes:
    """As an archive has it; equal values give equal bytes."""
    return msgspec.msgpack.encode(kept, order="deterministic")


def content(kept: Kept) -> bytes:
    """The same without what changes while everything stays: when mirrors were asked, and which of them answered."""
    digest = "" if kept.entry is None else kept.entry.page_digest or "absent"
    bare = msgspec.structs.replace(kept, entry=Entry(checked_at=0, page_digest=digest), page=b"")
    return dump(bare)


async def load(data: bytes) -> Kept:
    """What `dump` wrote, checked in every part. Raises Damaged."""
    try:
        kept = msgspec.msgpack.decode(data, type=Kept)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Damaged(f"a record isn't one: {one_line(str(error))}") from None
    what = f"the record of {one_line(kept.project)}"
    if model.project_name(kept.project) != kept.project:
        raise Damaged(f"{what}: no project is called that")
    if any((record.index, record.project) != (kept.index, kept.project) for record in kept.links):
        raise Damaged(f"{what} has links of another project or index")
    if kept.page and (kept.entry is None or await digest_of(kept.page) != kept.entry.page_digest):
        raise Damaged(f"{what} has another page than it says")
    if kept.entry is not None and not (isfinite(kept.entry.checked_at) and isfinite(kept.entry.asked_at)):
        raise Damaged(f"{what} was confirmed at no time")
    if kept.entry is not None and kept.entry.page_digest is not None:
        try:
            named = model.load(kept.page).name
        except ValueError:
            raise Damaged(f"{what} has no page that can be read") from None
        if named != kept.project:
            raise Damaged(f"{what} has the page of {one_line(named)}")
    return kept


async def put(stores: Stores, kept: Kept, *, now: float) -> bool:
    """Keep what isn't known better here; whether its page is the one from now on. Raises StoreError.

    The page counts that was confirmed last; where the clock there was ahead, `now` (seconds since the epoch). Links and facts
    that are here stay.
    """
    for record in kept.links:
        known = stores.links.get(record.index, record.path)
        if known is None or known.sha256 is None:
            await stores.links.put(record)
    here = await take(stores, kept.index, kept.project)
    values: dict[str, bytes] = {}
    if kept.facts and (facts := kept.facts | here.facts) != here.facts:
        values[facts_key(kept.index, kept.project)] = msgspec.msgpack.encode(facts)
    entry = None if kept.entry is None else _past(kept.entry, now)
    newer = entry is not None and (here.entry is None or here.entry.checked_at < entry.checked_at)
    if newer:
        assert entry is not None, "that is what makes it newer"
        values[entry_key(kept.index, kept.project)] = msgspec.msgpack.encode(entry)
        if entry.page_digest is not None:
            values[page_key(entry.page_digest)] = kept.page
    if values:
        stores.pages.put(values)
    return newer


def _past(entry: Entry, now: float) -> Entry:
    return msgspec.structs.replace(
        entry, checked_at=min(entry.checked_at, now), asked_at=min(entry.asked_at, now)
    )


def name_of(text: str) -> ProjectName:
    """The project's normalised name. Raises PypicacheError for what can't be one."""
    name = model.project_name(text)
    if name is None:
        raise PypicacheError(f"no project is called {one_line(text, 80)}")
    return name
