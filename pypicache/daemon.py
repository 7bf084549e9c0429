"""The process round the service: what must be so before anything is opened, the event loop, the exit code.

It sets up the log, takes the cache directory and the sockets, so that a second daemon on either ends with one clear
line, and has a `worker` serve.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import sys
from collections.abc import Callable, Coroutine

from pypicache.config import schema
from pypicache.errors import PypicacheError
from pypicache.logs import open_log
from pypicache.notify import Notifier
from pypicache.orders import Orders
from pypicache.sink import Sink
from pypicache.sockets import open_listeners
from pypicache.store.generations import Generations
from pypicache.store.owner import Owner
from pypicache.worker import work
from pypicache.workers import Supervisor

log = logging.getLogger(__name__)

FILES = 1 << 16
"""Open files to ask the system for: shells give 1024, which is 250 clients."""


def run(config: schema.Config) -> int:
    """Serve until a signal ends it; the exit code."""
    try:
        sink = open_log(config.log)
        for warning in config.warnings:
            log.warning("%s", warning)
        _raise_file_limit()
        with Owner(config.cache.dir) as owner:
            count = config.server.workers or len(os.sched_getaffinity(0))
            if count > 1:
                return supervise(config, sink, count, released=owner.release)
            serve(config, sink, released=owner.release)
    except PypicacheError as error:
        log.critical("%s", error)
        if config.log.file is not None:  # whoever started it looks here first
            sys.stderr.write(f"{error}\n")
        return 1
    return 0


def serve(config: schema.Config, sink: Sink, *, released: Callable[[], object] = lambda: None) -> None:
    """Serve on a cache directory that whoever calls answers for, until a signal ends it.

    `released` is called when no new request will come. Raises PypicacheError when it can't listen or can't open the cache.
    """
    notifier = Notifier.of(os.environ)
    listeners = open_listeners(config.server.listen)

    async def main() -> None:
        orders = Orders()
        with orders.from_signals():
            await work(config, listeners, orders=orders, notifier=notifier, sink=sink, released=released)

    try:
        run_loop(main())
    finally:
        for listener in listeners:
            listener.close()


def supervise(config: schema.Config, sink: Sink, count: int, *, released: Callable[[], object]) -> int:
    """Have so many processes serve, until a signal ends them; the exit code. Raises PypicacheError when it can't listen."""
    notifier = Notifier.of(os.environ)
    listeners = open_listeners(config.server.listen, processes=count)
    try:
        try:
            Generations.make(config.cache.dir / "generations", count)
        except OSError as error:
            raise PypicacheError(f"{config.cache.dir} can't be written to: {error.strerror}") from error
        return Supervisor(
            config,
            listeners,
            count=count,
            sink=sink,
            notifier=notifier,
            run_loop=run_loop,
            released=released,
        ).run()
    finally:
        for listener in listeners:
            listener.close()


def run_loop(main: Coroutine[object, object, None]) -> None:
    """Run it in an event loop of its own."""
    if sys.platform == "win32":
        asyncio.run(main)
        return
    import uvloop  # noqa: PLC0415 - not there on Windows

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)


def _raise_file_limit() -> None:
    """As many descriptors as the system lets us have, within reason: a client that is sent a file takes four."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
