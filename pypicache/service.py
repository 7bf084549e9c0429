"""The composition root: a `Config` becomes a running service. The only module that knows everything.

Everything else gets what it needs in its constructor. Lifetimes are one stack, opened in order and closed in
reverse: first no new connections, then running responses end, then downloads, then the stores.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import quote

from pypicache.config import schema
from pypicache.events import Observer
from pypicache.index.explain import Explainer, Explains
from pypicache.index.facts import Facts
from pypicache.index.index import Index
from pypicache.index.layered_legacy import AnswersLegacy
from pypicache.index.legacy import Legacy
from pypicache.index.library import Library
from pypicache.index.lists import ProjectLists
from pypicache.index.lru import ByteLRU
from pypicache.index.refresh import page_catalog
from pypicache.index.rendering import Rendering
from pypicache.index.serving import Serving
from pypicache.index.sidecars import Sidecars
from pypicache.layering import add_layered
from pypicache.log import to_log
from pypicache.offload import Offload
from pypicache.rules.freshness import Windows
from pypicache.store.disk import DiskBlobStore
from pypicache.store.diskpages import DiskPageStore
from pypicache.store.links import LinkStore
from pypicache.store.lists import ListStore
from pypicache.upstream.client import Client
from pypicache.upstream.extras import Extras
from pypicache.upstream.legacy import LegacyClient
from pypicache.upstream.lists import ListClient
from pypicache.upstream.mirrors import Mirrors
from pypicache.upstream.wire import Wire
from pypicache.web.app import Edge
from pypicache.web.legacy import LegacyPages
from pypicache.web.lists import ListPages

RENDERINGS = 48 << 20
"""Bytes of finished pages held in memory, over all indexes."""

SENDERS = 4
"""Threads that read files for clients."""


@asynccontextmanager
async def service(config: schema.Config, *, observer: Observer = to_log) -> AsyncIterator[Edge]:
    """Everything behind the sockets, wired and open. Tests use this too, with an observer of their own."""
    clock = time.time
    own_name = f"pypicache-{secrets.token_hex(8)}"  # in Via; a start is enough of an identity to find loops
    async with AsyncExitStack() as stack:
        root = config.cache.dir
        offload = await stack.enter_async_context(Offload())
        group = config.server.accel_group if config.server.accel else None
        blobs = await stack.enter_async_context(DiskBlobStore(root, group=group))
        pages = await stack.enter_async_context(DiskPageStore(root / "pages"))
        links = await stack.enter_async_context(LinkStore(root))
        list_store = await stack.enter_async_context(ListStore(root, observe=observer))
        library = await stack.enter_async_context(Library(store=blobs, observer=observer))
        renderings: ByteLRU[str, Rendering] = ByteLRU(RENDERINGS)
        indexes: dict[str, Serving] = {}
        legacy: dict[str, AnswersLegacy] = {}
        lists: dict[str, ProjectLists] = {}
        explains: dict[str, Explains] = {}
        for name, settings in config.indexes.items():
            if settings.layers:
                continue  # made below, of those that are made here
            wires = {mirror.name: _wire(mirror, own_name) for mirror in settings.mirrors}
            clients = [
                await stack.enter_async_context(
                    Client(wire=wires[mirror.name], offload=offload, connections=mirror.connections)
                )
                for mirror in settings.mirrors
            ]
            source = await stack.enter_async_context(
                Mirrors(
                    name=name,
                    clients=clients,
                    serves={mirror.name: mirror.serves for mirror in settings.mirrors},
                    clock=time.monotonic,
                    observer=observer,
                )
            )
            catalog = page_catalog(
                index=name,
                source=source,
                store=pages,
                windows=_windows(settings),
                clock=clock,
                observer=observer,
                offload=offload,
                offline=settings.offline,
            )
            explains[name] = Explainer(
                catalog=catalog,
                mirrors=source,
                windows=_windows(settings),
                clock=clock,
                monotonic=time.monotonic,
                offload=offload,
            )
            facts = Facts(index=name, store=pages)
            sidecars = None
            if settings.synthesize_metadata:
                sidecars = Sidecars(
                    source=source,
                    store=blobs,
                    facts=facts,
                    offload=offload,
                    clock=clock,
                    observer=observer,
                    offline=settings.offline,
                )
            indexes[name] = await stack.enter_async_context(
                Index(
                    name=name,
                    catalog=catalog,
                    library=library,
                    source=source,
                    links=links,
                    facts=facts,
                    sidecars=sidecars,
                    renderings=renderings,
                    offload=offload,
                    clock=clock,
                    offline=settings.offline,
                )
            )
            extras = Extras(
                willing=source.willing,
                legacy={mirror: LegacyClient(wire=wire, offload=offload) for mirror, wire in wires.items()},
                lists={mirror: ListClient(wire=wire, offload=offload) for mirror, wire in wires.items()},
                observer=observer,
            )
            legacy[name] = await stack.enter_async_context(
                Legacy(
                    index=indexes[name],
                    source=extras,
                    store=pages,
                    windows=_windows(settings),
                    renderings=renderings,
                    offload=offload,
                    clock=clock,
                    observer=observer,
                    offline=settings.offline,
                )
            )
            lists[name] = await stack.enter_async_context(
                ProjectLists(
                    index=name,
                    source=extras,
                    store=list_store,
                    windows=_windows(settings),
                    offload=offload,
                    clock=clock,
                    observer=observer,
                    offline=settings.offline,
                )
            )
        add_layered(config.indexes, indexes, legacy, explains, observer)
        senders = stack.enter_context(ThreadPoolExecutor(SENDERS, thread_name_prefix="send"))
        legacy_pages = LegacyPages(
            legacy=legacy,
            clock=clock,
            public_url=config.server.public_url,
            trusted=config.server.trusted_proxies,
        )
        yield Edge(
            indexes=indexes,
            explains=explains,
            default=config.default_index,
            clock=clock,
            disk=senders,
            legacy=legacy_pages,
            lists=ListPages(lists=lists, disk=senders, clock=clock),
            accel=config.server.accel is not None,
            own_name=own_name,
        )


def _windows(index: schema.Index) -> Windows:
    return Windows(
        ttl=index.ttl,
        patience=index.patience,
        stale_while_revalidate=index.stale_while_revalidate,
        stale_if_error=index.stale_if_error,
        negative_ttl=index.negative_ttl,
    )


def _wire(mirror: schema.Mirror, own_name: str) -> Wire:
    return Wire(
        name=mirror.name,
        url=mirror.url,
        connect_timeout=mirror.connect_timeout,
        read_timeout=mirror.read_timeout,
        username=mirror.username,
        password=mirror.password.reveal() if mirror.password else None,
        token=mirror.token.reveal() if mirror.token else None,
        headers={name: value.reveal() for name, value in mirror.headers.items()},
        allow_private=mirror.allow_private,
        ca_file=mirror.ca_file,
        proxy=_with_credentials(mirror.proxy) if mirror.proxy else None,
        trust_env=mirror.trust_env,
        netrc=mirror.netrc,
        via=own_name,
    )


def _with_credentials(proxy: schema.Proxy) -> str:
    if proxy.username is None:
        return proxy.url
    password = proxy.password.reveal() if proxy.password else ""
    userinfo = f"{quote(proxy.username, safe='')}:{quote(password, safe='')}@"
    return proxy.url.replace("://", f"://{userinfo}", 1)
