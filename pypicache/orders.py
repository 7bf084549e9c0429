"""What a serving process is told to do, whoever tells it: the terminal, the system, a supervisor.

::

    SIGTERM, SIGINT   end once running responses have finished
    the same again    end at once
    SIGHUP            read the configuration again
    SIGUSR1           open the log file again

A worker takes them from its supervisor only: SIGTERM ends it however often it comes, SIGQUIT at once.
Orders are noted, and carried out by whoever waits for them. It imports nothing of the package.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

GRACE = 2.0
"""Seconds to close what is open when the process is to end at once; then it just ends."""


class Orders:
    """The orders that have come."""

    def __init__(self) -> None:
        self.end = asyncio.Event()
        """To end, once running responses have finished."""
        self.at_once = asyncio.Event()
        """To end without waiting for them."""
        self.reload = asyncio.Event()
        """To read the configuration again; whoever does so clears it."""
        self.reopen = asyncio.Event()
        """To open the log file again; whoever does so clears it."""

    @contextmanager
    def from_signals(self, *, supervised: bool = False) -> Iterator[None]:
        """Take the orders from signals; afterwards, none of them does anything any more.

        A loop takes its handlers away as it closes, and a signal would then end the process by its default, as if it
        had failed. So the handlers are the system's own. Used on the running loop, in the main thread.
        """
        loop = asyncio.get_running_loop()
        means: dict[signal.Signals, Callable[[], object]] = {
            signal.SIGTERM: self.stop,
            signal.SIGINT: self.stop,
            signal.SIGHUP: self.reload.set,
            signal.SIGUSR1: self.reopen.set,
        }
        if supervised:
            # The terminal and the system send to whole groups: once from them and once from the supervisor isn't twice.
            means |= {signal.SIGTERM: self.end.set, signal.SIGINT: _nothing, signal.SIGQUIT: self.stop_now}

        def handle(number: int, _: FrameType | None) -> None:
            loop.call_soon_threadsafe(means[signal.Signals(number)])

        for number in means:
            signal.signal(number, handle)
        code = 1
        try:
            yield
            code = 0
        finally:
            for number in means:
                signal.signal(number, signal.SIG_IGN)
            # Everything has been closed by now: what hangs still isn't waited for.
            _end_in(GRACE, code)

    def stop(self) -> None:
        """End in order; told twice, at once."""
        if not self.end.is_set():
            self.end.set()
        else:
            self.stop_now()

    def stop_now(self) -> None:
        """End at once."""
        self.end.set()
        if not self.at_once.is_set():
            self.at_once.set()
            # What hangs while it closes (a disk, most likely) isn't waited for.
            _end_in(GRACE, 1)


def _nothing() -> None:
    """What an order means that isn't for this process."""


def _end_in(seconds: float, code: int) -> None:
    timer = threading.Timer(seconds, os._exit, (code,))
    timer.daemon = True
    timer.start()
