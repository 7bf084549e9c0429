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


async def turns(count: int = 5) -> None:
    """Let the event loop do what it is about to do."""
    for _ in range(count):
        await asyncio.sleep(0)


async def stop_accepting(server: asyncio.Server) -> None:
    """Close the server, after whoever has just been accepted is there: asyncio fails over those that it accepted before, and leaves them open."""
    loop = asyncio.get_running_loop()
    if isinstance(loop, asyncio.SelectorEventLoop):
        for listening in server.sockets:
            loop.remove_reader(listening.fileno())
    await turns()
    server.close()


async def end_connections(port: int) -> None:
    """End what the server at that port has accepted, handshakes under way included: asyncio, at its own end, leaves those as they are."""
    await turns()  # who has just been accepted is there then
    transports: dict[int, asyncio.Transport] = getattr(asyncio.get_running_loop(), "_transports", {})
    for transport in list(transports.values()):
        name = transport.get_extra_info("sockname")
        ended = getattr(transport, "_loop", None) is None  # and only waits to be collected
        if isinstance(name, tuple) and name[1] == port and not ended:
            transport.abort()
    await turns()
