"""`pypicache index`: what the indexes of the configuration are, and changes to them."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from pypicache.commands.common import SEARCH, USAGE, aligned, config_option, fail, load_config
from pypicache.errors import BadRequest, PypicacheError, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pypicache.config.schema import Config, Index

TEXTS = {
    "ttl": "How old a page may be and still be served without asking.",
    "patience": "How long mirrors are waited for before an older page goes out.",
    "stale_while_revalidate": "How long after ttl a page may go out like that.",
    "stale_if_error": "How long after ttl a page is served when no mirror answers.",
    "negative_ttl": 'How long "no such project" is believed.',
    "web_url": "A link for people to a project, with {name} in it.",
    "quota": "The share of the cache that the index may use, such as 20%.",
    "auth": "none opens the index to everyone, whatever auth says.",
}
"""Settings that are a text, and what they are."""

FLAGS = {
    "offline": "Never ask a mirror.",
    "synthesize_metadata": "Make metadata files for wheels whose mirror offers none.",
    "prefetch_dependencies": "Fetch the pages of what a wheel requires ahead.",
    "prefetch_wheels": "Fetch all wheels that a client has looked at once it downloads one.",
}
"""Settings that are true or false, and what is done when they are true."""


@click.group()
def index() -> None:
    """Show the indexes of the configuration, and change them in its file."""


@index.command("list", epilog=SEARCH)
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
def list_(path: Path | None, *, as_json: bool) -> None:
    """Show the indexes and what they are made of; * is the default one."""
    config = load_config(path)
    if as_json:
        found = [_described(each, config) for each in config.indexes.values()]
        click.echo(json.dumps(found, ensure_ascii=False))
        return
    rows = [("  index", "made of", "ttl", "open to")]
    for each in config.indexes.values():
        mark = "* " if each.name == config.default_index else "  "
        parts = [mirror.name for mirror in each.mirrors] or [layer.index for layer in each.layers]
        kind = "mirrors" if each.mirrors else "layers"
        closed = config.auth.anonymous == "none" and each.auth != "none"
        ttl = f"{each.ttl:g}s" if each.mirrors else "-"
        row = (mark + each.name, f"{kind} {', '.join(parts)}", ttl, "accounts" if closed else "everyone")
        rows.append(row)
    for line in aligned(rows):
        click.echo(line)


def _described(index: Index, config: Config) -> dict[str, Any]:
    """The index as JSON: no credentials, durations in seconds."""
    said: dict[str, Any] = {"name": index.name, "default": index.name == config.default_index}
    if index.layers:
        said["layers"] = [{"index": layer.index, "owns": list(layer.owns)} for layer in index.layers]
    else:
        said["mirrors"] = [
            {"name": mirror.name, "url": mirror.url, "serves": mirror.serves} for mirror in index.mirrors
        ]
    return said | {key: getattr(index, key) for key in (*TEXTS, *FLAGS)}


def _settings(command: click.Command) -> click.Command:
    """The command with an option for each setting."""
    for key, what in FLAGS.items():
        name = key.replace("_", "-")
        command.params.append(
            click.Option([f"--{name}/--no-{name}", key], default=None, help=what, show_default=False)
        )
    for key, what in TEXTS.items():
        command.params.append(click.Option([f"--{key.replace('_', '-')}", key], metavar="VALUE", help=what))
    return command


@_settings
@index.command("set", epilog=SEARCH)
@config_option
@click.argument("name")
@click.option(
    "--mirror",
    "mirrors",
    multiple=True,
    metavar="URL",
    help="A mirror, in order of preference; again for each.",
)
@click.option("--create", is_flag=True, help="Make the index if there is none.")
@click.option("--unset", multiple=True, metavar="SETTING", help="Have that setting at its default again.")
@click.option("--no-reload", is_flag=True, help="Don't tell a running daemon.")
def set_(
    path: Path | None,
    name: str,
    *,
    mirrors: tuple[str, ...],
    create: bool,
    unset: tuple[str, ...],
    no_reload: bool,
    **settings: str | bool | None,
) -> None:
    """Change an index in the configuration's file, and tell a running daemon.

    URL is the address of a Simple API or the name of a well-known mirror; those given are all that the index has
    afterwards, and one that stays keeps its settings. Comments in the file stay. What wouldn't be a sound
    configuration is not written.
    """
    config = load_config(path)
    if config.path is None:
        _refuse("there is no configuration file to change: `pypicache init` writes one")
    from pypicache.config.changing import apply  # noqa: PLC0415 - not needed for --help
    from pypicache.config.edit import IndexChange  # noqa: PLC0415 - as above

    change = IndexChange(
        index=_known(config, name, create=create),
        create=create,
        mirrors=mirrors or None,
        settings=dict(_wanted(settings, unset)),
    )
    try:
        before, after = apply(config.path, change, os.environ)
    except BadRequest as error:
        _refuse(str(error))
    except PypicacheError as error:
        fail(error)
    shown = one_line(str(config.path), 1000)
    if before == after:
        click.echo(f"{shown}: {change.index} is like that already")
        return
    click.echo(f"{shown}: changed {change.index}")
    if not no_reload:
        _reload(load_config(path))


def _refuse(message: str) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(USAGE)


def _known(config: Config, name: str, *, create: bool) -> str:
    """The index that is meant, which devpi's clients may call by another name; ends the program when there is none."""
    from pypicache.config.values import nearest  # noqa: PLC0415 - not needed for --help

    if name in config.indexes or create:
        return name
    alias = name.removeprefix("root/")
    if alias in config.indexes:
        return alias
    _refuse(
        f"there is no index {one_line(name, 100)}{nearest(name, config.indexes)}"
        + (" --create makes it" if not nearest(name, config.indexes) else "")
    )


def _wanted(
    settings: dict[str, str | bool | None], unset: tuple[str, ...]
) -> Iterator[tuple[str, str | bool | int | None]]:
    """The settings that were given, as they are to stand in the file."""
    for given in unset:
        key = given.replace("-", "_")
        if key not in settings:
            _refuse(f"there is no setting {one_line(given, 50)}; there are {', '.join(settings)}")
        yield key, None
    for key, value in settings.items():
        if value is not None and key not in {each.replace("-", "_") for each in unset}:
            yield key, int(value) if isinstance(value, str) and value.isdecimal() else value


def _reload(config: Config) -> None:
    """Have a running daemon read the file, and tell what came of it."""
    from pypicache.commands.reaching import NoDaemon, NotAllowed, ask  # noqa: PLC0415 - not needed for --help

    try:
        said = ask(config, "/-/reload", "POST", good=(200, 409))
    except NoDaemon:
        click.echo("no daemon runs there: it holds from the next start on")
        return
    except NotAllowed:
        fail(
            "the daemon runs as another user, and goes on as before until it is told: "
            "`systemctl reload pypicache`, or SIGHUP"
        )
    except PypicacheError as error:
        fail(error)
    if said["problems"]:
        fail("the daemon goes on as before:\n" + "\n".join(one_line(each, 1000) for each in said["problems"]))
    ours = (
        config.path is not None
        and said["config"] is not None
        and Path(said["config"]).absolute() == config.path.absolute()
    )
    if not ours:
        fail(f"the daemon there has another configuration: {one_line(str(said['config']), 1000)}")
    click.echo("the daemon serves it")
