"""The command line as a subprocess, in an environment of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.environment import REPOSITORY


def run(
    cwd: Path, *arguments: str | Path, umask: int = -1, given: str | None = None, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run the program in that directory, which is also its home, and in an environment of its own; `given` on standard input."""
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-m", "pypicache", *map(str, arguments)],
        cwd=cwd,
        env={**kept, "HOME": str(cwd), "PYTHONPATH": str(REPOSITORY), "PYTHONUTF8": "1", **env},
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
