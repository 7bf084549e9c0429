"""`pypicache gen-config`: files by which services and proxies run this configuration."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from pypicache.commands.common import FAILED, SEARCH, aligned, config_option, fail, load_config
from pypicache.errors import PypicacheError, one_line


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
    click.echo(f"{one_line(str(folder), 1000)}/")
    states = {each.file.name: (each.state, each.file.what) for each in written}
    rows = [
        (f"  {each.name}", "-", each.why)
        if isinstance(each, Skipped)
        else (f"  {each.name}", *states[each.name])
        for each in found
    ]
    for line in aligned(rows):
        click.echo(line)
    for what, commands in steps(deployment, folder, set(states)):
        click.echo(f"\n{what}:")
        for command in commands:
            click.echo(f"  {command}")
    for number, remark in enumerate(remarks(deployment)):
        click.echo(("\n" if not number else "") + f"- {remark}")
    edited = [each.file.name for each in written if each.state == "edited"]
    if edited:
        click.echo(
            f"left as they are, since they were edited: {', '.join(edited)}; --force writes over them",
            err=True,
        )
        sys.exit(FAILED)
