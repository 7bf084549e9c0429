"""`pypicache cache`: what the cache holds."""

from __future__ import annotations

import json
from pathlib import Path

import click

from pypicache.commands.common import SEARCH, config_option, load_config


@click.group(name="cache")
def cache() -> None:
    """Tell what the cache holds.

    A running daemon is asked through its admin socket; without one, the directory is looked at.
    """


@cache.command(epilog=SEARCH)
@click.option(
    "--top",
    metavar="N",
    type=click.IntRange(0, 1000),
    default=10,
    help="How many of the largest and oldest files to name (10).",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@config_option
def info(path: Path | None, top: int, *, as_json: bool) -> None:
    """Show sizes, counts, hit rates, and the largest and oldest files."""
    config = load_config(path)
    import msgspec  # noqa: PLC0415 - not needed for --help

    from pypicache.care.orders import CacheInfo, Info  # noqa: PLC0415 - as above
    from pypicache.commands.bar import Bar  # noqa: PLC0415 - as above
    from pypicache.commands.ordering import ordered  # noqa: PLC0415 - as above
    from pypicache.commands.telling import tell_info  # noqa: PLC0415 - as above

    with Bar(counts=True) as bar:
        said = ordered(config, Info(top=top), CacheInfo, bar)
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(said)))
    else:
        tell_info(said)


@cache.command(name="list", epilog=SEARCH)
@click.argument("project", metavar="[PROJECT]", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@config_option
def list_(project: str | None, path: Path | None, *, as_json: bool) -> None:
    """List the projects that are held, or with PROJECT the files that are held of it."""
    config = load_config(path)
    import msgspec  # noqa: PLC0415 - not needed for --help

    from pypicache.care.orders import Files, List, Projects  # noqa: PLC0415 - as above
    from pypicache.commands.bar import Bar  # noqa: PLC0415 - as above
    from pypicache.commands.ordering import ordered  # noqa: PLC0415 - as above
    from pypicache.commands.telling import tell_files, tell_projects  # noqa: PLC0415 - as above

    said: Projects | Files
    with Bar(counts=True) as bar:
        if project is None:
            said = ordered(config, List(), Projects, bar)
        else:
            said = ordered(config, List(project=project), Files, bar)
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(said)))
    elif isinstance(said, Files):
        tell_files(said)
    else:
        tell_projects(said)
