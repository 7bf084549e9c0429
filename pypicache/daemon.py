"""The process round the service: signals, sockets, limits, exit code.

It turns a `Config` into a listening daemon and ends it in order: no new connections, running responses finish, then
everything behind them closes. What the service consists of is `service`'s business.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import resource
import signal
import sys
from contextlib import AsyncExitStack

from aiohttp import web

from pypicache import __version__
from pypicache.config import schema
from pypicache.errors import PypicacheError
from pypicache.events import OnAnswered
from pypicache.log import setup as setup_log
from pypicache.service import Service, service
from pypicache.web.access import AccessLog
from pypicache.web.pace import limit_silence
from pypicache.web.server import Server

log = logging.getLogger(__name__)

FILES = 1 << 16
"""Open files to ask the system for: shells give 1024, which is 250 clients."""


def run(config: schema.Config) -> int:
    """Serve until a signal ends it; the exit code."""
    setup_log(config.log)
    for warning in config.warnings:
        log.warning("%s", warning)
    _raise_file_limit()
    try:
        if sys.platform == "win32":
            return asyncio.run(_serve(config))
        import uvloop  # noqa: PLC0415 - not there on Windows

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_serve(config))
    except PypicacheError as error:
        log.critical("%s", error)
        return 1


def _raise_file_limit() -> None:
    """As many descriptors as the system lets us have, within reason: a client that is sent a file takes four."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _serve(config: schema.Config) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    # Until there is something to reload, the signal is noted; its default would end the process.
    again = asyncio.Event()
    loop.add_signal_handler(signal.SIGHUP, again.set)
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(service(config))
        takers: list[OnAnswered] = [running.monitor.take]
        if config.log.access:
            takers.append((await stack.enter_async_context(AccessLog(sys.stderr.write))).take)
        server = Server(running.handle, takers=takers, keepalive_timeout=config.server.keepalive_timeout)
        runner = web.ServerRunner(server, shutdown_timeout=config.server.shutdown_timeout)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        log.info(
            "pypicache %s, %s",
            __version__,
            f"configured by {config.path}" if config.path else "built-in configuration",
        )
        # What was imported and wired stays: a collector that looks at it again and again holds the loop up for 20 to 35 ms.
        gc.collect()
        gc.freeze()
        for address in config.server.listen:
            await _listen(runner, address)
        reloads = loop.create_task(_reload_when(again, running), name="reload on SIGHUP")
        await stop.wait()
        reloads.cancel()
        running.stopping = True
        log.info("stopping: running responses have %g s to finish", config.server.shutdown_timeout)
    return 0


async def _reload_when(again: asyncio.Event, running: Service) -> None:
    """Reload whenever `again` is set; however often that is meanwhile, once more is enough."""
    while True:
        await again.wait()
        again.clear()
        try:
            await running.reread()
        except Exception:
            log.exception("not reloaded: a bug")


async def _listen(runner: web.BaseRunner, address: schema.Listen) -> None:
    try:
        if address.unix is not None:
            address.unix.unlink(missing_ok=True)
            await web.UnixSite(runner, str(address.unix), backlog=1024).start()
            log.info("listening on unix:%s", address.unix)
            return
        site = web.TCPSite(runner, address.host, address.port, backlog=1024)
        await site.start()
    except OSError as error:
        raise PypicacheError(f"can't listen on {address}: {error.strerror or error}") from error
    server = site._server  # noqa: SLF001 - aiohttp has no public way to the sockets, and port 0 needs one
    for sock in getattr(server, "sockets", ()):
        limit_silence(sock)
        host, port = sock.getsockname()[:2]
        log.info("listening on http://%s:%d", f"[{host}]" if ":" in host else host, port)
