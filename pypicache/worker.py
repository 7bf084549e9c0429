"""One process that serves: the service behind its sockets, from its start to its end in order.

It opens the service, accepts connections, does what it is told (`orders`), tells the service manager how it is
(`notify`), and ends in order: no new connections, running responses finish, then everything behind them closes. What
the service consists of is `service`'s business; where the sockets are from, `sockets`'.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import platform
import resource
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from pypicache import __version__, heap
from pypicache.config import schema
from pypicache.logs import Logs
from pypicache.notify import Notifier
from pypicache.orders import Orders
from pypicache.service import Service, service
from pypicache.siblings import Siblings
from pypicache.sink import Sink
from pypicache.sockets import BACKLOG, Listener
from pypicache.tending import tended
from pypicache.web.limits import Limits
from pypicache.web.pace import limit_silence
from pypicache.web.server import Server

log = logging.getLogger(__name__)

PULSE = 10.0
"""Seconds between two looks at what the process does, for the service manager."""


async def work(
    config: schema.Config,
    listeners: Sequence[Listener],
    *,
    orders: Orders,
    notifier: Notifier,
    sink: Sink,
    released: Callable[[], object],
    name: str | None = None,
    place: tuple[int, int] = (0, 1),
) -> None:
    """Serve until told to end. `released` is called when no new request will come.

    `place` is which of how many workers it is; they all go by `name` in Via; alone, it has a name of its own.
    """
    processes = place[1]
    heap.settle()
    async with AsyncExitStack() as stack:
        logs = Logs(config.log, sink, orders.reopen)
        await stack.enter_async_context(logs.open())
        await stack.enter_async_context(_doing(logs.keep()))
        running = await stack.enter_async_context(service(config, name=name, place=place))
        if processes > 1:
            await stack.enter_async_context(_among_siblings(running, place))
        server = Server(running.handle, takers=[running.monitor, logs.access])

        def follow(changed: schema.Config) -> None:
            server.repeats = running.repeats
            _limit(server, changed, processes)
            logs.follow(changed)
            notifier.changed()

        follow(config)
        running.follow(follow)
        if processes == 1:
            introduce(config)
        # What was imported and wired stays: a collector that looks at it again and again holds the loop up for 20 to 35 ms.
        gc.freeze()
        gc.enable()
        await stack.enter_async_context(_doing(_pulse(notifier, running, server)))
        await stack.enter_async_context(_serving(server, running, orders))
        await stack.enter_async_context(tended(running))
        async with _accepting(server, listeners):
            if processes == 1:
                announce(listeners)
            async with _doing(_reload_when(orders.reload, running, notifier, server)):
                notifier.ready(_status(running, server))
                await orders.end.wait()
            running.stopping = True
        await asyncio.sleep(0)  # uvloop closes in its next turn
        released()
        notifier.stopping("running responses finish")
        log.info("stopping: running responses have %g s to finish", running.config.server.shutdown_timeout)


@asynccontextmanager
async def _among_siblings(running: Service, place: tuple[int, int]) -> AsyncIterator[None]:
    """Status and metrics are those of all workers meanwhile."""
    siblings = Siblings(running.config.cache.dir / "workers", *place)
    running.overview.siblings = siblings
    async with siblings.tell(running.overview.answer):
        yield


def announce(listeners: Sequence[Listener]) -> None:
    """Log where clients may come."""
    for listener in listeners:
        log.info("listening on %s", listener.name)


def introduce(config: schema.Config) -> None:
    """Log what starts here, and as what."""
    log.info(
        "pypicache %s on Python %s, process %d, %s",
        __version__,
        platform.python_version(),
        os.getpid(),
        f"configured by {config.path}" if config.path else "built-in configuration",
    )
    log.info("cache in %s", config.cache.dir)
    for index in config.indexes.values():
        parts = [mirror.name for mirror in index.mirrors] or [layer.index for layer in index.layers]
        log.info(
            "index %s%s: %s %s",
            index.name,
            " (the default)" if index.name == config.default_index else "",
            "mirrors" if index.mirrors else "layers",
            ", ".join(parts),
        )


@asynccontextmanager
async def _accepting(server: Server, listeners: Sequence[Listener]) -> AsyncIterator[None]:
    """Connections are accepted; afterwards none are, and those that wait for nothing are told to go."""
    loop = asyncio.get_running_loop()
    doors: list[asyncio.Server] = []
    try:
        for listener in listeners:
            sock = listener.sock
            if sock.family == socket.AF_UNIX:
                doors.append(await loop.create_unix_server(server, sock=sock, backlog=BACKLOG))
            else:
                limit_silence(sock)
                doors.append(await loop.create_server(server, sock=sock, backlog=BACKLOG))
        yield
    finally:
        for door in doors:
            door.close()
        for listener in listeners:
            listener.close()
        server.pre_shutdown()


@asynccontextmanager
async def _serving(server: Server, running: Service, orders: Orders) -> AsyncIterator[None]:
    """Requests are answered; leaving waits for those that are running, as long as that is allowed."""
    try:
        yield
    finally:
        async with _doing(_break_off_when(orders.at_once, server)):
            await server.shutdown(running.config.server.shutdown_timeout)


async def _break_off_when(at_once: asyncio.Event, server: Server) -> None:
    await at_once.wait()
    log.info("stopping at once")
    server.break_off()


async def _reload_when(again: asyncio.Event, running: Service, notifier: Notifier, server: Server) -> None:
    """Reload whenever `again` is set; however often that is meanwhile, once more is enough."""
    while True:
        await again.wait()
        again.clear()
        notifier.reloading()
        try:
            await running.reread()
        except Exception:
            log.exception("not reloaded: a bug")
        notifier.ready(_status(running, server))


async def _pulse(notifier: Notifier, running: Service, server: Server) -> None:
    """Tell the service manager that the loop turns, and what it does."""
    period = PULSE if notifier.watchdog is None else min(PULSE, notifier.watchdog / 2)
    while True:
        notifier.alive()
        await asyncio.sleep(period)
        notifier.status(_status(running, server))


def _status(running: Service, server: Server) -> str:
    count = len(running.config.indexes)
    return f"{count} index{'es' * (count > 1)}, {server.served} connections"


@asynccontextmanager
async def _doing(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Do that meanwhile; it ends with the block."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _limit(server: Server, config: schema.Config, processes: int) -> None:
    """Hold the server to what the configuration allows its clients."""
    limits = Limits(
        keepalive_timeout=config.server.keepalive_timeout,
        max_connections=-(-config.server.max_connections // processes),
        descriptors=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    )
    server.limit(limits, trusted=config.server.trusted_proxies)
    if (room := limits.descriptors - limits.reserve) < limits.max_connections:
        log.warning(
            "server.max_connections is %d, and the system allows this process %d open files: about %d connections"
            " will be served (LimitNOFILE= in a unit, ulimit -n in a shell)",
            limits.max_connections,
            limits.descriptors,
            max(0, room),
        )
