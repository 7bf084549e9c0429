"""`pypicache mirrors`: how the mirrors do from here, and in which order to ask them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

import click

from pypicache.commands.common import FAILED, SEARCH, USAGE, config_option, load_config
from pypicache.errors import one_line

if TYPE_CHECKING:
    from pypicache.config.schema import Config, Index

BUSY: Final = ("boto3", "langsmith", "litellm", "yt-dlp", "certifi")
"""Projects of the public index that have a release every few days, and pages of several sizes."""

MOST: Final = 20
"""Projects that are asked for at most, so that nobody's mirror is crawled."""


@click.command(epilog=SEARCH)
@config_option
@click.option("--index", "name", metavar="NAME", help="The index; the default one if left out.")
@click.option("--all", "everyone", is_flag=True, help="Measure the well-known mirrors, too.")
@click.option(
    "--project",
    "projects",
    metavar="NAME",
    multiple=True,
    help="A project to compare them by, in place of a few busy ones of the public index; may be given again.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def mirrors(
    path: Path | None, name: str | None, projects: tuple[str, ...], *, everyone: bool, as_json: bool
) -> None:
    """Measure the mirrors of an index from here, and suggest an order.

    Which ones answer, the time to the first byte of a page, the throughput of one file, how far behind each
    is, whether it has metadata sidecars and ranges. They are asked as the daemon would ask them; no daemon
    needs to run. It takes half a minute at most, and a few seconds for each mirror. The exit code is 1 if no
    mirror answers.
    """
    config = load_config(path)
    index = _index(config, name)
    from pypicache.commands import comparing  # noqa: PLC0415 - aiohttp and rich aren't needed for --help

    wanted = comparing.project_names(projects or BUSY)
    if wanted is None or len(wanted) > MOST:
        _refuse(f"--project takes at most {MOST} project names")
    compared = comparing.run(index, wanted, everyone=everyone)
    said = comparing.report(index, wanted, compared)
    if as_json:
        click.echo(json.dumps(said))
    else:
        comparing.show(said)
    if not any(mirror["usable"] for mirror in said["mirrors"]):
        sys.exit(FAILED)


def _index(config: Config, name: str | None) -> Index:
    """The index to measure; ends the program where there is nothing to measure."""
    name = config.default_index if name is None else name
    if name not in config.indexes:
        _refuse(f"there is no index {one_line(name)} in the configuration")
    index = config.indexes[name]
    if index.layers:
        names = ", ".join(layer.index for layer in index.layers)
        _refuse(f"{name} has no mirrors of its own: give one of its layers with --index ({names})")
    if index.offline:
        _refuse(f"{name} is offline: its mirrors are never asked")
    return index


def _refuse(message: str) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(USAGE)
