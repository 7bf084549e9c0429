"""The command line as a subprocess, in an environment of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.environment import REPOSITORY


def run(cwd: Path, *arguments: str, umask: int = -1, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the program in that directory, which is also its home, and in an environment of its own."""
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-m", "pypicache", *arguments],
        cwd=cwd,
        env={**kept, "HOME": str(cwd), "PYTHONPATH": str(REPOSITORY), "PYTHONUTF8": "1", **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        umask=umask,
    )
