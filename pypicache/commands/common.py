"""What commands share: the option that names the configuration, how it is loaded, plain tables.

Exit codes: 0 fine, 1 the operation failed, 2 usage or configuration. It knows no command.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

import click

from pypicache.errors import ConfigError

if TYPE_CHECKING:
    from pypicache.config.schema import Config

FAILED: Final = 1
"""The exit code for an operation that failed."""

USAGE: Final = 2
"""The exit code for mistakes in the command line or the configuration."""

SEARCH: Final = """\b
Without -c the configuration is the first of these that exists:
  $PYPICACHE_CONFIG
  ./pypicache.yaml
  $XDG_CONFIG_HOME/pypicache/pypicache.yaml (or ~/.config/...)
  /etc/pypicache/pypicache.yaml
If there is none, the shipped defaults are used; they work as they are.
"""
"""The epilogue of every command that takes `-c`."""

config_option = click.option(
    "-c",
    "--config",
    "path",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The configuration file (YAML).",
)
"""`-c FILE`, given to the command as `path`; None when it is left out."""


def load_config(path: Path | None) -> Config:
    """The configuration; ends the program with exit code 2 and every problem on standard error if it has any."""
    from pypicache.config.load import find, load  # noqa: PLC0415 - YAML isn't needed for --help

    try:
        return load(find(os.environ, Path()) if path is None else path, os.environ)
    except ConfigError as error:
        for problem in error.problems:
            click.echo(problem, err=True)
        sys.exit(USAGE)


def leaves(config: Config, name: str) -> tuple[str, ...]:
    """The indexes with mirrors that this one comes down to, in order of authority."""
    layers = config.indexes[name].layers
    found = [leaf for layer in layers for leaf in leaves(config, layer.index)] if layers else [name]
    return tuple(dict.fromkeys(found))


def no_cache(config: Config) -> str:
    """What is said to somebody who wants something of a cache that isn't there: another user's configuration, most likely."""
    return f"there is no cache in {config.cache.dir}: it is made when the daemon first starts"


def fail(message: object) -> NoReturn:
    """Say on standard error what failed, and end with exit code 1."""
    click.echo(message, err=True)
    sys.exit(FAILED)


def aligned(rows: Sequence[Sequence[str]], *, gap: int = 2) -> Iterator[str]:
    """The rows with their columns aligned."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        yield (" " * gap).join(cells).rstrip()
