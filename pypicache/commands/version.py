"""`pypicache version`: what runs here, for bug reports."""

from __future__ import annotations

import json
import platform
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of

import click

from pypicache import __version__
from pypicache.commands.common import aligned


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def version(*, as_json: bool) -> None:
    """Show the versions of pypicache and of what it runs on."""
    versions: dict[str, str | None] = {"pypicache": __version__, "Python": platform.python_version()}
    for package in ("aiohttp", "uvloop"):
        try:
            versions[package] = version_of(package)
        except PackageNotFoundError:
            versions[package] = None
    if as_json:
        click.echo(json.dumps({name.lower(): number for name, number in versions.items()}))
        return
    for line in aligned([(name, number or "not installed") for name, number in versions.items()], gap=1):
        click.echo(line)
