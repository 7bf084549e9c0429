"""The running service, looked after through its admin socket: the part of the composition root that opens it.

What can be ordered is `care.orders`' business, who does it `care.caretaker`'s; this puts a service behind both.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import logging
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

import msgspec
from aiohttp import web

from pypicache.care import admin
from pypicache.care.admin import Failure, Stage
from pypicache.care.caretaker import Caretaker
from pypicache.care.orders import Forget, HitRates, Purge
from pypicache.errors import PypicacheError, StoreError, one_line
from pypicache.index.entry import Page
from pypicache.index.serving import Serving
from pypicache.rules.owners import matches_any
from pypicache.service import Service
from pypicache.simple.model import ProjectName

log = logging.getLogger(__name__)

TOLD_EVERY = 0.2
"""Seconds between two lines that say how far it is."""


class ServiceMemory:
    """Implements `care.caretaker.Live`. `serves`: whether it has clients, so that hit rates say something."""

    def __init__(self, running: Service, *, serves: bool) -> None:
        self._running = running
        self._serves = serves

    @property
    def indexes(self) -> Sequence[str]:
        """The names of its indexes."""
        return tuple(self._running.indexes)

    async def rates(self) -> HitRates | None:
        """How it has done since its start; None when it serves nobody."""
        if not self._serves:
            return None
        status = await self._running.overview.status()
        totals = status.totals
        return HitRates(
            since=status.started,
            requests=totals.requests,
            hit_rate=totals.hit_rate,
            page_hits=totals.page_hits,
            page_misses=totals.page_misses,
            file_hits=totals.file_hits,
            file_misses=totals.file_misses,
            saved=totals.saved,
        )

    async def held(self, index: str, project: ProjectName) -> str | None:
        """The digest of the project's page as it is held; None when none is."""
        for wired in self._running.wired:
            if wired.settings.name in self._running.indexes[index].leaves:
                page = await wired.catalog.held(project)
                if page is not None:
                    return page.digest
        return None

    def serving(self, index: str) -> Serving:
        """The index itself."""
        return self._running.indexes[index]

    async def page(self, index: str, project: ProjectName) -> Page:
        """The project's page, after its mirrors were asked."""
        page: Page = await self._running.indexes[index].page(project, revalidate=True)
        return page

    async def forget(self, index: str | None, projects: Sequence[ProjectName]) -> None:
        """Drop from memory what is known of these projects, or of all; of that index, or of all."""
        self._running.forget(index, projects)


def caretaker(running: Service, *, serves: bool) -> Caretaker:
    """Looks after that service's cache."""

    def pinned(project: str) -> bool:
        return matches_any(project, patterns=running.config.cache.pin)

    return Caretaker(stores=running.stores, live=ServiceMemory(running, serves=serves), pinned=pinned)


@asynccontextmanager
async def tended(running: Service) -> AsyncIterator[None]:
    """The service has its admin socket meanwhile; without one it serves all the same."""
    root = running.config.cache.dir
    try:
        sock, path = await asyncio.to_thread(admin.bind, root)
    except (StoreError, OSError) as error:
        log.warning("no admin socket: %s", one_line(str(error)))
        yield
        return
    server = web.Server(_Admin(running).handle, access_log=None, handler_cancellation=True)
    door = await asyncio.get_running_loop().create_unix_server(server, sock=sock)
    try:
        yield
    finally:
        door.close()
        await server.shutdown(1.0)
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


class _Admin:
    """Answers on the socket."""

    def __init__(self, running: Service) -> None:
        self._running = running
        self._caretaker = caretaker(running, serves=True)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Do what is ordered, and say how far it is."""
        transport = request.transport
        sock = None if transport is None else transport.get_extra_info("socket")
        if sock is None or not admin.is_owner(sock):
            return web.Response(status=403, text="the cache is another user's\n")
        if request.method != "POST":
            return web.Response(status=405, text="orders are posted\n", headers={"Allow": "POST"})
        body = await _body(request)
        if body is None:
            return web.Response(status=413, text=f"an order of over {admin.MAX_ORDER} bytes\n")
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        teller = _Teller(response)
        try:
            order = admin.parse(body)
            async with teller:
                answer = await self._caretaker.do(order, teller)
            if isinstance(order, Purge) and not order.dry:
                await self._tell_others(Forget(index=order.index, projects=order.projects))
        except PypicacheError as error:
            await teller.send(Failure(error=str(error), status=error.status))
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception as error:
            log.exception("an order failed: a bug")
            await teller.send(Failure(error=f"a bug: {type(error).__name__}", status=500))
        else:
            await teller.send({"answer": answer})
        await response.write_eof()
        return response

    async def _tell_others(self, order: Forget) -> None:
        """Have the other processes on this cache forget, too."""
        own = os.getpid()
        for path in admin.sockets(self._running.config.cache.dir):
            if path.stem != str(own):
                with contextlib.suppress(OSError, http.client.HTTPException, PypicacheError):
                    await asyncio.to_thread(admin.ask, path, order)


async def _body(request: web.BaseRequest) -> bytes | None:
    """What was posted; None when it is too much."""
    data = bytearray()
    async for piece in request.content.iter_any():
        data += piece
        if len(data) > admin.MAX_ORDER:
            return None
    return bytes(data)


class _Teller:
    """Says on a response how far the work is. A `care.progress.Progress`, and a context manager while it is told."""

    def __init__(self, response: web.StreamResponse) -> None:
        self._response = response
        self._stage = Stage(stage="", total=0, done=0)
        self._told = self._stage
        self._task: asyncio.Task[None] | None = None

    def begin(self, what: str, total: int) -> None:
        """Another stage begins."""
        self._stage = Stage(stage=what, total=total, done=0)

    def step(self, count: int) -> None:
        """So much more is done."""
        stage = self._stage
        self._stage = Stage(stage=stage.stage, total=stage.total, done=stage.done + count)

    async def send(self, line: object) -> None:
        """One line."""
        await self._response.write(msgspec.json.encode(line) + b"\n")

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._tell(), name="tell how far an order is")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._task is not None, "it was entered"
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError, ConnectionError):
            await self._task

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(TOLD_EVERY)
            if self._stage is not self._told:
                self._told = self._stage
                await self.send(self._told)
