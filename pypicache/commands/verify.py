"""`pypicache verify`: is everything in the cache as it was written."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from pypicache.commands.common import FAILED, SEARCH, config_option, load_config
from pypicache.errors import one_line


@click.command(epilog=SEARCH)
@click.option(
    "--repair",
    is_flag=True,
    help="Set aside what is wrong, so that it is fetched again when somebody asks for it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@config_option
def verify(path: Path | None, *, repair: bool, as_json: bool) -> None:
    """Hash every file of the cache, and look through links, pages and lists.

    Every damage is a line; the exit code is 1 while one is left. What is set aside is kept in the folder quarantine of the cache
    directory, as much as there is room for.
    """
    config = load_config(path)
    import msgspec  # noqa: PLC0415 - not needed for --help

    from pypicache.care.orders import Verified, Verify  # noqa: PLC0415 - as above
    from pypicache.commands.bar import Bar  # noqa: PLC0415 - as above
    from pypicache.commands.ordering import ordered  # noqa: PLC0415 - as above
    from pypicache.monitor.words import size  # noqa: PLC0415 - as above

    with Bar() as bar:
        found = ordered(config, Verify(repair=repair), Verified, bar)
    if as_json:
        click.echo(json.dumps({**msgspec.to_builtins(found), "sound": found.sound}))
    else:
        for each in found.wrong:
            done = ": set aside" if each.repaired else ""
            click.echo(f"{each.kind} {one_line(each.where)}: {one_line(each.what)}{done}")
        looked = f"{found.files} files ({size(found.bytes)}), {found.links} links and {found.pages} pages looked at"
        click.echo(
            f"{looked}: {len(found.wrong)} wrong" if found.wrong else f"{looked}: all as they should be"
        )
    if not found.sound:
        sys.exit(FAILED)
