"""Where one index's pages are held: in memory as far as there is room, and all of them in the page store.

An `Entry` says what is known of a page; the page itself is kept apart from it, under its digest, so that confirming
a page rewrites a few hundred bytes and an unchanged page is never written again. It decides nothing.
"""

from __future__ import annotations

import asyncio
import hashlib

import msgspec

from pypicache.index.entry import Entry
from pypicache.index.lease import Read
from pypicache.index.lru import ByteLRU
from pypicache.simple.model import ProjectName
from pypicache.store.pages import PageStore, SharedPages

ENTRIES = 4 << 20
"""Bytes of entries held in memory."""

PAGES = 10 << 20
"""Bytes of pages held in memory, unless told: what is asked for again and again is answered from renderings, without them."""


HASH_INLINE = 256 << 10
"""Bytes that are hashed on the event loop; more are hashed in a thread, which hashlib lets run beside it."""


async def digest_of(page: bytes) -> str:
    """The SHA-256 that names a page, in hexadecimal."""
    if len(page) <= HASH_INLINE:
        return _sha256(page)
    return await asyncio.to_thread(_sha256, page)


def _sha256(page: bytes) -> str:
    return hashlib.sha256(page).hexdigest()


class Shelf:
    """The entries and pages of the index called `index`; `pages`, by digest, may be shared with others."""

    def __init__(self, *, index: str, store: PageStore, pages: ByteLRU[str, bytes] | None = None) -> None:
        self._index = index
        self._store = store
        self._entries: ByteLRU[ProjectName, Entry] = ByteLRU(ENTRIES)
        self._seen: dict[ProjectName, int] = {}
        self._shared = store if isinstance(store, SharedPages) and store.shared else None
        self._others = None if self._shared is None else self._shared.others
        self.at_hand = self._entries.get if self._others is None else self._if_current
        """What memory knows of the project's page; None when it knows nothing."""
        self._pages: ByteLRU[str, bytes] = ByteLRU(PAGES) if pages is None else pages

    async def entry(self, project: ProjectName) -> Entry | None:
        """What is known of the project's page; None when nothing is."""
        entry = self.at_hand(project)
        seen = self._others(self._key(project)) if self._others is not None else 0
        if entry is not None:
            return entry
        data = await self._store.get(self._key(project))
        # A question that was answered meanwhile knows better than the disk.
        if (known := self._entries.get(project)) is not None or data is None:
            return known
        try:
            entry = msgspec.msgpack.decode(data, type=Entry)
        except msgspec.MsgspecError:
            return None  # written by another version, or damaged: the mirrors know
        self._entries.put(project, entry, _weight(data))
        self._see(project, seen)
        return entry

    def reads(self, project: ProjectName, entry: Entry) -> tuple[Read, ...] | None:
        """What is as it is now while that entry is what is known, for a lease; None when it isn't any more."""
        mine: Read = (self._entries.peek, project, entry)
        if self._shared is None:
            return (mine,)
        marks = self._shared.marks(
            self._key(project)
        )  # first: what is stored from here on is noticed by one or the other
        return (mine, *marks) if self.at_hand(project) is entry else None

    async def page(self, digest: str) -> bytes | None:
        """The page of that digest; None when it isn't there any more."""
        data = self._pages.get(digest)
        if data is None and (data := await self._store.get(page_key(digest))) is not None:
            if await digest_of(data) != digest:
                return None
            self._pages.put(digest, data, len(data))
        return data

    def keep(self, project: ProjectName, entry: Entry, page: bytes | None = None) -> Entry:
        """Hold the entry, and its page if it is a new one."""
        data = msgspec.msgpack.encode(entry)
        values = {self._key(project): data}
        if page is not None and entry.page_digest is not None:
            self._pages.put(entry.page_digest, page, len(page))
            values[page_key(entry.page_digest)] = page
        self._entries.put(project, entry, _weight(data))
        if self._others is not None:
            self._see(project, self._others(self._key(project)))
        self._store.put(values)
        return entry

    def note(self, project: ProjectName, entry: Entry) -> None:
        """Hold the entry in memory only: what it adds needn't outlive a restart."""
        self._entries.put(project, entry, _weight(msgspec.msgpack.encode(entry)))

    def forget(self, project: ProjectName) -> None:
        """Let go of the entry in memory, and of its page."""
        entry = self._entries.get(project)
        if entry is not None and entry.page_digest is not None:
            self._pages.drop(entry.page_digest)
        self._entries.drop(project)

    def clear(self) -> None:
        """Let go of all that is in memory."""
        self._entries.clear()
        self._pages.clear()

    def _if_current(self, project: ProjectName) -> Entry | None:
        """What memory knows, unless another process may know better by now: then the disk is to be looked at."""
        entry = self._entries.get(project)
        assert self._others is not None
        if entry is not None and self._seen.get(project) != self._others(self._key(project)):
            self._entries.drop(project)
            return None
        return entry

    def _see(self, project: ProjectName, others: int) -> None:
        """Note what others had written when the entry was read."""
        if self._others is not None:
            if len(self._seen) > 4 * len(self._entries) + 1000:
                self._seen.clear()  # of entries that were forgotten; those that are held are read again, once
            self._seen[project] = others

    def _key(self, project: ProjectName) -> str:
        return entry_key(self._index, project)


def entry_key(index: str, project: str) -> str:
    """Where the page store has what is known of that index's project."""
    return f"entry:{index}:{project}"


def page_key(digest: str) -> str:
    """Where the page store has the page of that digest."""
    return f"page:{digest}"


def _weight(data: bytes) -> int:
    return len(data) + 300  # about what an object of such small strings costs beyond them
