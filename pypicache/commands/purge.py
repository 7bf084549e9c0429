"""`pypicache purge`: removing from the cache what somebody names."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pypicache.commands.common import FAILED, SEARCH, config_option, load_config

if TYPE_CHECKING:
    from pypicache.care.orders import Purge, Purged
    from pypicache.config.schema import Config

EXAMPLES = """\b
Examples:
  pypicache purge requests urllib3
  pypicache purge requests --index root/pypi --pages
  pypicache purge --older-than 90d --yes
  pypicache purge --all
"""


@click.command(epilog=EXAMPLES + "\n" + SEARCH)
@click.argument("projects", metavar="[PROJECT...]", nargs=-1)
@click.option(
    "--index",
    metavar="NAME",
    help="All of this index, of the configuration or of an earlier one; with PROJECT, only in this index.",
)
@click.option(
    "--pages", is_flag=True, help="Pages only, and no files: all of them, or those of what was named."
)
@click.option(
    "--older-than",
    "age",
    metavar="AGE",
    help="Files that nobody used for so long (30d, 12h); pinned projects' stay.",
)
@click.option("--all", "everything", is_flag=True, help="Everything.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; needs --yes.")
@config_option
def purge(
    projects: tuple[str, ...],
    index: str | None,
    age: str | None,
    path: Path | None,
    *,
    pages: bool,
    everything: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Remove projects, an index, pages, files that nobody uses, or everything from the cache.

    It says what would go, and asks. A file that another index or project has too stays, and so does one that somebody
    reads at the moment. What was removed is fetched again when somebody asks for it.
    """
    config = load_config(path)
    from pypicache.care.orders import Purge  # noqa: PLC0415 - not needed for --help
    from pypicache.commands.ordering import known_index  # noqa: PLC0415 - as above
    from pypicache.config.values import Bad, duration  # noqa: PLC0415 - as above
    from pypicache.errors import BadRequest  # noqa: PLC0415 - as above

    try:
        order = Purge(
            projects=projects,
            older_than=None if age is None else duration(age),
            everything=everything,
            index=index if _is_left(config, index) else known_index(config, index),
            pages=pages,
        )
        _check(order)
    except (Bad, BadRequest) as error:
        raise click.UsageError(str(error)) from None
    if as_json and not yes:
        raise click.UsageError("--json asks nothing, so it needs --yes")
    _purge(config, order, yes=yes, as_json=as_json)


def _is_left(config: Config, index: str | None) -> bool:
    """Whether the cache has something of an index that the configuration hasn't any more."""
    if index is None or index in config.indexes or not config.cache.dir.exists():
        return False
    from pypicache.care.orders import CacheInfo, Info  # noqa: PLC0415 - not needed for --help
    from pypicache.commands.bar import Bar  # noqa: PLC0415 - as above
    from pypicache.commands.ordering import ordered  # noqa: PLC0415 - as above

    with Bar(counts=True) as bar:
        return index in ordered(config, Info(top=0), CacheInfo, bar).indexes


def _check(order: Purge) -> None:
    from pypicache.care.purging import check  # noqa: PLC0415 - not needed for --help

    check(order)


def _purge(config: Config, order: Purge, *, yes: bool, as_json: bool) -> None:
    import msgspec  # noqa: PLC0415 - not needed for --help

    from pypicache.care.orders import Purged  # noqa: PLC0415 - as above
    from pypicache.commands.bar import Bar  # noqa: PLC0415 - as above
    from pypicache.commands.ordering import ordered  # noqa: PLC0415 - as above

    if not yes:
        with Bar(counts=True) as bar:
            planned = ordered(config, msgspec.structs.replace(order, dry=True), Purged, bar)
        if not (planned.pages or planned.files or planned.links):
            click.echo("there is nothing of it in the cache")
            return
        if not click.confirm(f"Remove {_amount(planned)}?", err=True):
            sys.exit(FAILED)
    with Bar(counts=True) as bar:
        done = ordered(config, order, Purged, bar)
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(done)))
        return
    click.echo(f"removed {_amount(done)}")
    if done.in_use:
        click.echo(f"{done.in_use} files stay: somebody reads them at the moment", err=True)


def _amount(purged: Purged) -> str:
    from pypicache.monitor.words import size  # noqa: PLC0415 - not needed for --help

    return f"{purged.pages} pages and {purged.files} files ({size(purged.bytes)})"
