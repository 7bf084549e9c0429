"""Pages fetched ahead: what a wheel requires is what a resolver asks for next.

When a wheel's metadata is served, the pages of the projects that it requires are asked for in the background, as a
client would ask for them: pages that are held and fresh cost nothing, layers decide who may be asked, and the
resolver finds the answer there or on its way. pip, which asks for one page after the other, gains most.

It is bounded: a sidecar counts once in ten minutes, so many pages are asked for at once, and what is too much
is left to the client. Failures are nobody's: the client that comes for the page is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

from pypicache.errors import PypicacheError
from pypicache.index.lru import ByteLRU
from pypicache.index.serving import Serving
from pypicache.index.tasks import Tasks
from pypicache.simple.metadata import requires
from pypicache.simple.model import ProjectName

AGAIN = 600.0
"""Seconds for which one sidecar isn't looked at again."""

AT_ONCE = 8
"""Pages that are asked for at the same time."""

WAITING = 256
"""Pages that are asked for or wait for it; beyond, nothing is fetched ahead."""

SEEN = 4096
"""Sidecars that are remembered."""


class Ahead:
    """Asks for pages ahead. Use as an async context manager. `clock` is monotonic, in seconds."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._tasks = Tasks()
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._seen: ByteLRU[tuple[str, str], float] = ByteLRU(SEEN)
        self._asked: set[tuple[str, ProjectName]] = set()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._tasks.__aexit__(kind, error, trace)

    def due(self, index: str, sidecar: str) -> bool:
        """Whether that sidecar (any name that its bytes have) is worth being looked at; from then on it isn't for a while."""
        seen = self._seen.get((index, sidecar))
        if seen is not None and self._clock() - seen < AGAIN:
            return False
        self._seen.put((index, sidecar), self._clock(), 1)
        return True

    def fetch(self, index: Serving, metadata: bytes) -> None:
        """Have the pages of what the core metadata require asked for, in the order in which they stand there."""
        for project in requires(metadata):
            key = index.name, project
            if key in self._asked or len(self._asked) >= WAITING:
                continue
            self._asked.add(key)
            task = self._tasks.start(self._page(index, project), name=f"page of {project}, ahead")
            task.add_done_callback(lambda _, key=key: self._asked.discard(key))  # type: ignore[misc]

    async def _page(self, index: Serving, project: ProjectName) -> None:
        async with self._turns:
            try:
                await index.page(project)
            except PypicacheError:
                return
