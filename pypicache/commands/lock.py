"""`pypicache lock`: the links of lock files, between this cache and the index that it caches."""

from __future__ import annotations

import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pypicache.commands.common import FAILED, SEARCH, USAGE, config_option, load_config
from pypicache.errors import PypicacheError, one_line

if TYPE_CHECKING:
    from pypicache.commands.locking import Origins, ToCache, ToCanonical
    from pypicache.locks.places import Here

EXAMPLES = """\b
Examples:
  pypicache lock to-canonical uv.lock
  pypicache lock to-cache --cache http://cache.example:3141/simple/ uv.lock pylock.toml
  pypicache lock to-canonical --check uv.lock          for pre-commit: exit code 1 if it would change
  git config filter.pypicache.clean "pypicache lock to-canonical --name %f -"
"""


@click.group(name="lock", epilog=EXAMPLES)
def lock() -> None:
    """Rewrite the links of lock files between this cache and the index that it caches.

    uv.lock, pylock.toml, poetry.lock, pdm.lock and requirements files with --index-url: links to files and indexes
    are exchanged by prefix; digests, comments and every other byte stay as they are. Each file is replaced in one step.
    """


def _options(command: Callable[..., None]) -> Callable[..., None]:
    """What both directions take."""
    for option in reversed(
        (
            click.argument("files", metavar="FILE...", nargs=-1, required=True),
            click.option(
                "--check", is_flag=True, help="Change nothing; exit code 1 if something would change."
            ),
            click.option(
                "--cache",
                "address",
                metavar="URL",
                help="The index here as the lock file has it: http://HOST:PORT/simple/. By default, what the configuration comes to.",
            ),
            click.option(
                "--index",
                "index",
                metavar="NAME",
                help="The index; the default one if left out (without --cache).",
            ),
            click.option(
                "--origin",
                "simple",
                metavar="URL",
                help="The index elsewhere. By default its mirror pypi, if it has that, or else its first mirror.",
            ),
            click.option(
                "--files",
                "prefix",
                metavar="URL",
                help="What file links begin with elsewhere, ending in packages/. By default, what the origin's pages say.",
            ),
            click.option(
                "--name",
                metavar="NAME",
                default="-",
                help="What standard input is called: %f in a git filter.",
            ),
            config_option,
        )
    ):
        command = option(command)
    return command


@lock.command(name="to-canonical", epilog=EXAMPLES + "\n" + SEARCH)
@_options
def to_canonical(**options: Any) -> None:
    """Make links of this cache those of the index that it caches, for the file to hold anywhere.

    FILE may be - for standard input and output. Where the origin has its files, its pages tell the running daemon,
    which is asked; with --origin and --files nobody is. A link whose other name can't be known is an error, and the
    file stays as it is.
    """
    from pypicache.commands.locking import ToCanonical  # noqa: PLC0415 - not needed for --help

    _run(ToCanonical, **options)


@lock.command(name="to-cache", epilog=EXAMPLES + "\n" + SEARCH)
@_options
def to_cache(**options: Any) -> None:
    """Make links of the index that this cache caches those of this cache.

    FILE may be - for standard input and output. Links of other indexes stay as they are.
    """
    from pypicache.commands.locking import ToCache  # noqa: PLC0415 - not needed for --help

    _run(ToCache, **options)


def _run(
    kind: type[ToCanonical | ToCache],
    *,
    files: tuple[str, ...],
    check: bool,
    address: str | None,
    index: str | None,
    simple: str | None,
    prefix: str | None,
    name: str,
    path: Path | None,
) -> None:
    try:
        change = kind(_origins(address, index, simple, prefix, path))
    except PypicacheError as error:
        click.echo(error, err=True)
        sys.exit(USAGE)
    bad = False
    for file in files:
        shown = one_line(name if file == "-" else file)
        try:
            count = (
                _standard(change, name, check=check)
                if file == "-"
                else _file(Path(file), change, check=check)
            )
        except (PypicacheError, OSError, UnicodeError) as error:
            click.echo(f"{shown}: {getattr(error, 'strerror', None) or error}", err=True)
            bad = True
            continue
        bad = bad or (check and count > 0)
        if file != "-" or check:
            links = f"{count} link{'s' if count > 1 else ''} {'would change' if check else 'changed'}"
            click.echo(f"{shown}: {links if count else 'unchanged'}", err=True)
    if bad:
        sys.exit(FAILED)


def _origins(
    address: str | None, index: str | None, simple: str | None, prefix: str | None, path: Path | None
) -> Origins:
    """What the options and the configuration say. Raises PypicacheError for what can't be."""
    from pypicache.commands.locking import Origins  # noqa: PLC0415 - not needed for --help
    from pypicache.locks.places import here  # noqa: PLC0415 - as above

    if prefix is not None and not prefix.rstrip("/").endswith("/packages"):
        raise PypicacheError(f"--files {one_line(prefix)}: it ends in /packages/, as file links have it")
    prefix = None if prefix is None else prefix.rstrip("/") + "/"
    if address is not None:
        return Origins(here((address,)), simple=simple, files=prefix)
    cache, known = _configured(index, path)
    return Origins(cache, simple=simple or known, files=prefix)


def _configured(name: str | None, path: Path | None) -> tuple[Here, str | None]:
    """The index as the configuration has it: its addresses here, and where it is elsewhere."""
    from pypicache.commands.addresses import addresses  # noqa: PLC0415 - not needed for --help
    from pypicache.locks.places import here  # noqa: PLC0415 - as above

    config = load_config(path)
    name = config.default_index if name is None else name
    if name not in config.indexes:
        raise PypicacheError(f"there is no index {one_line(name)} in the configuration")
    origin = config.indexes[name].origin
    return here(addresses(config, name)), None if origin is None else origin.url


def _file(path: Path, change: ToCanonical | ToCache, *, check: bool) -> int:
    """Rewrite the file, in one step; how many links were changed, or would be."""
    from pypicache.generate.writing import write  # noqa: PLC0415 - not needed for --help

    text, count = _changed(path.read_bytes(), path.name, change)
    if count and not check:
        write(path, text, mode=stat.S_IMODE(path.stat().st_mode), replace=True)
    return count


def _standard(change: ToCanonical | ToCache, name: str, *, check: bool) -> int:
    text, count = _changed(sys.stdin.buffer.read(), name, change)
    if not check:
        sys.stdout.buffer.write(text.encode())
        sys.stdout.buffer.flush()
    return count


def _changed(data: bytes, name: str, change: ToCanonical | ToCache) -> tuple[str, int]:
    from pypicache.locks.rewrite import rewrite  # noqa: PLC0415 - not needed for --help

    text = data.decode()
    mark = "\ufeff" if text.startswith("\ufeff") else ""  # as editors on Windows begin a file
    text, count = rewrite(text.removeprefix(mark), name.rpartition("/")[2], change)
    return mark + text, count
