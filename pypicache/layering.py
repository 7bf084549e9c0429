"""Indexes of layers, wired: the part of the composition root that makes indexes of indexes.

Everything with mirrors of its own is made by `service` before; this opens nothing and starts nothing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from pypicache.config import schema
from pypicache.events import Observer
from pypicache.index.explain import Explains, LayeredExplainer
from pypicache.index.layered import LayeredIndex
from pypicache.index.layered_legacy import AnswersLegacy, LayeredLegacy
from pypicache.index.oldlinks import FindsOldLinks, LayeredOldLinks, OldLinks
from pypicache.index.origins import FindsOrigins, LayeredOrigins
from pypicache.index.serving import Serving


def add_layered(
    settings: Mapping[str, schema.Index],
    indexes: dict[str, Serving],
    legacy: dict[str, AnswersLegacy],
    explains: dict[str, Explains],
    origins: dict[str, FindsOrigins],
    old_links: dict[str, FindsOldLinks],
    leaves: Mapping[str, OldLinks],
    observer: Observer,
) -> None:
    """Add every index of `settings` that has layers to the five; those with mirrors are there already."""

    def made(name: str) -> Serving:
        if name not in indexes:
            index = LayeredIndex(
                name=name,
                layers=[(made(layer.index), layer.owns) for layer in settings[name].layers],
                patience=settings[name].patience,
                clock=time.monotonic,
                observer=observer,
            )
            indexes[name] = index
            legacy[name] = LayeredLegacy(index=index, leaves=legacy)
            explains[name] = LayeredExplainer(index=index, members=explains)
            origins[name] = LayeredOrigins(index=index, leaves=origins)
            old_links[name] = LayeredOldLinks(index=index, leaves=leaves)
        return indexes[name]

    for name in settings:
        made(name)
