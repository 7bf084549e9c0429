"""`pypicache init`: a configuration to begin with."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import click

from pypicache.commands.common import aligned, fail
from pypicache.errors import one_line

MODE = 0o600
"""Of the file: it will hold passwords, sooner or later."""


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
def init(file: Path | None, *, force: bool) -> None:
    """Write a commented configuration file.

    FILE is $PYPICACHE_CONFIG if that is set and ./pypicache.yaml otherwise: where the other commands look first. Only
    its owner can read it. What is there already is left alone. Below /etc/pypicache, it's the machine's own, with its
    cache in /var/cache/pypicache.
    """
    from pypicache.generate.first import first_configuration  # noqa: PLC0415 - not needed for --help
    from pypicache.generate.writing import write  # noqa: PLC0415 - as above

    path = file or Path(os.environ.get("PYPICACHE_CONFIG") or "pypicache.yaml")
    shown = one_line(str(path), 1000)
    try:
        write(path, first_configuration(system=_is_systems(path)), mode=MODE, replace=force)
    except FileExistsError:
        fail(f"{shown} is there already, and is left as it is: --force replaces it")
    except OSError as error:
        fail(f"{shown} can't be written: {error.strerror or error}")
    click.echo(f"wrote {shown} (only you can read it)")
    click.echo("It works as it is: the public index on http://127.0.0.1:3141. Next:")
    option = "" if _is_found(path) else f" -c {shlex.quote(str(path))}"
    for line in aligned(
        [
            (f"  pypicache check{option}", "what it comes to, after each change"),
            (f"  pypicache serve{option}", "run it in the foreground"),
            (f"  pypicache gen-config{option}", "files for systemd, nginx and others, to run it for good"),
        ]
    ):
        click.echo(line)


def _is_systems(path: Path) -> bool:
    """Whether the file is for the machine's own service: its cache is not in a home then."""
    from pypicache.config.load import SYSTEM_FILE  # noqa: PLC0415 - YAML isn't needed for --help

    return path.absolute().is_relative_to(SYSTEM_FILE.parent)


def _is_found(path: Path) -> bool:
    """Whether commands find this file by themselves, called here and now."""
    from pypicache.config.load import find  # noqa: PLC0415 - YAML isn't needed for --help

    found = find(os.environ, Path())
    return found is not None and found.exists() and found.samefile(path)
