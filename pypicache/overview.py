"""What the daemon says of itself, whichever of its workers is asked: a part of the composition root.

`Overview` puts together what this process counts and what its siblings tell; alone, that is what it counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from typing import Protocol

import msgspec

from pypicache.monitor.status import Status
from pypicache.monitor.whole import whole
from pypicache.monitoring import Monitor


class AsksSiblings(Protocol):
    """The other workers (`siblings.Siblings`)."""

    number: int
    """This worker's, from 0."""

    async def ask(self, wanted: str) -> Mapping[int, bytes | None]:
        """What each has to say to that; None: it doesn't answer."""
        ...


class Overview:
    """`own` gives this process's status; metrics are made in one of `threads`. `siblings`: None when it is alone."""

    def __init__(self, *, own: Callable[[], Awaitable[Status]], monitor: Monitor, threads: Executor) -> None:
        self._own = own
        self._monitor = monitor
        self._threads = threads
        self.siblings: AsksSiblings | None = None

    async def status(self) -> Status:
        """Everything, of all workers that answer."""
        own = await self._own()
        if self.siblings is None:
            return whole(own, {})
        told = await self.siblings.ask("status")
        others = {number + 1: None if data is None else _status(data) for number, data in told.items()}
        return whole(own, others, number=self.siblings.number + 1)

    async def metrics(self, accept: str | None) -> tuple[bytes, str]:
        """The metrics of all workers that answer, and their media type, in the form that `accept` prefers."""
        own = await self._own()
        told = {} if self.siblings is None else await self.siblings.ask("metrics")
        others = [text for text in told.values() if text is not None]
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, self._monitor.metrics, own, others, accept
        )

    async def answer(self, wanted: str) -> bytes:
        """What a sibling wants to know of this process; empty for what there isn't."""
        match wanted:
            case "status":
                return msgspec.json.encode(await self._own())
            case "metrics":
                own = await self._own()
                text, _ = await asyncio.get_running_loop().run_in_executor(
                    self._threads, self._monitor.metrics, own, (), None
                )
                return text
        return b""


def _status(data: bytes) -> Status | None:
    """None for an answer that was cut short."""
    try:
        return msgspec.json.decode(data, type=Status)
    except msgspec.MsgspecError:
        return None
