"""Tasks with an owner: work that outlives the request that caused it, and ends with its service.

`asyncio.TaskGroup` cancels all when one fails; here each task stands alone, a failure is logged by the
owner, and closing cancels what still runs. This module knows nothing of what the tasks do.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from types import TracebackType
from typing import Self, TypeVar

from pypicache.errors import PypicacheError

log = logging.getLogger(__name__)

T = TypeVar("T")


class Tasks:
    """Owns background tasks. Use as an async context manager: leaving cancels and awaits them."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[object]] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._running)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        while self._running:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    def start(self, work: Coroutine[object, object, T], *, name: str) -> asyncio.Task[T]:
        """Run it in the background. Whoever awaits the task does so through `asyncio.shield`."""
        if self._closed:
            work.close()
            raise asyncio.CancelledError("shutting down")
        task: asyncio.Task[T] = asyncio.get_running_loop().create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[T]) -> None:
        self._running.discard(task)
        # Looking at the exception also tells asyncio that it was seen: waiters may all have left.
        if not task.cancelled() and (error := task.exception()) is not None:
            if isinstance(error, PypicacheError):
                log.debug("%s: %s", task.get_name(), error)
            else:
                log.error("%s: a bug", task.get_name(), exc_info=error)
