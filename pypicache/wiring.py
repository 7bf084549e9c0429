"""One index with mirrors, wired: the part of the composition root that a reload runs again.

What all indexes share (stores, the library, the helper) is opened once by `service` and outlives every configuration;
what one index consists of is opened here and closed as a whole. It decides nothing about requests.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial

from pypicache.config import schema
from pypicache.connecting import wire_to
from pypicache.events import Observer
from pypicache.index.ahead import Ahead
from pypicache.index.catalog import Catalog
from pypicache.index.content import Stored
from pypicache.index.explain import Explainer, Explains
from pypicache.index.facts import Facts
from pypicache.index.index import Index
from pypicache.index.inventory import Stock, TakesStock
from pypicache.index.legacy import Legacy
from pypicache.index.library import Library
from pypicache.index.lists import ProjectLists
from pypicache.index.lru import ByteLRU
from pypicache.index.oldlinks import OldLinks
from pypicache.index.origins import FindsOrigins, Origins
from pypicache.index.refresh import page_catalog
from pypicache.index.rendering import Rendering
from pypicache.index.serving import Serving
from pypicache.index.shelf import PAGES
from pypicache.index.sidecars import Sidecars
from pypicache.offload import Offload
from pypicache.rules.freshness import Windows
from pypicache.simple.model import ProjectName
from pypicache.store.disk import DiskBlobStore
from pypicache.store.diskpages import DiskPageStore
from pypicache.store.links import LinkStore
from pypicache.store.lists import ListStore
from pypicache.upstream.client import Client
from pypicache.upstream.extras import Extras
from pypicache.upstream.legacy import LegacyClient
from pypicache.upstream.lists import ListClient
from pypicache.upstream.meter import Meters
from pypicache.upstream.mirrors import Mirrors
from pypicache.upstream.wire import Wire


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What all indexes of a process share, whatever the configuration becomes."""

    clock: Callable[[], float]
    own_name: str
    """In Via; a start is enough of an identity to find loops."""
    offload: Offload
    blobs: DiskBlobStore
    pages: DiskPageStore
    links: LinkStore
    lists: ListStore
    library: Library
    meters: Meters
    renderings: ByteLRU[str, Rendering]
    observer: Observer
    ahead: Ahead
    held: ByteLRU[str, bytes] = field(default_factory=lambda: ByteLRU(PAGES))
    """Pages and documents in memory, by digest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wired:
    """An index with mirrors, open; `stack` closes it."""

    settings: schema.Index
    stack: AsyncExitStack
    mirrors: Mirrors
    catalog: Catalog
    facts: Facts
    sidecars: Sidecars | None
    serving: Serving
    legacy: Legacy
    lists: ProjectLists
    explains: Explains
    stock: TakesStock
    origins: FindsOrigins
    old_links: OldLinks

    def forget(self, project: ProjectName | None) -> None:
        """Let go of what memory holds of the project, or of all of them."""
        self.catalog.forget(project)
        self.facts.forget(project)
        self.legacy.forget()
        if self.sidecars is not None:
            self.sidecars.forget()


async def wire(settings: schema.Index, shared: Shared) -> Wired:
    """The index, opened. If that fails, nothing of it stays open."""
    name, observer, clock, windows = settings.name, shared.observer, shared.clock, _windows(settings)
    async with AsyncExitStack() as stack:
        wires = {
            mirror.name: wire_to(mirror, via=shared.own_name, meter=shared.meters.of(name, mirror.name))
            for mirror in settings.mirrors
        }
        source = await _mirrors(settings, wires, shared, stack)
        catalog = page_catalog(
            index=name,
            source=source,
            store=shared.pages,
            windows=windows,
            clock=clock,
            observer=observer,
            offload=shared.offload,
            offline=settings.offline,
            pages=shared.held,
        )
        explains = Explainer(
            catalog=catalog,
            mirrors=source,
            links=shared.links,
            windows=windows,
            clock=clock,
            monotonic=time.monotonic,
            offload=shared.offload,
        )
        facts = Facts(index=name, store=shared.pages)
        sidecars = _sidecars(settings, source, facts, shared)
        index = await stack.enter_async_context(
            Index(
                name=name,
                catalog=catalog,
                library=shared.library,
                source=source,
                links=shared.links,
                facts=facts,
                sidecars=sidecars,
                renderings=shared.renderings,
                offload=shared.offload,
                clock=clock,
                offline=settings.offline,
            )
        )
        extras = Extras(
            willing=source.willing,
            legacy={
                mirror: LegacyClient(wire=wire, offload=shared.offload) for mirror, wire in wires.items()
            },
            lists={mirror: ListClient(wire=wire, offload=shared.offload) for mirror, wire in wires.items()},
            observer=observer,
        )
        legacy = await stack.enter_async_context(
            Legacy(
                index=index,
                source=extras,
                store=shared.pages,
                windows=windows,
                renderings=shared.renderings,
                offload=shared.offload,
                clock=clock,
                observer=observer,
                offline=settings.offline,
                pages=shared.held,
            )
        )
        lists = await stack.enter_async_context(
            ProjectLists(
                index=name,
                source=extras,
                store=shared.lists,
                windows=windows,
                offload=shared.offload,
                clock=clock,
                observer=observer,
                offline=settings.offline,
            )
        )
        return Wired(
            settings=settings,
            stack=stack.pop_all(),
            mirrors=source,
            catalog=catalog,
            facts=facts,
            sidecars=sidecars,
            serving=index,
            legacy=legacy,
            lists=lists,
            explains=explains,
            stock=Stock(catalog=catalog, learned=facts, offload=shared.offload, look=shared.blobs.last_used),
            origins=_origins(settings, catalog, source, shared),
            old_links=OldLinks(
                catalog=catalog, links=shared.links, offload=shared.offload, stored=partial(_stored, shared)
            ),
        )


async def _mirrors(
    settings: schema.Index, wires: Mapping[str, Wire], shared: Shared, stack: AsyncExitStack
) -> Mirrors:
    clients = [
        await stack.enter_async_context(
            Client(wire=wires[mirror.name], offload=shared.offload, connections=mirror.connections)
        )
        for mirror in settings.mirrors
    ]
    return await stack.enter_async_context(
        Mirrors(
            name=settings.name,
            clients=clients,
            serves={mirror.name: mirror.serves for mirror in settings.mirrors},
            clock=time.monotonic,
            observer=shared.observer,
        )
    )


def _sidecars(settings: schema.Index, source: Mirrors, facts: Facts, shared: Shared) -> Sidecars | None:
    if not settings.synthesize_metadata:
        return None
    return Sidecars(
        source=source,
        store=shared.blobs,
        facts=facts,
        offload=shared.offload,
        clock=shared.clock,
        observer=shared.observer,
        offline=settings.offline,
    )


async def _stored(shared: Shared, digits: str) -> Stored | None:
    """The stored file whose digest begins so, opened."""
    return shared.library.stored(await shared.blobs.beginning_with(digits), None)


def _origins(settings: schema.Index, catalog: Catalog, source: Mirrors, shared: Shared) -> Origins:
    origin = settings.origin
    assert origin is not None, "an index without layers has mirrors"
    return Origins(
        catalog=catalog,
        source=source,
        mirror=origin.name,
        simple=origin.url,
        offload=shared.offload,
        offline=settings.offline,
    )


def _windows(index: schema.Index) -> Windows:
    return Windows(
        ttl=index.ttl,
        patience=index.patience,
        stale_while_revalidate=index.stale_while_revalidate,
        stale_if_error=index.stale_if_error,
        negative_ttl=index.negative_ttl,
    )
