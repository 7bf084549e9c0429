"""YAML → Config: every problem of the file at once, each with its line and column.

It reads the configuration, the secret and CA files that it names, and nothing else; it starts nothing. What is
accepted and has no effect yet (`pending`) becomes a warning. The settings themselves are read in
`sections` (the daemon), `indexes` and `mirrors`.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from pypicache.config import sections
from pypicache.config.document import Document, nothing
from pypicache.config.indexes import read_indexes
from pypicache.config.reader import Section, Value
from pypicache.config.schema import Admin, Auth, Cache, Config, Log, Server

SYSTEM_FILE: Final = Path("/etc/pypicache/pypicache.yaml")
"""Where the machine's own configuration is."""


def find(env: Mapping[str, str], cwd: Path, *, system: Path = SYSTEM_FILE) -> Path | None:
    """The configuration file to use when none is named: the first that is there, None when none is.

    `$PYPICACHE_CONFIG` counts whether its file is there or not: who sets it means it.
    """
    if env.get("PYPICACHE_CONFIG"):
        return Path(env["PYPICACHE_CONFIG"])
    candidates = [cwd / "pypicache.yaml"]
    # A relative $XDG_CONFIG_HOME is to be ignored (XDG Base Directory Specification).
    if env.get("XDG_CONFIG_HOME", "").startswith("/"):
        candidates.append(Path(env["XDG_CONFIG_HOME"], "pypicache", "pypicache.yaml"))
    elif env.get("HOME"):
        candidates.append(Path(env["HOME"], ".config", "pypicache", "pypicache.yaml"))
    return next((path for path in (*candidates, system) if _is_file(path)), None)


def load(path: Path | None, env: Mapping[str, str], *, data: bytes | None = None) -> Config:
    """The configuration in that file, or the shipped defaults for None. `data` is what to read instead of the file's content.

    Raises ConfigError with one line for each problem, `FILE:LINE:COL: path: message`.
    """
    doc = Document(Path("shipped defaults") if path is None else path, env, data)
    root = Value(nothing() if path is None else doc.compose(), "", "", doc)
    config = root.attempt(_config, None)
    doc.check()
    assert config is not None
    if path is not None:
        _warn_of_open_secret(doc)
    return replace(config, path=path, warnings=doc.warnings)


def _config(root: Value) -> Config:
    top = Section(root)
    # The cache directory follows the environment, so its section is read even when it isn't there.
    cache = top.get("cache") or root.stand_in("cache", None)
    default_index, indexes = read_indexes(top)
    config = Config(
        server=top.take("server", sections.server, Server()),
        cache=cache.attempt(sections.cache, Cache()),
        log=top.take("log", sections.log, Log()),
        admin=top.take("admin", sections.admin, Admin()),
        auth=top.take("auth", sections.auth, Auth()),
        default_index=default_index,
        indexes=indexes,
    )
    top.finish()
    return config


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def _warn_of_open_secret(doc: Document) -> None:
    """Warn when a secret stands in a file that every user of the machine can read."""
    try:
        mode = doc.path.stat().st_mode
    except OSError:
        return
    if doc.inline_secret is not None and mode & stat.S_IROTH:
        doc.warning(*doc.inline_secret, "everyone on this machine can read this secret: chmod o-r the file")
