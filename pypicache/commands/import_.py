"""`pypicache import`: what an archive of another cache holds, taken into this one."""

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
"""


@click.command(name="import", epilog=EXAMPLES + "\n" + SEARCH)
@click.argument("file", metavar="FILE")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@config_option
def import_(file: str, path: Path | None, *, as_json: bool) -> None:
    """Take what pypicache export wrote into this cache.

    FILE is the archive, or - for standard input. Every byte is verified, each file is published in one step, and an import that
    was broken off goes on when it is started again. A page that was confirmed later here stays as it is.
    """
    config = load_config(path)
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
    if done.missing:
        sys.exit(FAILED)


async def _import(config: Config, file: str) -> Imported:
    """Import the archive. Raises PypicacheError, OSError."""
    from pypicache.care.archive import Reader  # noqa: PLC0415 - not needed for --help
    from pypicache.care.importing import import_archive  # noqa: PLC0415 - as above
    from pypicache.care.stores import limits_of, stores  # noqa: PLC0415 - as above
    from pypicache.commands.bar import Bar  # noqa: PLC0415 - as above

    with _input(file) as source, Bar() as bar:
        reader = Reader(source)
        async with stores(
            config.cache.dir, limits=limits_of(config.cache), group=config.server.accel_group
        ) as opened:
            return await import_archive(opened, reader, bar)


@contextmanager
def _input(file: str) -> Iterator[BinaryIO]:
    if file == "-":
        yield sys.stdin.buffer
        return
    with Path(file).open("rb") as source:
        yield source
