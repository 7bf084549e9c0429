"""Blocking work on the disk, in threads of its own.

A hung resolver or a hung disk must not eat the event loop's default executor, so each store has its
own few threads. Work that has begun is never abandoned half-way: who waits for it may be cancelled, the
work runs to its end, and `undo` takes back what nobody is left to receive (an open descriptor).

It knows nothing of files. It may not import anything of the package but errors.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from pypicache.errors import StoreError

P = ParamSpec("P")
T = TypeVar("T")

AT_ONCE = 64
"""Calls that one hop of `Batches` makes at most."""

LATEST = 2.0
"""Seconds that a call waits at most for it to become quiet."""

MANY = 1024
"""Calls that wait for it at most."""


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


class Batches:
    """Small calls for which a hop to a thread is dearer than they are: all that have come meanwhile share one.

    They are made in the order in which they were given, one hop after the other, whether or not somebody still waits. With
    `quiet`, nobody is in a hurry: they wait until none has come for so many seconds, as far as `LATEST` and `MANY` allow. A
    thread that is busy takes the interpreter from whoever answers clients, and these then have the moments in which nobody asks.
    """

    def __init__(self, threads: Threads, *, quiet: float = 0.0) -> None:
        self._threads = threads
        self._quiet = quiet
        self._waiting: list[_Call] = []
        self._due = 0
        """How many of them wait no longer for it to become quiet."""
        self._busy = False
        self._timer: asyncio.TimerHandle | None = None
        self._first = self._latest = 0.0

    async def run(
        self, work: Callable[[], T], *, undo: Callable[[T], object] | None = None, now: bool = False
    ) -> T:
        """The work's result, or what it raised. Raises StoreError after the threads were closed.

        `undo` is called on the event loop with the result when the caller was cancelled meanwhile. `now`: this one is in a
        hurry, and takes along all that wait.
        """
        return await self.add(work, undo=undo, now=now)

    def add(
        self, work: Callable[[], T], *, undo: Callable[[T], object] | None = None, now: bool = False
    ) -> asyncio.Future[T]:
        """The same for somebody who doesn't wait, or not yet."""
        loop = asyncio.get_running_loop()
        result: asyncio.Future[T] = loop.create_future()
        self._waiting.append((work, result, undo))
        if now or len(self._waiting) >= MANY:
            self.hurry()
        elif self._quiet:
            self._wait()
        elif not self._busy:
            self._busy = True
            loop.call_soon(self._go)  # who comes in the same turn comes along
        return result

    def hurry(self) -> None:
        """Wait no longer for it to become quiet."""
        self._due = len(self._waiting)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._due and not self._busy:
            self._busy = True
            self._go()

    def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        self._latest = loop.time()
        if self._timer is None and not self._busy:
            self._first = self._latest
            self._timer = loop.call_later(min(self._quiet, LATEST), self._look)

    def _look(self) -> None:
        """Whether it is quiet now."""
        loop = asyncio.get_running_loop()
        due = min(self._latest + self._quiet, self._first + LATEST)
        if loop.time() < due:
            self._timer = loop.call_at(due, self._look)
        else:
            self.hurry()

    def _go(self) -> None:
        batch, self._waiting = self._waiting[:AT_ONCE], self._waiting[AT_ONCE:]
        self._due -= len(batch)
        try:
            future = self._threads.start(_all, [work for work, _, _ in batch])
        except StoreError as error:
            self._done(batch, [error] * len(batch))
        else:
            future.add_done_callback(lambda done: self._done(batch, done.result()))

    def _done(self, batch: list[_Call], results: Sequence[object]) -> None:
        for (_, future, undo), result in zip(batch, results, strict=True):
            if future.done():  # nobody waits any more
                if undo is not None and not isinstance(result, BaseException):
                    undo(result)
            elif isinstance(result, BaseException):
                future.set_exception(result)
            else:
                future.set_result(result)
        self._busy = self._due > 0 if self._quiet else bool(self._waiting)
        if self._busy:
            self._go()
        elif self._waiting:
            self._wait()


_Call = tuple[Callable[[], Any], asyncio.Future[Any], Callable[[Any], object] | None]
"""What is to be called, who waits for it, and what takes it back."""


def _all(batch: list[Callable[[], object]]) -> list[object]:
    """What each of them gives, or raises."""
    results: list[object] = []
    for work in batch:
        try:
            results.append(work())
        except Exception as error:  # noqa: BLE001 - it is raised where the work was given
            results.append(error)
    return results


def _take_back(undo: Callable[[T], object], future: asyncio.Future[T]) -> None:
    if not future.cancelled() and future.exception() is None:
        undo(future.result())
