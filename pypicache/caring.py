"""How the cache is looked after, by the configuration: the part of the composition root that a reload asks again.

It reads settings and opens nothing.
"""

from __future__ import annotations

from functools import partial

from pypicache.config import schema
from pypicache.rules.eviction import Limits
from pypicache.rules.owners import matches_any
from pypicache.store.janitor import Care

PAGES = 1 << 30
"""Bytes that the page database may have at most."""


def care_of(config: schema.Config) -> Care:
    """What the janitor goes by."""
    cache = config.cache
    return Care(
        limits=Limits(max_size=cache.max_size, min_free=cache.min_free, max_age=cache.max_age),
        scrub=cache.scrub,
        pinned=partial(matches_any, patterns=cache.pin) if cache.pin else None,
        quotas={
            name: int(index.quota * cache.max_size)
            for name, index in config.indexes.items()
            if index.quota is not None
        },
    )


def pages_limit(config: schema.Config) -> int:
    """Bytes that the page database may have: an eighth of a small cache."""
    return min(PAGES, config.cache.max_size // 8)
