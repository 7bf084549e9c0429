"""`pypicache status`: what a running daemon is doing."""

from __future__ import annotations

import json
from pathlib import Path

import click

from pypicache.commands.common import SEARCH, config_option, fail, load_config
from pypicache.errors import PypicacheError


@click.command(epilog=SEARCH)
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(path: Path | None, *, as_json: bool) -> None:
    """Tell what a running daemon is doing.

    Indexes, mirrors and their health, hit rates, bytes saved, room on the disk, downloads in flight, the last errors. The
    daemon is looked for where the configuration has it listen.
    """
    config = load_config(path)
    from pypicache.commands.reaching import ask  # noqa: PLC0415 - HTTP isn't needed for --help
    from pypicache.commands.showing import show  # noqa: PLC0415 - nor rich

    try:
        said = ask(config, "/-/status")
    except PypicacheError as error:
        fail(error)
    if as_json:
        click.echo(json.dumps(said))
        return
    from rich.console import Console  # noqa: PLC0415 - as above

    show(said, Console(highlight=False))
