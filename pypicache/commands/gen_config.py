"""`pypicache gen-config`: files by which services and proxies run this configuration."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pypicache.commands.common import FAILED, SEARCH, aligned, config_option, fail, load_config
from pypicache.errors import PypicacheError, one_line

if TYPE_CHECKING:
    from pypicache.generate.files import Generated, Skipped
    from pypicache.generate.folder import Written


@click.command(epilog=SEARCH)
@config_option
@click.option(
    "--dir",
    "folder",
    metavar="DIR",
    type=click.Path(path_type=Path),
    default=Path("gen-config"),
    show_default=True,
    help="The folder to write to.",
)
@click.option("--force", is_flag=True, help="Write over files that were edited, too.")
def gen_config(path: Path | None, folder: Path, *, force: bool) -> None:
    """Write service and proxy files for this configuration.

    A systemd service with its socket, nginx, Caddy, supervisord, launchd, docker compose, logrotate, and a note on
    Windows. They name this program, this configuration, and where it listens; generate them again when
    one of these changes. What was edited since it was written is left alone.
    """
    config = load_config(path)
    from pypicache.generate.deployment import here, make_cache  # noqa: PLC0415 - jinja2 isn't needed for --help
    from pypicache.generate.files import Skipped, generate  # noqa: PLC0415 - as above
    from pypicache.generate.folder import write_all  # noqa: PLC0415 - as above
    from pypicache.generate.steps import remarks, steps  # noqa: PLC0415 - as above

    try:
        deployment = here(config, os.environ)
        found = list(generate(deployment))
        make_cache(deployment)
        written = write_all(folder, [each for each in found if not isinstance(each, Skipped)], force=force)
    except PypicacheError as error:
        fail(error)
    except OSError as error:
        fail(f"{one_line(str(error.filename or folder), 1000)} can't be written: {error.strerror or error}")
    _show(folder, found, written)
    for what, commands in steps(deployment, folder, {each.file.name for each in written}):
        click.echo("\n".join([f"\n{what}:", *(f"  {command}" for command in commands)]))
    if told := list(remarks(deployment)):
        click.echo("\n".join(["", *(f"- {remark}" for remark in told)]))
    edited = [each.file.name for each in written if each.state == "edited"]
    if edited:
        click.echo(
            f"left as they are, since they were edited: {', '.join(edited)}; --force writes over them",
            err=True,
        )
        sys.exit(FAILED)


def _show(folder: Path, found: Sequence[Generated | Skipped], written: Sequence[Written]) -> None:
    """A line for each file: what became of it, and what it is for."""
    click.echo(f"{one_line(str(folder), 1000)}/")
    states = {each.file.name: each.state for each in written}
    rows = [(f"  {each.name}", states.get(each.name, "-"), each.what) for each in found]
    for line in aligned(rows):
        click.echo(line)
