"""The command line as a subprocess in an environment of its own, or in this process."""

from __future__ import annotations

import os
import pkgutil
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner

from pypicache.cli import _commands as cli
from pypicache.commands import __path__ as _commands
from tests.environment import REPOSITORY
from tests.nursery import SERVE, run_module

COMMANDS = (*(f"pypicache.commands.{module.name}" for module in pkgutil.iter_modules(_commands)), *SERVE)
"""What brings along most of what commands import."""


def run(
    cwd: Path,
    *arguments: str | Path,
    umask: int = -1,
    given: str | None = None,
    fresh: bool = False,
    **env: str,
) -> subprocess.CompletedProcess[str]:
    """Run the program in that directory, which is also its home, and in an environment of its own; `given` on standard input.

    Out of the nursery, unless there is something to read, or it is to have a `fresh` interpreter.
    """
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    whole = {**kept, "HOME": str(cwd), "PYTHONPATH": str(REPOSITORY), "PYTHONUTF8": "1", **env}
    if given is None and umask == -1 and not fresh:
        return run_module("pypicache", *map(str, arguments), cwd=cwd, env=whole, needed=COMMANDS)
    return subprocess.run(
        [sys.executable, "-m", "pypicache", *map(str, arguments)],
        cwd=cwd,
        env=whole,
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        umask=umask,
    )


def ok(done: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
    """The run, if it succeeded; otherwise the test fails with what was said."""
    assert done.returncode == 0, f"{done.returncode}: {done.stderr}{done.stdout}"
    return done


def run_here(*arguments: str | Path, given: str | None = None) -> subprocess.CompletedProcess[str]:
    """The same in this process, in a fraction of the time: for commands that are told everything by options."""
    words = [str(each) for each in arguments]
    done = CliRunner().invoke(cli, words, input=given, prog_name="pypicache")
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return subprocess.CompletedProcess(words, done.exit_code, done.stdout, done.stderr)
