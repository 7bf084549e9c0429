"""The stores of a configuration's cache, opened in this process: by its limits, and with what is pinned spared."""

from __future__ import annotations

import http.client
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial

from pypicache.care import admin
from pypicache.care.orders import Forget
from pypicache.care.stores import Stores, stores
from pypicache.caring import care_of, pages_limit
from pypicache.config.schema import Config
from pypicache.errors import PypicacheError
from pypicache.rules.owners import matches_any


def opened(config: Config, *, look: bool = False, repair: bool = True) -> AbstractAsyncContextManager[Stores]:
    """The stores; see `care.stores.stores`."""
    patterns = config.cache.pin
    return stores(
        config.cache.dir,
        limits=care_of(config).limits,
        pages_limit=pages_limit(config),
        group=config.server.accel_group if config.server.accel else None,
        pinned=partial(matches_any, patterns=patterns) if patterns else None,
        look=look,
        repair=repair,
    )


def tell_daemon(config: Config) -> None:
    """Have the daemon on this cache, if one runs, forget what memory holds of it: the disk knows better now."""
    for path in admin.sockets(config.cache.dir):
        with suppress(OSError, http.client.HTTPException, PypicacheError):
            admin.ask(path, Forget())
