"""Saying once a minute that the store is in trouble, however often it is.

A full disk fails thousands of times a minute, in the same words. Each kind of trouble is told when it
begins and then at most once in `every` seconds, with how often it was held back since.

Used on the event loop only. It may not import anything of the package but errors and events.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from pypicache.errors import one_line
from pypicache.events import Observer, StoreTrouble

log = logging.getLogger(__name__)

KINDS = 64
"""Kinds of trouble remembered at a time; what is told beyond that may be told more often."""


class Trouble:
    """Tells `observe`, or the log when there is none, at a bounded rate."""

    def __init__(
        self,
        where: str,
        *,
        observe: Observer | None = None,
        every: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._where = where
        self._observe = observe
        self._every = every
        self._clock = clock
        self._told: dict[str, tuple[float, int]] = {}

    def tell(self, kind: str, reason: str = "") -> None:
        """`kind` is a fixed phrase and decides what counts as the same; `reason` is what differs, and may be hostile."""
        now = self._clock()
        told_at, held_back = self._told.get(kind, (float("-inf"), 0))
        if now - told_at < self._every:
            self._told[kind] = (told_at, held_back + 1)
            return
        if len(self._told) >= KINDS:
            self._told.clear()
        self._told[kind] = (now, 0)
        text = one_line(f"{kind}: {reason}" if reason else kind)
        if held_back:
            text += f" (and {held_back} times more since it was last told)"
        if self._observe is not None:
            self._observe(StoreTrouble(where=self._where, reason=text))
        else:
            log.warning("%s: %s", self._where, text)
