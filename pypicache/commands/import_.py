"""`pypicache import`: what an archive of another cache holds, or a devpi-server's directory, taken into this one."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from pypicache.commands.common import FAILED, SEARCH, config_option, fail, load_config
from pypicache.errors import PypicacheError, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pypicache.care.importing import Imported
    from pypicache.config.schema import Config

EXAMPLES = """\b
Examples:
  pypicache import cache.tar
  ssh there pypicache export - | pypicache import -
  pypicache import --devpi ~/.devpi/server
"""


@click.command(name="import", epilog=EXAMPLES + "\n" + SEARCH)
@click.argument("file", metavar="[FILE]", required=False)
@click.option(
    "--devpi",
    "directory",
    metavar="DIR",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Take in the files of this directory of devpi-server instead, by hard link or else by copy.",
)
@click.option(
    "--index",
    "index",
    metavar="NAME",
    help="With --devpi, whose pages the files are held to. By default the index of devpi's name, or else the default one.",
)
@click.option("--no-pages", is_flag=True, help="With --devpi, ask no mirror for pages that aren't held.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@config_option
def import_(
    file: str | None,
    directory: Path | None,
    index: str | None,
    path: Path | None,
    *,
    no_pages: bool,
    as_json: bool,
) -> None:
    """Take what pypicache export wrote, or what devpi-server holds, into this cache.

    FILE is the archive, or - for standard input. Every byte is verified, each file is published in one step, and an import that
    was broken off goes on when it is started again. A page that was confirmed later here stays as it is.

    With --devpi, each file is held to the digest that its index's page gives, and where no page lists it, to the hash in its
    path there; which ones that were is told. A file that agrees with neither is left, and the exit code is 1.
    """
    if (file is None) == (directory is None):
        raise click.UsageError("either FILE or --devpi DIR is due")
    config = load_config(path)
    if directory is not None:
        from pypicache.commands.importing_devpi import import_devpi  # noqa: PLC0415 - not needed for --help

        import_devpi(config, directory, index, no_pages=no_pages, as_json=as_json)
    elif file is not None:
        _import_archive(config, file, as_json=as_json)


def _import_archive(config: Config, file: str, *, as_json: bool) -> None:
    try:
        done = asyncio.run(_import(config, file))
    except (PypicacheError, OSError) as error:
        fail(f"{one_line(file)}: {getattr(error, 'strerror', None) or error}")
    unknown = sorted(done.indexes - set(config.indexes))
    if as_json:
        said = {**dataclasses.asdict(done), "indexes": sorted(done.indexes), "unknown_indexes": unknown}
        click.echo(json.dumps(said))
    else:
        click.echo(
            f"{done.files} files imported ({done.bytes} bytes), {done.held} were here; "
            f"{done.pages} pages imported, {done.older} were newer here"
        )
        for name in unknown:
            click.echo(f"the configuration has no index {name}: nothing serves its pages", err=True)
        if done.missing:
            click.echo(
                f"{len(done.missing)} files are in an earlier archive only, which has to be imported too",
                err=True,
            )
        if done.no_room:
            click.echo(
                f"{len(done.no_room)} files found no room, or went again for others: see cache.max_size and cache.min_free",
                err=True,
            )
    if done.missing or done.no_room:
        sys.exit(FAILED)


async def _import(config: Config, file: str) -> Imported:
    """Import the archive. Raises PypicacheError, OSError."""
    from pypicache.care.archive import Reader  # noqa: PLC0415 - not needed for --help
    from pypicache.care.importing import import_archive  # noqa: PLC0415 - as above
    from pypicache.commands.bar import Bar  # noqa: PLC0415 - as above
    from pypicache.commands.opening import opened, tell_daemon  # noqa: PLC0415 - as above

    with _input(file) as source, Bar() as bar:
        with Reader(source) as reader:
            async with opened(config) as stores:
                done = await import_archive(stores, reader, bar)
        await asyncio.to_thread(tell_daemon, config)
        return done


@contextmanager
def _input(file: str) -> Iterator[BinaryIO]:
    if file == "-":
        yield sys.stdin.buffer
        return
    with Path(file).open("rb") as source:
        yield source
