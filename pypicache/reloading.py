"""Reading the configuration again: what the file says now, made into what can come into force while serving.

It decides which settings a running process can't change, and keeps those as they are. It puts nothing in force itself
(`service` does), and knows neither signals nor HTTP.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pypicache.config.load import load
from pypicache.config.schema import Config


def read_again(running: Config, env: Mapping[str, str] = os.environ) -> Config:
    """What the file of the running configuration says now. Blocking.

    Raises ConfigError with one line for each problem, `FILE:LINE:COL: path: message`.
    """
    return load(running.path, env)


def signature(path: Path | None) -> tuple[int, int, int] | None:
    """What changes when the file does. Blocking."""
    try:
        status = path.stat() if path is not None else None
    except OSError:
        return None
    return None if status is None else (status.st_ino, status.st_size, status.st_mtime_ns)


def settle(running: Config, wanted: Config) -> tuple[Config, tuple[str, ...]]:
    """`wanted` as far as a running process can become it, and the names of the settings that only a restart changes."""
    server, cache = running.server, running.cache
    fixed = {
        "server.listen": server.listen != wanted.server.listen,
        "server.workers": server.workers != wanted.server.workers,
        "server.accel_group": _group(running) != _group(wanted),
        "cache.dir": cache.dir != wanted.cache.dir,
    }
    settled = replace(
        wanted,
        server=replace(
            wanted.server, listen=server.listen, workers=server.workers, accel_group=server.accel_group
        ),
        cache=replace(wanted.cache, dir=cache.dir),
    )
    return settled, tuple(name for name, differs in fixed.items() if differs)


def _group(config: Config) -> str | None:
    """The group that stored files are shared with: none without a proxy that would read them."""
    return config.server.accel_group if config.server.accel else None
