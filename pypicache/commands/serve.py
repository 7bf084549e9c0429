"""`pypicache serve`: the daemon in the foreground."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import click

from pypicache.commands.common import SEARCH, config_option, load_config


@click.command(epilog=SEARCH)
@config_option
def serve(path: Path | None) -> None:
    """Run the daemon in the foreground.

    Logs go to standard error, or to log.file. SIGTERM and SIGINT end it once running responses have finished, or after
    server.shutdown_timeout; a second one, at once. SIGHUP reloads the configuration.
    """
    # Until everything is there: collecting while modules are imported finds nothing and takes a sixth of the start.
    gc.disable()
    config = load_config(path)
    # The service brings aiohttp and the rest along: a bad configuration is told without waiting for them.
    from pypicache.daemon import run  # noqa: PLC0415 - see above

    sys.exit(run(config))
