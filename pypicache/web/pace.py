"""Clients that stop taking, or hardly take: how long they are borne, and how they are cut off.

aiohttp has no limit on writing, so a peer that is dead, or plays dead, would hold its connection, and the file
behind it, for ever. Two bounds end that. The kernel's own (TCP_USER_TIMEOUT) ends a connection whose peer
acknowledges nothing, or keeps its window shut, whatever is being sent. And a `Watch` ends one whose
client takes so little that it might as well: what counts is what its machine has acknowledged, not what waits for it in
a buffer here, and only the time in which there was something to take.

It knows nothing of files and responses, and imports nothing of the package.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

SILENCE = 60.0
"""Seconds in which a client must acknowledge something that was sent to it, if the kernel can be told so."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The least that a client must take: `least` bytes a second, on average over `period` seconds of sending."""

    least: float = 1024.0
    period: float = 60.0


PACE = Pace()
"""A modem's worth. Slower than this, a file of a megabyte takes a quarter of an hour: no installer waits so long."""


class Options(Protocol):
    """A socket, as far as its options go: those of uvloop's servers are no `socket.socket`."""

    @property
    def family(self) -> int:
        """The address family."""
        ...

    def setsockopt(self, level: int, option: int, value: int, /) -> None:
        """Set an option."""
        ...


def limit_silence(listener: Options, seconds: float = SILENCE) -> None:
    """Have the kernel end connections of that listener whose clients are silent for so long.

    Accepted sockets inherit the option from the listening one (tcp(7)), so it costs nothing per connection. Nothing
    happens on Unix sockets, whose peers can't vanish, nor on systems without the option.
    """
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    if option is not None and listener.family in {socket.AF_INET, socket.AF_INET6}:
        with contextlib.suppress(OSError):
            listener.setsockopt(socket.IPPROTO_TCP, option, int(seconds * 1000))


class Watch:
    """Calls `cut` when a client is slower than `pace`: a context manager round each stretch in which it has something to take.

    Between two stretches its clock stands still. `delivered` says how many bytes the client has taken in all.
    """

    def __init__(self, delivered: Callable[[], int], cut: Callable[[], object], *, pace: Pace = PACE) -> None:
        self._delivered = delivered
        self._cut = cut
        self._pace = pace
        self._loop = asyncio.get_running_loop()
        self._left = pace.period
        self._seen = 0
        self._since = 0.0
        self._alarm: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        self._since = self._loop.time()
        self._alarm = self._loop.call_later(self._left, self._judge)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self._left = max(0.0, self._left - (self._loop.time() - self._since))

    def _judge(self) -> None:
        self._alarm = None
        delivered = self._delivered()
        if delivered - self._seen < self._pace.least * self._pace.period:
            self._cut()
            return
        self._seen, self._left, self._since = delivered, self._pace.period, self._loop.time()
        self._alarm = self._loop.call_later(self._left, self._judge)
