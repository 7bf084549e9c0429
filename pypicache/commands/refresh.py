"""`pypicache refresh`: have the mirrors asked for pages now."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from pypicache.commands.common import FAILED, SEARCH, USAGE, aligned, config_option, load_config
from pypicache.errors import one_line


@click.command(epilog=SEARCH)
@click.argument("projects", metavar="PROJECT...", nargs=-1, required=True)
@click.option("--index", "name", metavar="NAME", help="The index; the default one if left out.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@config_option
def refresh(projects: tuple[str, ...], name: str | None, path: Path | None, *, as_json: bool) -> None:
    """Ask the mirrors for the pages of projects now, however fresh they are.

    A page that was asked for less than 5 seconds ago isn't asked for again. The exit code is 1 when one can't be had.
    """
    config = load_config(path)
    name = config.default_index if name is None else name
    if name not in config.indexes:
        click.echo(f"there is no index {one_line(name)} in the configuration", err=True)
        sys.exit(USAGE)
    import msgspec  # noqa: PLC0415 - not needed for --help

    from pypicache.care.orders import Refresh, Refreshed  # noqa: PLC0415 - as above
    from pypicache.commands.bar import Bar  # noqa: PLC0415 - as above
    from pypicache.commands.ordering import ordered  # noqa: PLC0415 - as above

    with Bar(counts=True) as bar:
        done = ordered(config, Refresh(index=name, projects=projects), Refreshed, bar)
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(done)))
    else:
        for line in aligned([(project, one_line(said)) for project, said in done.projects.items()]):
            click.echo(line)
    if done.failed:
        sys.exit(FAILED)
