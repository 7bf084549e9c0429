"""Waiting for what tells no events: files and ports of other processes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


def until(what: Callable[[], object], seconds: float = 30.0, told: Callable[[], str] = str) -> None:
    """Look again and again until it is so; after `seconds` that is a failure, with what `told` gives."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, told()
        time.sleep(0.02)


async def until_so(what: Callable[[], object], seconds: float = 30.0) -> None:
    """The same, while the event loop goes on."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
