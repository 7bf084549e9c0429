"""Work that would hold up the event loop goes elsewhere, by its weight.

A thread doesn't keep the loop free from a big page: msgspec holds the GIL through a call, and 6 MB
pages gave lags of 16 to 158 ms with parsing threads, 8 with a process. So work over a megabyte goes to one
helper process, started on demand and ended when idle; smaller work to one thread; a trifle is done at once.

Functions that go to the helper are module-level and pure, their arguments and results bytes or small values.
This module imports nothing of the package but the heap's settings.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, ThreadPoolExecutor
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

from pypicache import heap

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

INLINE = 32 << 10
"""Bytes up to which work is done on the loop: about a millisecond of parsing, less than a thread's hop costs in latency."""

THREAD = 1 << 20
"""Bytes up to which work goes to the thread; above, to the helper process."""

IDLE = 60.0
"""Seconds without work after which the helper process ends."""

TIDY = 5.0
"""Seconds after a piece of work until the heap is told to give back what it left; once for all that comes meanwhile."""


def _begin() -> None:
    """In the helper: the daemon decides when it ends, not the terminal's Ctrl-C, and big pages leave nothing behind."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    heap.settle()
    threading.Thread(target=_end_with_the_daemon, name="end", daemon=True).start()


def _end_with_the_daemon() -> None:
    """In the helper: end when the daemon has been killed. Waiting for work doesn't tell: the helper itself has the other end of that pipe."""
    daemon = multiprocessing.parent_process()
    if daemon is not None:
        daemon.join()
        os._exit(1)


class Offload:
    """Runs pure functions where they do no harm. Use as an async context manager."""

    def __init__(self, *, inline: int = INLINE, thread: int = THREAD, idle: float = IDLE) -> None:
        self._inline = inline
        self._thread_limit = thread
        self._idle = idle
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="offload")
        self._process: asyncio.Future[ProcessPoolExecutor] | None = None
        self._busy = 0
        self._ending: asyncio.TimerHandle | None = None
        self._tidying: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_process()
        if self._tidying is not None:
            self._tidying.cancel()
        self._thread.shutdown(wait=False, cancel_futures=True)

    @property
    def helper_running(self) -> bool:
        """Whether the helper process is there at the moment."""
        return self._process is not None

    async def run(self, weight: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `work` where its `weight` in bytes sends it. What it raises comes back as it was."""
        if weight <= self._inline:
            return work(*args, **kwargs)
        loop = asyncio.get_running_loop()
        if self._tidying is None:
            self._tidying = loop.call_later(TIDY, self._tidy)
        if weight <= self._thread_limit:
            return await loop.run_in_executor(self._thread, _call, work, args, kwargs)
        try:
            return await self._in_process(work, args, kwargs)
        except BrokenExecutor:
            # The helper was killed (out of memory, most likely, or an operator). Once more in a fresh one.
            log.warning("the helper process died; starting another")
            self._end_process()
            return await self._in_process(work, args, kwargs)

    async def _in_process(
        self, work: Callable[..., T], args: tuple[object, ...], kwargs: dict[str, object]
    ) -> T:
        if self._ending is not None:
            self._ending.cancel()
            self._ending = None
        loop = asyncio.get_running_loop()
        self._busy += 1
        try:
            pool = await asyncio.shield(self._helper())
            try:
                future = loop.run_in_executor(pool, _help, work, args, kwargs)
            except RuntimeError as error:  # somebody found it dead meanwhile
                raise BrokenExecutor("the helper process has ended") from error
            return await future
        finally:
            self._busy -= 1
            if not self._busy:
                self._ending = asyncio.get_running_loop().call_later(self._idle, self._rest)

    def _tidy(self) -> None:
        self._tidying = None
        asyncio.get_running_loop().run_in_executor(self._thread, heap.trim)

    def _rest(self) -> None:
        """There was no big page for a while: most likely, what else came with them is over, too, and has left holes."""
        self._end_process()
        if self._tidying is None:  # else it will be done in a moment
            self._tidy()

    def _helper(self) -> asyncio.Future[ProcessPoolExecutor]:
        """The helper process, when it has been started."""
        if self._process is None:
            self._process = asyncio.get_running_loop().run_in_executor(self._thread, _start)
        return self._process

    def _end_process(self) -> None:
        if self._ending is not None:
            self._ending.cancel()
            self._ending = None
        if self._process is not None:
            self._process.add_done_callback(_shut_down)
            self._process = None


def _start() -> ProcessPoolExecutor:
    """A pool of one process, started. In a thread: its locks start a process of their own at once, which takes 20 ms."""
    pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"), initializer=_begin)
    pool.submit(os.getpid)  # the pool starts its process at the first piece of work
    return pool


def _shut_down(started: asyncio.Future[ProcessPoolExecutor]) -> None:
    if not started.cancelled() and started.exception() is None:
        started.result().shutdown(wait=False, cancel_futures=True)


def _call(work: Callable[..., T], args: tuple[object, ...], kwargs: dict[str, object]) -> T:
    return work(*args, **kwargs)


def _help(work: Callable[..., T], args: tuple[object, ...], kwargs: dict[str, object]) -> T:
    """In the helper, whose pages are all big."""
    try:
        return work(*args, **kwargs)
    finally:
        heap.trim()
