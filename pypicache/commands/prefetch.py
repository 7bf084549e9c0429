"""`pypicache prefetch`: having in the cache what will be wanted."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pypicache.commands.common import FAILED, SEARCH, USAGE, config_option, fail, load_config
from pypicache.errors import PypicacheError, one_line

if TYPE_CHECKING:
    from pypicache.care.orders import Prefetched, Wanted
    from pypicache.commands.targets import Place
    from pypicache.config.schema import Config
    from pypicache.locks.read import Pin

EXAMPLES = """\b
Examples:
  pypicache prefetch -r requirements.txt
  pypicache prefetch uv.lock --platform linux-x86_64 --platform macos-arm64 --python 3.12
  pypicache prefetch requests 'django>=5'
  pypicache prefetch --top 50
"""

_FILES = (".lock", ".toml", ".txt")
_LOCK = re.compile(r".*\.lock|pylock(\..+)?\.toml")
"""What no resolver reads."""


@click.command(epilog=EXAMPLES + "\n" + SEARCH)
@click.argument("things", metavar="[LOCKFILE|PROJECT...]", nargs=-1)
@click.option(
    "-r",
    "requirements",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A requirements file, resolved by uv or else pip, or a lock file; may be repeated.",
)
@click.option(
    "--top",
    metavar="N",
    type=click.IntRange(1),
    help="The newest versions of the N projects that were used most, lately above all.",
)
@click.option(
    "--platform",
    "platforms",
    metavar="NAME",
    multiple=True,
    help="linux-x86_64, macos-arm64, windows-amd64, a tag as pip takes it; may be repeated. Default: this one.",
)
@click.option(
    "--python",
    "pythons",
    metavar="VERSION",
    multiple=True,
    help="3.12; may be repeated. Default: the one that runs this.",
)
@click.option("--all-files", is_flag=True, help="Every file of each version, whatever it is for.")
@click.option("--sdists", is_flag=True, help="Source distributions too, even where there is a wheel.")
@click.option("--index", "index", metavar="NAME", help="The index; the default one if left out.")
@click.option(
    "--at-a-time",
    metavar="N",
    type=click.IntRange(1, 64),
    default=4,
    help="Files that are fetched together (4).",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@config_option
def prefetch(
    things: tuple[str, ...],
    requirements: tuple[Path, ...],
    top: int | None,
    platforms: tuple[str, ...],
    pythons: tuple[str, ...],
    index: str | None,
    at_a_time: int,
    path: Path | None,
    *,
    all_files: bool,
    sdists: bool,
    as_json: bool,
) -> None:
    """Fetch what lock files, requirements or projects need into the cache.

    Files of lock files (uv.lock, pylock.toml, poetry.lock, pdm.lock, pinned requirements) are taken as they are pinned; requirements
    and projects are resolved by uv or pip as an installation would be. Of each version it is the wheel that the platform and
    Python would install, or else the sdist, with its metadata. What is held is passed over; what can't be had is named,
    and the exit code is 1.
    """
    if not (things or requirements or top):
        raise click.UsageError("a lock file, a project, -r FILE or --top N is due")
    config = load_config(path)
    index = config.default_index if index is None else index
    if index not in config.indexes:
        click.echo(f"there is no index {one_line(index)} in the configuration", err=True)
        sys.exit(USAGE)
    from pypicache.commands.targets import places  # noqa: PLC0415 - not needed for --help

    wanted = places(pythons, platforms)
    try:
        targets = () if all_files else tuple(place.target for place in wanted)
        pins = _pins(config, index, things, requirements, wanted)
    except (PypicacheError, OSError) as error:
        fail(str(error))
    from pypicache.care.orders import Prefetch, Prefetched  # noqa: PLC0415 - as above
    from pypicache.commands.bar import Bar  # noqa: PLC0415 - as above
    from pypicache.commands.ordering import ordered  # noqa: PLC0415 - as above

    order = Prefetch(
        index=index,
        wanted=(*map(_wanted, pins), *_used(config, index, top)),
        targets=targets,
        sdists=sdists,
        at_a_time=at_a_time,
    )
    with Bar() as bar:
        done = ordered(config, order, Prefetched, bar)
    _tell(done, as_json=as_json)


def _tell(done: Prefetched, *, as_json: bool) -> None:
    import msgspec  # noqa: PLC0415 - not needed for --help

    from pypicache.monitor.words import size  # noqa: PLC0415 - as above

    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(done)))
    else:
        click.echo(f"{done.fetched} files fetched ({size(done.bytes)}), {done.held} were here")
        for what, why in sorted(done.missing.items()):
            click.echo(f"missing: {one_line(what)}: {one_line(why)}", err=True)
    if done.missing:
        sys.exit(FAILED)


def _pins(
    config: Config, index: str, things: Sequence[str], requirements: Sequence[Path], wanted: Sequence[Place]
) -> list[Pin]:
    """What lock files pin, and what requirements and projects come to. Raises PypicacheError, OSError."""
    from pypicache.commands.pinned import pins_of  # noqa: PLC0415 - not needed for --help

    locks = [Path(thing) for thing in things if thing.endswith(_FILES) or Path(thing).is_file()]
    locks += [path for path in requirements if _LOCK.fullmatch(path.name)]
    requirements = [path for path in requirements if path not in locks]
    pins = list(pins_of(locks))
    projects = [thing for thing in things if Path(thing) not in locks]
    if projects or requirements:
        from pypicache.commands.resolving import resolve  # noqa: PLC0415 - as above

        pins += asyncio.run(resolve(config, index, projects, requirements, wanted))
    return pins


def _wanted(pin: Pin) -> Wanted:
    from pypicache.care.orders import Wanted  # noqa: PLC0415 - not needed for --help

    files = tuple((file.filename, None if file.digest is None else str(file.digest)) for file in pin.files)
    return Wanted(project=pin.project, version=pin.version, files=files)


def _used(config: Config, index: str, top: int | None) -> list[Wanted]:
    """The projects that were used most, lately above all, in that index or what it is made of."""
    if top is None:
        return []
    from pypicache.care.orders import List, Projects, Wanted  # noqa: PLC0415 - not needed for --help
    from pypicache.commands.bar import Bar  # noqa: PLC0415 - as above
    from pypicache.commands.common import leaves  # noqa: PLC0415 - as above
    from pypicache.commands.ordering import ordered  # noqa: PLC0415 - as above

    with Bar(counts=True) as bar:
        held = ordered(config, List(), Projects, bar).projects
    mine = [each for each in held if each.index in leaves(config, index) and each.files]
    best = sorted(mine, key=lambda each: each.credit, reverse=True)
    return [Wanted(project=name) for name in list(dict.fromkeys(each.project for each in best))[:top]]
