"""The edge, wired: the part of the composition root that a reload runs after the indexes are open.

It opens nothing: an edge is made of what is there, and dropped without being closed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass

from pypicache.admission import Lasting, admission
from pypicache.config import schema
from pypicache.editing import Editor
from pypicache.index.explain import Explains
from pypicache.index.layered_legacy import AnswersLegacy
from pypicache.index.oldlinks import FindsOldLinks
from pypicache.index.origins import FindsOrigins
from pypicache.index.serving import Serving
from pypicache.layering import add_layered
from pypicache.overview import Overview
from pypicache.web.about import About
from pypicache.web.app import Edge
from pypicache.web.following import Following
from pypicache.web.legacy import LegacyPages
from pypicache.web.lists import ListPages
from pypicache.web.look import Look
from pypicache.web.site import Site
from pypicache.wiring import Shared, Wired


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What every edge of a process is made of, whatever the configuration becomes."""

    shared: Shared
    lasting: Lasting
    editor: Editor
    senders: Executor
    look: Look
    unready: Callable[[], Awaitable[str | None]]
    overview: Overview


def edge_of(config: schema.Config, wired: Mapping[str, Wired], parts: Parts) -> Edge:
    """The edge for that configuration; `wired` are its indexes with mirrors, by name."""
    shared, clock = parts.shared, parts.shared.clock
    indexes: dict[str, Serving] = {name: index.serving for name, index in wired.items()}
    legacy: dict[str, AnswersLegacy] = {name: index.legacy for name, index in wired.items()}
    explains: dict[str, Explains] = {name: index.explains for name, index in wired.items()}
    origins: dict[str, FindsOrigins] = {name: index.origins for name, index in wired.items()}
    leaves = {name: index.old_links for name, index in wired.items()}
    old_links: dict[str, FindsOldLinks] = {**leaves}
    add_layered(config.indexes, indexes, legacy, explains, origins, old_links, leaves, shared.observer)
    shared.ahead.wheels.forget()
    who = admission(config, parts.lasting, parts.editor)
    lists = {name: index.lists for name, index in wired.items()}
    return Edge(
        indexes=indexes,
        explains=explains,
        origins=origins,
        old_links=old_links,
        devpi=who.devpi,
        reload=who.reload,
        default=config.default_index,
        clock=clock,
        disk=parts.senders,
        legacy=LegacyPages(
            legacy=legacy,
            clock=clock,
            public_url=config.server.public_url,
            trusted=config.server.trusted_proxies,
        ),
        gate=who.gate,
        lists=ListPages(lists=lists, disk=parts.senders, clock=clock),
        about=About(
            unready=parts.unready,
            status=parts.overview.status,
            metrics=parts.overview.metrics,
        ),
        site=Site(
            status=parts.overview.status,
            explains=explains,
            stock={name: index.stock for name, index in wired.items()},
            web_urls={name: settings.web_url for name, settings in config.indexes.items()},
            open_to_all=who.gate.open_to_all,
            default=config.default_index,
            look=parts.look,
            threads=parts.senders,
            public_url=config.server.public_url,
            trusted=config.server.trusted_proxies,
        ),
        accel=config.server.accel is not None,
        own_name=shared.own_name,
        following=Following(
            shared.ahead,
            dependencies={name for name, index in config.indexes.items() if index.prefetch_dependencies},
            wheels={name for name, index in config.indexes.items() if index.prefetch_wheels},
            trusted=config.server.trusted_proxies,
            disk=parts.senders,
        ),
    )
