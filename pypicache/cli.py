"""The command line: which commands there are, and where each is.

Everything heavy is imported by the command that is called, so that `--help` and `version` answer at once. What a
command does stands in its module under `pypicache.commands`; this decides nothing.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Final, NoReturn

import click

from pypicache import __version__

_COMMANDS: Final = {
    "serve": ("serve", "Run the daemon in the foreground."),
    "init": ("init", "Write a commented configuration file."),
    "check": ("check", "Validate the configuration and show what it comes to."),
    "mirrors": ("mirrors", "Measure the mirrors of an index from here, and suggest an order."),
    "gen-config": ("gen_config", "Write service and proxy files for this configuration."),
    "status": ("status", "Tell what a running daemon is doing."),
    "explain": (
        "explain",
        "Tell why a running daemon answers as it does for a project, or for one file of it.",
    ),
    "index": ("index", "Show the indexes of the configuration, and change them in its file."),
    "passwd": ("passwd", "Make the hash of a password, to stand in a configuration."),
    "lock": ("lock", "Rewrite the links of lock files between this cache and the index that it caches."),
    "cache": ("cache", "Tell what the cache holds."),
    "purge": (
        "purge",
        "Remove projects, an index, pages, files that nobody uses, or everything from the cache.",
    ),
    "refresh": ("refresh", "Ask the mirrors for the pages of projects now, however fresh they are."),
    "verify": ("verify", "Hash every file of the cache, and look through links, pages and lists."),
    "prefetch": ("prefetch", "Fetch what lock files, requirements or projects need into the cache."),
    "export": ("export", "Write pages, files and their metadata to one archive, to be imported elsewhere."),
    "import": ("import_", "Take what pypicache export wrote, or what devpi-server holds, into this cache."),
    "completion": ("completion", "Print the script by which a shell completes commands."),
    "version": ("version", "Show the versions of pypicache and of what it runs on."),
}
"""Name: the module under `pypicache.commands`, which has a command of its own name, and the summary."""


class _Commands(click.Group):
    """The commands of the table, each imported when it is called. Help lists them in the table's order."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Their names."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        """The command of that name, imported."""
        if cmd_name not in _COMMANDS:
            return None
        module = import_module(f"pypicache.commands.{_COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, _COMMANDS[cmd_name][0])
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - as above
        """The table, without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in _COMMANDS.items()])


def main() -> NoReturn:
    """Run the command line, and exit."""
    sys.exit(_commands(prog_name="pypicache"))


@click.group(
    cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, message="pypicache %(version)s")
def _commands() -> None:
    """A cache between pip, uv, poetry, PDM and the package index they use.

    Start it with `pypicache serve` and point a client at http://127.0.0.1:3141/root/pypi/simple/.

    Exit codes: 0 fine, 1 the operation failed, 2 usage or configuration error.
    """
