"""What `pypicache import --devpi` does: the files of a devpi-server directory, and the pages that they are held to.

The pages come from a service of this process's own, which asks the mirrors as the daemon would.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import sys
from pathlib import Path

import click

from pypicache.care.devpi import find
from pypicache.care.taking import Taken, Taking, pages_of
from pypicache.commands.bar import Bar
from pypicache.commands.common import FAILED, USAGE, fail, leaves
from pypicache.commands.opening import opened
from pypicache.config.schema import Config
from pypicache.errors import PypicacheError, one_line
from pypicache.service import service


def import_devpi(
    config: Config, directory: Path, index: str | None, *, no_pages: bool, as_json: bool
) -> None:
    """Import, and say what came of it; ends the program with exit code 1 when a file was left."""
    if index is not None and index not in config.indexes:
        click.echo(f"there is no index {one_line(index)} in the configuration", err=True)
        sys.exit(USAGE)
    try:
        done = asyncio.run(_import(config, directory, index, no_pages=no_pages))
    except (PypicacheError, OSError) as error:
        fail(f"{one_line(str(directory))}: {getattr(error, 'strerror', None) or error}")
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(done)))
    else:
        _tell(done)
    if done.refused or done.no_room:
        sys.exit(FAILED)


def _tell(done: Taken) -> None:
    click.echo(
        f"{done.linked} files linked, {done.copied} copied ({done.bytes} bytes), {done.held} were here; "
        f"{done.by_page} agree with their page, {len(done.by_path)} with their path in devpi only"
    )
    for path in done.by_path:
        click.echo(f"by its path only: {one_line(path)}", err=True)
    for path, why in sorted(done.refused.items()):
        click.echo(f"left: {one_line(path)}: {one_line(why)}", err=True)
    if done.no_room:
        click.echo(f"no room for {done.no_room} files: see cache.max_size and cache.min_free", err=True)


async def _import(config: Config, directory: Path, index: str | None, *, no_pages: bool) -> Taken:
    """Take the files. Raises PypicacheError, OSError."""
    found = await asyncio.to_thread(lambda: list(find(directory)))
    root = directory.parent if directory.name == "+files" else directory
    async with (
        service(_offline(config) if no_pages else config, observer=lambda _: None) as running,
        opened(config) as stores,
    ):
        serving = {wired.settings.name: wired.serving for wired in running.wired}

        def indexes(name: str) -> tuple[str, ...]:
            return leaves(config, index or (name if name in config.indexes else config.default_index))

        with Bar() as bar:
            taking = Taking(
                stores=stores, root=root, indexes=indexes, page_of=pages_of(serving), progress=bar
            )
            return await taking.take(found)


def _offline(config: Config) -> Config:
    """The same, with nobody asked."""
    indexes = {name: dataclasses.replace(index, offline=True) for name, index in config.indexes.items()}
    return dataclasses.replace(config, indexes=indexes)
