"""One question at a time about one thing, over all processes that share the page store.

Whoever has the turn asks; the others wait, and then look at what has been stored. So the turn ends when the answer has been
stored, which nobody who has got it waits for. A process that dies in its turn loses it; one that hangs in it holds the others
up for `WITHIN` seconds. Alone, there is no turn, and nothing is waited for.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pypicache.index.tasks import Tasks
from pypicache.store.pages import PageStore, SharedPages

WITHIN = 10.0
"""Seconds that the turn is waited for: what a page request may take in all. Then it is asked beside the one who has it."""

STORED = 2.0
"""Seconds that an answer may take to be stored before the next one asks for itself."""

LOOK = 0.02
"""Seconds between two attempts to have the turn."""


class Turn:
    """Turns for keys of `store`; what ends them later belongs to `tasks`."""

    def __init__(self, store: PageStore, tasks: Tasks) -> None:
        self._store = store if isinstance(store, SharedPages) and store.shared else None
        self._tasks = tasks

    @property
    def shared(self) -> bool:
        """Whether there are others."""
        return self._store is not None

    @asynccontextmanager
    async def of(self, key: str) -> AsyncIterator[None]:
        """Have the turn meanwhile, and until what was put into the store has been stored."""
        if (store := self._store) is None or not await _taken(store, key):
            yield
            return
        stored = None
        try:
            yield
            stored = self._tasks.start(_flushed(store), name=f"hand over {key}")
            stored.add_done_callback(lambda _: store.give(key))
        finally:
            if stored is None:
                store.give(key)


async def _taken(store: SharedPages, key: str) -> bool:
    """Whether the turn was to be had in time."""
    try:
        async with asyncio.timeout(WITHIN):
            while not store.take(key):  # noqa: ASYNC110 - a lock of another process's wakes nobody
                await asyncio.sleep(LOOK)
    except TimeoutError:
        return False
    return True


async def _flushed(store: SharedPages) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(STORED):
            await store.flush()
