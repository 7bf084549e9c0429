"""`pypicache check`: is the configuration good, and what does it come to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pypicache.commands.common import SEARCH, aligned, config_option, load_config
from pypicache.errors import one_line

if TYPE_CHECKING:
    from pypicache.config.schema import Config, Index


@click.command(epilog=SEARCH)
@config_option
def check(path: Path | None) -> None:
    """Validate the configuration and show what it comes to.

    Every problem is a line FILE:LINE:COL: path: message on standard error, and the exit code is 2. Settings
    that are accepted and have no effect are told in the same way, with exit code 0.
    """
    config = load_config(path)
    for warning in config.warnings:
        click.echo(warning, err=True)
    name = "shipped defaults (no configuration file found)" if config.path is None else str(config.path)
    click.echo(f"{one_line(name)}: ok")
    click.echo()
    for line in _summary(config):
        click.echo(line)


def _summary(config: Config) -> Iterator[str]:
    """What the configuration comes to, for people: no secrets, `*` at the default index."""
    rows = [("  index", "mirror", "serves", "address")]
    for index in config.indexes.values():
        mark = "* " if index.name == config.default_index else "  "
        for place, cells in enumerate(_replicas(index)):
            rows.append(("" if place else mark + index.name, *cells))
    yield from aligned(rows)
    yield ""
    server, cache = config.server, config.cache
    yield from aligned([("listen", ", ".join(map(str, server.listen))), ("cache", str(cache.dir))])


def _replicas(index: Index) -> Iterator[tuple[str, str, str]]:
    """A row for each mirror or layer of the index: name, what it serves, where it is."""
    for mirror in index.mirrors:
        yield mirror.name, mirror.serves, mirror.url
    for layer in index.layers:
        yield layer.index, "layer", f"owns {', '.join(layer.owns)}" if layer.owns else "asked for all"
