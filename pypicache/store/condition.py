"""Whether the cache directory can be used, and how much room its file system has: found out by trying.

Done in a thread, since a disk can hang, and at most once a second, however many ask. A full disk is no reason to turn
clients away: files are streamed past it. It may not import anything of the package but its own folder.
"""

from __future__ import annotations

import asyncio
import errno
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from pypicache.store.threads import Threads

KEEP = 1.0
"""Seconds for which what was found out is believed."""

PATIENCE = 2.0
"""Seconds after which a disk that doesn't answer hangs."""

_FULL = {errno.ENOSPC, errno.EDQUOT}


@dataclass(frozen=True, slots=True)
class Found:
    """What was found out."""

    unusable: str | None
    """Why nothing can be cached, in a line without paths; None when all is well, or the disk is just full."""
    free: int | None = None
    """Bytes that are left to this user; None when the file system doesn't say."""
    total: int | None = None
    used: int | None = None
    """Bytes in the cache; None while they haven't been looked at."""
    files: int | None = None
    """How many files are stored."""


class Condition:
    """The condition of the directory `root`; `held` says what is in it: bytes and files. Use as an async context manager."""

    def __init__(
        self,
        root: Path,
        *,
        held: Callable[[], tuple[int, int] | None] = lambda: None,
        patience: float = PATIENCE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._root = root
        self._held = held
        self._patience = patience
        self._clock = clock
        self._threads = Threads(count=1, name="condition")
        self._looking: asyncio.Future[Found] | None = None
        self._looked_at = float("-inf")
        self._found = Found("the cache directory hasn't been looked at")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._threads.close(self._patience)

    async def look(self) -> Found:
        """What is so now; raises StoreError when it is closed."""
        if self._looking is None:
            if self._clock() - self._looked_at < KEEP:
                return self._found
            self._looking = self._threads.start(partial(find_out, self._root, self._held))
            self._looking.add_done_callback(self._ended)
        looking = self._looking
        done, _ = await asyncio.wait({looking}, timeout=self._patience)
        return looking.result() if done else Found("the cache directory doesn't answer")

    def _ended(self, looking: asyncio.Future[Found]) -> None:
        self._looking = None
        if not looking.cancelled() and looking.exception() is None:
            self._found, self._looked_at = looking.result(), self._clock()


def find_out(root: Path, held: Callable[[], tuple[int, int] | None] = lambda: None) -> Found:
    """Make a file there that has no name, or loses it at once, and ask for the room. Blocking."""
    unusable = None
    try:
        with tempfile.TemporaryFile(dir=root) as file:
            file.write(b"x")
            file.flush()
    except OSError as error:
        if error.errno not in _FULL:
            unusable = f"the cache directory can't be written to: {error.strerror or type(error).__name__}"
    used, files = held() or (None, None)
    try:
        status = os.statvfs(root)
    except OSError:
        return Found(unusable, used=used, files=files)
    free, total = status.f_bavail * status.f_frsize, status.f_blocks * status.f_frsize
    return Found(unusable, free, total, used, files)
