"""Looking at everything in the cache, hashing every file, and setting aside what is wrong where that is asked for.

What was set aside is fetched again, or made again, when somebody asks for it: nothing is mended in place.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Callable, Iterator

import msgspec

from pypicache.care.orders import Verified, Wrong
from pypicache.care.progress import Progress
from pypicache.care.stores import Stores
from pypicache.errors import one_line
from pypicache.index.entry import Entry
from pypicache.index.facts import Fact
from pypicache.store import soundness
from pypicache.store.inspection import Damage
from pypicache.store.usage import SHARDS


class Verifying:
    """One look at everything. With `repair`, what is wrong is set aside."""

    def __init__(self, stores: Stores, progress: Progress, *, repair: bool) -> None:
        self._stores = stores
        self._progress = progress
        self._repair = repair
        self._stop = threading.Event()
        self._wrong: list[Wrong] = []
        self._files = self._bytes = self._links = self._pages = 0

    async def verify(self) -> Verified:
        """Look; cancelling it ends it soon."""
        try:
            await self._look_at_pages()
            await asyncio.to_thread(self._look_at_others)
            await asyncio.to_thread(self._look_at_files)
        except asyncio.CancelledError:
            self._stop.set()
            raise
        return Verified(
            files=self._files,
            bytes=self._bytes,
            links=self._links,
            pages=self._pages,
            wrong=tuple(self._wrong),
        )

    def _tell(self, kind: str, where: str, what: str, *, repaired: bool) -> None:
        self._wrong.append(Wrong(kind=kind, where=one_line(where), what=one_line(what), repaired=repaired))

    # Pages

    async def _look_at_pages(self) -> None:
        pages = self._stores.pages
        now = await asyncio.to_thread(soundness.database, self._stores.root / "pages")
        if (trouble := self._stores.trouble or now) is not None:
            # What is damaged enough not to be opened was set aside then.
            repaired = self._repair and (now is None or await pages.distrust())
            self._tell("database", "pages", trouble, repaired=repaired)
            return
        keys = await pages.keys("")
        self._progress.begin("pages", len(keys))
        for key in keys:
            why: str | None = "its checksum is wrong"
            if await pages.sound(key):
                data = await pages.get(key)  # None: it has gone meanwhile
                why = None if data is None else await asyncio.to_thread(_wrong_value, key, data)
            if why is not None:
                if self._repair:
                    pages.drop((key,))
                self._tell("page", key, why, repaired=self._repair)
            self._pages += key.startswith("page:")
            self._progress.step(1)
        await pages.flush()

    # Links, lists and files, in a thread

    def _look_at_others(self) -> None:
        keeper = self._stores.blobs.keeper
        self._take("link", soundness.links(self._stores.root, self._link), self._set_aside)
        self._take("list", soundness.lists(self._stores.root), self._set_aside)
        self._take("stray", keeper.strays(), keeper.inspection.set_aside)

    def _link(self) -> None:
        self._links += 1

    def _look_at_files(self) -> None:
        keeper = self._stores.blobs.keeper
        self._progress.begin("files", keeper.totals().blobs)
        for shard in range(SHARDS):
            for each in keeper.files.scan(shard):
                if self._stop.is_set():
                    return
                damage = keeper.verify(each.sha256, repair=self._repair, stop=self._stop)
                if damage is not None:
                    self._tell("file", each.sha256, damage.why, repaired=self._repair)
                self._files += 1
                self._bytes += each.size
                self._progress.step(each.size)
        if self._repair:
            keeper.count()

    def _take(self, kind: str, found: Iterator[Damage], remove: Callable[[Damage], object]) -> None:
        for damage in list(found):
            if self._stop.is_set():
                return
            if self._repair:
                remove(damage)
            where = str(damage.path.relative_to(self._stores.root))
            gone = not damage.path.exists() and not damage.path.is_symlink()
            self._tell(kind, where, damage.why, repaired=self._repair and gone)

    def _set_aside(self, damage: Damage) -> None:
        quarantine = self._stores.blobs.keeper.quarantine
        try:
            quarantine.take(damage.path)
        except OSError:
            return
        quarantine.trim()


def _wrong_value(key: str, data: bytes) -> str | None:
    """What is wrong with a value of the page store that its checksum doesn't tell."""
    kind, _, name = key.partition(":")
    try:
        match kind:
            case "page":
                if hashlib.sha256(data).hexdigest() != name:
                    return "it isn't the page of that digest"
            case "entry":
                msgspec.msgpack.decode(data, type=Entry)
            case "facts":
                msgspec.msgpack.decode(data, type=dict[str, Fact])
    except (ValueError, RecursionError) as error:
        return f"it can't be read: {error}"
    return None
