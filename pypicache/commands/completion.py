"""`pypicache completion`: what a shell needs to complete commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

_VARIABLE = "_PYPICACHE_COMPLETE"
"""How the script asks this program for completions; click derives it from the program's name."""

_WHERE = """\b
bash, in ~/.bashrc:  eval "$(pypicache completion bash)"
zsh, in ~/.zshrc:    eval "$(pypicache completion zsh)"
fish, once:          pypicache completion fish > ~/.config/fish/completions/pypicache.fish
"""


@click.command(epilog=_WHERE)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script by which a shell completes commands."""
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(ctx.find_root().command, {}, "pypicache", _VARIABLE).source())
