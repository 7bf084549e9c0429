"""`pypicache explain`: why a running daemon answers as it does for a project."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from urllib.parse import quote

import click

from pypicache.commands.common import SEARCH, USAGE, config_option, fail, load_config
from pypicache.errors import PypicacheError, one_line


@click.command(epilog=SEARCH)
@config_option
@click.argument("project")
@click.option("--index", "name", metavar="NAME", help="The index to ask; the default one if left out.")
@click.option("--file", "filename", metavar="NAME", help="One file of the project, listed or removed.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def explain(
    path: Path | None, project: str, name: str | None, filename: str | None, *, as_json: bool
) -> None:
    """Tell why a running daemon answers as it does for a project, or for one file of it.

    Which mirror answered and when, how long that holds, how the mirrors do, what is hidden and why, and which
    layers were passed over. No mirror is asked.
    """
    config = load_config(path)
    name = config.default_index if name is None else name
    if name not in config.indexes:
        click.echo(f"there is no index {one_line(name)} in the configuration", err=True)
        sys.exit(USAGE)
    from pypicache.commands.explaining import show  # noqa: PLC0415 - rich isn't needed for --help
    from pypicache.commands.reaching import ask  # noqa: PLC0415 - nor HTTP

    try:
        query = "" if filename is None else f"?file={quote(filename, safe='')}"
        said = ask(config, f"/-/explain/{quote(name)}/{quote(project, safe='')}{query}")
    except PypicacheError as error:
        fail(error)
    if as_json:
        click.echo(json.dumps(said))
        return
    from rich.console import Console  # noqa: PLC0415 - as above

    show(said, Console(highlight=False))
