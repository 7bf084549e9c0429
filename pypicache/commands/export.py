"""`pypicache export`: an archive of the cache, for a place without a network."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import glob
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from pypicache.commands.common import (
    FAILED,
    SEARCH,
    USAGE,
    config_option,
    fail,
    leaves,
    load_config,
    no_cache,
)
from pypicache.errors import PypicacheError, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pypicache.care.manifest import Manifest
    from pypicache.config.schema import Config
    from pypicache.locks.read import Pin

EXAMPLES = """\b
Examples:
  pypicache export cache.tar
  pypicache export --lock uv.lock app.tar
  pypicache export --since cache.tar news.tar
  pypicache export - | ssh there pypicache import -
"""


@click.command(epilog=EXAMPLES + "\n" + SEARCH)
@click.argument("file", metavar="FILE")
@click.option(
    "--lock",
    "locks",
    metavar="LOCKFILE",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Only what this pins (uv.lock, pylock.toml, poetry.lock, pdm.lock, pinned requirements); may be repeated.",
)
@click.option(
    "--since",
    metavar="EARLIER",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Leave out what this archive, or the manifest.json of one, has.",
)
@click.option("--index", "index", metavar="NAME", help="With --lock, the index; the default one if left out.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@config_option
def export(
    file: str,
    locks: tuple[Path, ...],
    since: Path | None,
    index: str | None,
    path: Path | None,
    *,
    as_json: bool,
) -> None:
    """Write pages, files and their metadata to one archive, to be imported elsewhere.

    FILE is a tar file, or - for standard output; the same cache gives the same bytes. With --lock, what it pins and the cache
    doesn't hold is named, and the exit code is 1: pypicache prefetch fetches it.
    """
    config = load_config(path)
    index = config.default_index if index is None else index
    if index not in config.indexes:
        click.echo(f"there is no index {one_line(index)} in the configuration", err=True)
        sys.exit(USAGE)
    from pypicache.commands.pinned import pins_of  # noqa: PLC0415 - not needed for --help

    try:
        pins = pins_of(locks) if locks else None
    except PypicacheError as error:
        fail(error)
    try:
        said, missing = asyncio.run(_export(config, file, pins, leaves(config, index), since))
    except (PypicacheError, OSError) as error:
        fail(f"{one_line(file)}: {getattr(error, 'strerror', None) or error}")
    if as_json:
        click.echo(json.dumps({**said, "missing": missing}), err=file == "-")
    else:
        click.echo(
            f"{said['files']} files, {said['projects']} projects, {said['bytes']} bytes"
            + (f"; {said['left_out']} left out" if since else ""),
            err=True,
        )
        for line in missing:
            click.echo(f"not in the cache: {line}", err=True)
    if missing:
        sys.exit(FAILED)


async def _export(
    config: Config, file: str, pins: tuple[Pin, ...] | None, indexes: Sequence[str], since: Path | None
) -> tuple[dict[str, int], list[str]]:
    """Write the archive; the numbers of it, and what is missing. Raises PypicacheError, OSError."""
    from pypicache.care import choosing  # noqa: PLC0415 - not needed for --help
    from pypicache.care.archive import read_manifest  # noqa: PLC0415 - as above
    from pypicache.care.exporting import Selection  # noqa: PLC0415 - as above
    from pypicache.commands.bar import Bar  # noqa: PLC0415 - as above
    from pypicache.commands.opening import opened  # noqa: PLC0415 - as above

    earlier = None if since is None else read_manifest(since)
    if not config.cache.dir.exists():
        raise PypicacheError(no_cache(config))
    async with opened(config) as stores:
        with Selection(stores) as selection, Bar() as bar:
            if pins is None:
                await choosing.everything(stores, selection)
            else:
                await choosing.pinned(stores, selection, pins, indexes)
            manifest = selection.manifest(earlier)
            with _output(file) as output:
                size = await selection.write(manifest, output, bar)
            return {"bytes": size, **_counted(manifest)}, selection.missing


def _counted(manifest: Manifest) -> dict[str, int]:
    held = (*manifest.blobs, *manifest.projects.values())
    return {
        "files": sum(not each.left_out for each in manifest.blobs),
        "projects": sum(not each.left_out for each in manifest.projects.values()),
        "left_out": sum(each.left_out for each in held),
    }


@contextlib.contextmanager
def _output(file: str) -> Iterator[BinaryIO]:
    """Where the archive goes; a file gets its name when it is whole, and nothing is left of half of one."""
    if file == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    target = Path(file)
    _sweep(target)
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with temporary.open("xb") as output:
            fcntl.flock(output, fcntl.LOCK_EX)
            yield output
            output.flush()
            os.fsync(output.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _sweep(target: Path) -> None:
    """Remove what exports to the same file have left that were killed: what nobody has locked."""
    for path in target.parent.glob(f".{glob.escape(target.name)}.*"):
        if path.suffix.removeprefix(".").isdecimal():
            with contextlib.suppress(OSError):
                fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    path.unlink()
                finally:
                    os.close(fd)
