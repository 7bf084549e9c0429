"""Log lines that clients can cause at will: a few are written, the rest counted.

Whoever can make a line by sending a dozen bytes can fill a disk with them. It imports nothing of the package.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable


class Sparing:
    """Writes at most `burst` messages in `period` seconds; the next one says how many weren't written."""

    def __init__(
        self,
        log: logging.Logger,
        level: int,
        *,
        burst: int = 5,
        period: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._level = level
        self._burst = burst
        self._period = period
        self._clock = clock
        self._since = 0.0
        self._written = 0
        self._left_out = 0

    def say(self, message: str, *args: object) -> None:
        """Write it, or count it."""
        if not self._log.isEnabledFor(self._level):
            return
        now = self._clock()
        if not self._written or now - self._since >= self._period:
            self._since, self._written = now, 0
        if self._written >= self._burst:
            self._left_out += 1
            return
        self._written += 1
        if self._left_out:
            message, args = f"{message} (and %d lines like it, left out)", (*args, self._left_out)
            self._left_out = 0
        self._log.log(self._level, message, *args)
