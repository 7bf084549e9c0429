"""The command line: `serve`, `check`, `explain`, `version`.

Exit codes: 0 fine, 1 the operation failed, 2 usage or configuration. Everything heavy is imported by the command
that needs it, so that `--help` and `version` answer at once. It decides nothing about serving: `service` does.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

import click

from pypicache import __version__
from pypicache.errors import ConfigError, PypicacheError, one_line

if TYPE_CHECKING:
    from pypicache.config.schema import Config, Index

USAGE: Final = 2
"""The exit code for mistakes in the command line or the configuration."""

_SEARCH = """\b
Without -c the configuration is the first of these that exists:
  $PYPICACHE_CONFIG
  ./pypicache.yaml
  $XDG_CONFIG_HOME/pypicache/pypicache.yaml (or ~/.config/...)
  /etc/pypicache/pypicache.yaml
If there is none, the shipped defaults are used; they work as they are.
"""

_config_option = click.option(
    "-c",
    "--config",
    "path",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The configuration file (YAML).",
)


def main() -> NoReturn:
    """Run the command line, and exit."""
    sys.exit(_commands(prog_name="pypicache"))


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="pypicache %(version)s")
def _commands() -> None:
    """A cache between pip, uv, poetry, PDM and the package index they use.

    Start it with `pypicache serve` and point a client at http://127.0.0.1:3141/root/pypi/simple/.

    Exit codes: 0 fine, 1 the operation failed, 2 usage or configuration error.
    """


@_commands.command(epilog=_SEARCH)
@_config_option
def serve(path: Path | None) -> None:
    """Run the daemon in the foreground.

    Logs go to standard error. SIGTERM and SIGINT end it once running responses have finished, or after
    server.shutdown_timeout.
    """
    config = _load(path)
    # The service brings aiohttp and the rest along: no other command waits for them.
    from pypicache.daemon import run  # noqa: PLC0415 - see above

    sys.exit(run(config))


@_commands.command(epilog=_SEARCH)
@_config_option
def check(path: Path | None) -> None:
    """Validate the configuration and show what it comes to.

    Every problem is a line FILE:LINE:COL: path: message on standard error, and the exit code is 2. Settings
    that are accepted and have no effect are told in the same way, with exit code 0.
    """
    config = _load(path)
    for warning in config.warnings:
        click.echo(warning, err=True)
    name = "shipped defaults (no configuration file found)" if config.path is None else str(config.path)
    click.echo(f"{one_line(name)}: ok")
    click.echo()
    for line in _summary(config):
        click.echo(line)


@_commands.command(epilog=_SEARCH)
@_config_option
@click.argument("project")
@click.option("--index", "name", metavar="NAME", help="The index to ask; the default one if left out.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def explain(path: Path | None, project: str, name: str | None, *, as_json: bool) -> None:
    """Tell why a running daemon answers as it does for a project.

    Which mirror answered and when, how long that holds, how the mirrors do, what is hidden and why, and which
    layers were passed over. No mirror is asked.
    """
    from urllib.parse import quote  # noqa: PLC0415 - no other command needs it

    config = _load(path)
    name = config.default_index if name is None else name
    if name not in config.indexes:
        click.echo(f"there is no index {one_line(name)} in the configuration", err=True)
        sys.exit(USAGE)
    from pypicache.explain import ask, show  # noqa: PLC0415 - rich isn't needed for --help

    try:
        said = ask(config, f"/-/explain/{quote(name)}/{quote(project, safe='')}")
    except PypicacheError as error:
        click.echo(error, err=True)
        sys.exit(1)
    if as_json:
        import json  # noqa: PLC0415 - as above

        click.echo(json.dumps(said))
        return
    from rich.console import Console  # noqa: PLC0415 - as above

    show(said, Console(highlight=False))


@_commands.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def version(*, as_json: bool) -> None:
    """Show the versions of pypicache and of what it runs on."""
    import platform  # noqa: PLC0415 - no other command needs it
    from importlib.metadata import PackageNotFoundError  # noqa: PLC0415 - as above
    from importlib.metadata import version as version_of  # noqa: PLC0415 - as above

    versions: dict[str, str | None] = {"pypicache": __version__, "Python": platform.python_version()}
    for package in ("aiohttp", "uvloop"):
        try:
            versions[package] = version_of(package)
        except PackageNotFoundError:
            versions[package] = None
    if as_json:
        import json  # noqa: PLC0415 - as above

        click.echo(json.dumps({name.lower(): number for name, number in versions.items()}))
        return
    for line in _table([(name, number or "not installed") for name, number in versions.items()], gap=1):
        click.echo(line)


def _load(path: Path | None) -> Config:
    """The configuration; ends the program with exit code 2 and every problem on standard error if it has any."""
    from pypicache.config.load import find, load  # noqa: PLC0415 - YAML isn't needed for --help

    try:
        return load(find(os.environ, Path()) if path is None else path, os.environ)
    except ConfigError as error:
        for problem in error.problems:
            click.echo(problem, err=True)
        sys.exit(USAGE)


def _summary(config: Config) -> Iterator[str]:
    """What the configuration comes to, for people: no secrets, `*` at the default index."""
    rows = [("  index", "mirror", "serves", "address")]
    for index in config.indexes.values():
        mark = "* " if index.name == config.default_index else "  "
        for place, cells in enumerate(_replicas(index)):
            rows.append(("" if place else mark + index.name, *cells))
    yield from _table(rows)
    yield ""
    server, cache = config.server, config.cache
    yield from _table([("listen", ", ".join(map(str, server.listen))), ("cache", str(cache.dir))])


def _replicas(index: Index) -> Iterator[tuple[str, str, str]]:
    """A row for each mirror or layer of the index: name, what it serves, where it is."""
    for mirror in index.mirrors:
        yield mirror.name, mirror.serves, mirror.url
    for layer in index.layers:
        yield layer.index, "layer", f"owns {', '.join(layer.owns)}" if layer.owns else "asked for all"


def _table(rows: Sequence[Sequence[str]], *, gap: int = 2) -> Iterator[str]:
    """The rows with their columns aligned."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        yield (" " * gap).join(cells).rstrip()
