"""The composition root: a `Config` becomes a running service. With `wiring`, the only module that knows everything.

Everything else gets what it needs in its constructor. Lifetimes are one stack, opened in order and closed in
reverse: first no new connections, then running responses end, then downloads, then the stores. A reload opens the
indexes that changed, puts a new edge in force, and closes what no request needs any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager

from aiohttp import web

from pypicache.admission import Lasting
from pypicache.care.stores import Stores
from pypicache.caring import care_of, pages_limit
from pypicache.config import schema
from pypicache.connecting import own_name
from pypicache.edging import Parts, edge_of
from pypicache.editing import Editor
from pypicache.errors import ConfigError, PypicacheError
from pypicache.events import Observer, Reloaded, ReloadRefused
from pypicache.index.ahead import Ahead
from pypicache.index.library import Library
from pypicache.index.lru import ByteLRU
from pypicache.index.rendering import Rendering
from pypicache.index.serving import Serving
from pypicache.log import to_log
from pypicache.monitor.status import Status
from pypicache.monitoring import Monitor
from pypicache.offload import Offload
from pypicache.overview import Overview
from pypicache.reloading import read_again, settle
from pypicache.simple.model import ProjectName
from pypicache.store.condition import Condition
from pypicache.store.disk import DiskBlobStore
from pypicache.store.diskpages import DiskPageStore
from pypicache.store.generations import Generations
from pypicache.store.janitor import Janitor
from pypicache.store.key import own_key
from pypicache.store.links import LinkStore
from pypicache.store.lists import ListStore
from pypicache.web.front import Front
from pypicache.web.look import Look
from pypicache.web.look import load as load_look
from pypicache.web.repeats import Repeats
from pypicache.wiring import Shared, Wired, wire

RENDERINGS = 16 << 20
"""Bytes of finished pages held in memory, over all indexes."""

SENDERS = 4
"""Threads that read files for clients."""

LINGER = 3600.0
"""Seconds that a reload leaves to requests which came before it, to what they were answered from."""


class Service:
    """What runs behind the sockets. `service` makes and ends it."""

    def __init__(
        self,
        *,
        config: schema.Config,
        shared: Shared,
        senders: Executor,
        monitor: Monitor,
        condition: Condition,
        lasting: Lasting,
        look: Look,
    ) -> None:
        self.monitor = monitor
        self.stopping = False
        """Whether the process is about to end, so that nobody should begin anything with it."""
        self.overview = Overview(own=self.status, monitor=monitor, threads=senders)
        """What the daemon says of itself, of all its workers."""
        self._condition = condition
        self._config = config
        self._shared = shared
        self._parts = Parts(
            shared=shared,
            lasting=lasting,
            editor=Editor(config=lambda: self._config, reread=self.reread),
            senders=senders,
            look=look,
            unready=self.unready,
            overview=self.overview,
        )
        self._wired: dict[str, Wired] = {}
        self._front: Front | None = None
        self._retiring: set[asyncio.Task[None]] = set()
        self._reloading = asyncio.Lock()
        self._rereading = asyncio.Lock()
        self._followers: list[Callable[[schema.Config], object]] = []

    @property
    def config(self) -> schema.Config:
        """The configuration in force."""
        return self._config

    @property
    def wired(self) -> Iterable[Wired]:
        """The indexes that have mirrors, as they are now."""
        return self._wired.values()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request, whatever happens; the answer has been sent when it is returned."""
        assert self._front is not None, "not open yet"
        return await self._front.handle(request)

    async def status(self) -> Status:
        """Everything that this process knows of itself, as it is now."""
        assert self._front is not None, "not open yet"
        found = await self._condition.look()
        return self.monitor.status(
            config=self._config,
            wired=self._wired,
            indexes=self._front.edge.indexes.values(),
            transfers=self._shared.library.transfers,
            found=found,
            in_flight=self._front.in_flight,
        )

    async def unready(self) -> str | None:
        """Why requests had better go elsewhere; None when all is well. Mirrors don't count."""
        return "stopping" if self.stopping else (await self._condition.look()).unusable

    @property
    def indexes(self) -> Mapping[str, Serving]:
        """Every index by its name, as they are now."""
        assert self._front is not None, "not open yet"
        return self._front.edge.indexes

    @property
    def stores(self) -> Stores:
        """What is kept, for whoever looks after it."""
        shared = self._shared
        return Stores(shared.blobs.keeper.root, shared.blobs, shared.pages, shared.links, shared.lists)

    def forget(self, index: str | None, projects: Sequence[ProjectName]) -> None:
        """Let go of what memory holds of these projects, or of all; of that index, or of all: the disk knows better."""
        for name, wired in self._wired.items():
            if index in {None, name}:
                for project in projects or (None,):
                    wired.forget(project)
        if not projects:
            self._shared.renderings.clear()
            self._shared.lists.forget()

    @property
    def repeats(self) -> Repeats | None:
        """The answers that are ready to be given again, without `handle`; others after a reload."""
        return None if self._front is None else self._front.edge.repeats

    def follow(self, changed: Callable[[schema.Config], object]) -> None:
        """Have `changed` called with every configuration that comes into force from now on."""
        self._followers.append(changed)

    async def reread(self) -> tuple[str, ...]:
        """Read the configuration's file again and put it in force; the problems of it, one printable line each.

        Empty: it is in force, and whoever asks next is answered by it, but for settings that only a restart changes, which
        are named in the log. Otherwise nothing has changed.
        """
        async with self._rereading:  # in the order in which they were asked for
            before = self._config
            try:
                config, fixed = settle(before, await asyncio.to_thread(read_again, before))
                await self.reload(config)
            except PypicacheError as error:
                problems = error.problems if isinstance(error, ConfigError) else (str(error),)
                self._shared.observer(ReloadRefused(problems=problems))
                return problems
            path = "the built-in configuration" if config.path is None else str(config.path)
            self._shared.observer(Reloaded(path=path, fixed=fixed, warnings=config.warnings))
            return ()

    async def reload(self, config: schema.Config) -> None:
        """Put `config` in force: its indexes, mirrors and rules. No request is dropped.

        Indexes whose settings haven't changed stay as they are, with what they have learned of their mirrors. If
        an index can't be opened, that is raised and nothing has changed. Listeners, the cache's directory and
        whatever else belongs to the process isn't looked at.
        """
        async with self._reloading:
            wired: dict[str, Wired] = {}
            async with AsyncExitStack() as opened:
                for name, settings in config.indexes.items():
                    if settings.layers:
                        continue  # made by `edge_of`, of those that are made here
                    if name in self._wired and self._wired[name].settings == settings:
                        wired[name] = self._wired[name]
                        continue
                    wired[name] = await wire(settings, self._shared)
                    opened.push_async_callback(wired[name].stack.aclose)
                edge = edge_of(config, wired, self._parts)
                opened.pop_all()
            kept = {id(index) for index in wired.values()}
            dropped = [index for index in self._wired.values() if id(index) not in kept]
            self._wired, self._config = wired, config
            if self._front is None:
                self._front = Front(edge)
                return
            before = self._front.swap(edge)
            task = asyncio.create_task(self._retire(before, dropped), name="retired by a reload")
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)
            for changed in self._followers:
                changed(config)

    async def _retire(self, idle: Iterable[asyncio.Event], dropped: Iterable[Wired]) -> None:
        """Close the indexes that a reload dropped, once nobody is answered from them, nor from a download that they began."""
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LINGER):
                    for event in idle:
                        await event.wait()
                    await self._shared.library.settle()
        finally:
            await _close(dropped)

    async def aclose(self) -> None:
        """Close every index. The last thing that is done with it."""
        for task in tuple(self._retiring):
            task.cancel()
        if self._retiring:
            await asyncio.wait(tuple(self._retiring))
        await _close(self._wired.values())


async def _close(indexes: Iterable[Wired]) -> None:
    async with AsyncExitStack() as stack:  # all of them, even if one fails at it
        for index in indexes:
            stack.push_async_callback(index.stack.aclose)


@asynccontextmanager
async def service(
    config: schema.Config,
    *,
    observer: Observer = to_log,
    name: str | None = None,
    place: tuple[int, int] = (0, 1),
) -> AsyncIterator[Service]:
    """Everything behind the sockets, wired and open. Tests use this too, with an observer of their own.

    `name` is what it goes by in Via: one for all processes of a daemon, so that a loop through another one is found.
    `place` is which of how many processes on this cache it is.
    """
    async with AsyncExitStack() as stack:
        root = config.cache.dir
        monitor = await stack.enter_async_context(Monitor(observer=observer, clock=time.time))
        observe = monitor.observe
        offload = await stack.enter_async_context(Offload())
        group = config.server.accel_group if config.server.accel else None
        care = care_of(config)
        stored = DiskBlobStore(root, limits=care.limits, group=group, observe=observe)
        blobs = await stack.enter_async_context(stored)
        janitor = await stack.enter_async_context(Janitor(blobs.keeper, care=care, observe=observe))
        generations = stack.enter_context(Generations(root / "generations", number=place[0], count=place[1]))
        links = LinkStore(root, usage=blobs.keeper.usage, observe=observe, shared=generations.shared)
        shared = Shared(
            clock=time.time,
            own_name=name or own_name(),
            offload=offload,
            blobs=blobs,
            pages=await stack.enter_async_context(
                DiskPageStore(root / "pages", pages_limit(config), observe=observe, generations=generations)
            ),
            links=await stack.enter_async_context(links),
            lists=await stack.enter_async_context(ListStore(root, observe=observe)),
            library=await stack.enter_async_context(Library(store=blobs, observer=observe)),
            meters=monitor.meters,
            renderings=ByteLRU[str, Rendering](RENDERINGS),
            observer=observe,
            ahead=Ahead(clock=time.monotonic, offload=offload),
        )
        senders = stack.enter_context(ThreadPoolExecutor(SENDERS, thread_name_prefix="send"))
        lasting = stack.enter_context(Lasting(key=await asyncio.to_thread(own_key, root)))
        condition = await stack.enter_async_context(Condition(root, held=blobs.keeper.held))
        running = Service(
            config=config,
            shared=shared,
            senders=senders,
            monitor=monitor,
            condition=condition,
            lasting=lasting,
            look=await asyncio.to_thread(load_look),
        )
        stack.push_async_callback(running.aclose)
        await stack.enter_async_context(shared.ahead)  # ends before the indexes that it asks
        await running.reload(config)
        running.follow(lambda config: janitor.change(care_of(config)))
        yield running
