"""`pypicache passwd`: the hash of a password, for a configuration."""

from __future__ import annotations

import secrets
import sys

import click

from pypicache.commands.common import USAGE


@click.command()
def passwd() -> None:
    """Make the hash of a password, to stand in a configuration.

    The password is asked for twice on a terminal, and read as one line where there is none. What is printed goes
    behind password_hash of an account in admin.users or auth.users.
    """
    from pypicache.rules import passwords  # noqa: PLC0415 - not needed for --help

    if sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = sys.stdin.readline().removesuffix("\n").removesuffix("\r")
    if not password:
        click.echo("no password came: one line is due on standard input", err=True)
        sys.exit(USAGE)
    if any(not c.isprintable() for c in password):
        click.echo("a password can't hold control characters", err=True)
        sys.exit(USAGE)
    # Quoted: a colon or a number sign in it would mean something else to YAML one day.
    click.echo(f"'{passwords.make(password, secrets.token_bytes(passwords.SALT))}'")
