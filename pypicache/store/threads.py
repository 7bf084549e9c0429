"""Blocking work on the disk, in threads of its own.

A hung resolver or a hung disk must not eat the event loop's default executor, so each store has its
own few threads. Work that has begun is never abandoned half-way: who waits for it may be cancelled, the
work runs to its end, and `undo` takes back what nobody is left to receive (an open descriptor).

It knows nothing of files. It may not import anything of the package but errors.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from pypicache.errors import StoreError

P = ParamSpec("P")
T = TypeVar("T")


class Threads:
    """A few threads for blocking calls. Made and used on the event loop."""

    def __init__(self, *, count: int, name: str) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix=name)
        self._running: set[asyncio.Future[Any]] = set()
        self._closed = False

    def start(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
        """Begin the work; the future is done when the thread is. Don't cancel it. Raises StoreError after `close`."""
        if self._closed:
            raise StoreError("the store is closed")
        future: asyncio.Future[T] = asyncio.get_running_loop().run_in_executor(
            self._pool, functools.partial(work, *args, **kwargs)
        )
        self._running.add(future)
        future.add_done_callback(self._ended)
        return future

    def _ended(self, future: asyncio.Future[T]) -> None:
        self._running.discard(future)
        if not future.cancelled():
            future.exception()  # looked at, so that asyncio doesn't log it when the one who waited was cancelled

    async def run(
        self,
        work: Callable[[], T],
        *,
        undo: Callable[[T], object] | None = None,
        ended: Callable[[], object] | None = None,
    ) -> T:
        """The work's result, or what it raised.

        Both callbacks are called on the event loop: `undo` with the result when the caller was cancelled
        meanwhile, `ended` in any case, as soon as no thread does this work any more.
        """
        try:
            future = self.start(work)
        except StoreError:
            if ended is not None:
                ended()
            raise
        if ended is not None:
            future.add_done_callback(lambda _: ended())
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            if undo is not None:
                future.add_done_callback(functools.partial(_take_back, undo))
            raise

    async def close(self, patience: float = 5.0) -> bool:
        """Accept no more work and wait `patience` seconds for what runs; whether all of it ended."""
        self._closed = True
        self._pool.shutdown(wait=False)
        if self._running:
            await asyncio.wait(set(self._running), timeout=patience)
        return not self._running


def _take_back(undo: Callable[[T], object], future: asyncio.Future[T]) -> None:
    if not future.cancelled() and future.exception() is None:
        undo(future.result())
