"""The real devpi-client as a subprocess, with a configuration and a home of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.environment import clean
from tests.installers import Result


@dataclass(frozen=True, slots=True)
class DevpiClient:
    """One user's client; `folder` is the home directory, where it keeps what it knows."""

    folder: Path

    def __call__(self, *arguments: str, timeout: float = 60.0) -> Result:
        """Run `devpi` with these arguments."""
        home = self.folder / "home"
        self.folder.mkdir(exist_ok=True)
        # What it would find elsewhere: another user's pip.conf, a virtual environment to write to.
        env = {"XDG_CONFIG_HOME": str(home / ".config"), "PIP_CONFIG_FILE": str(home / "pip.conf")}
        done = subprocess.run(
            [sys.executable, "-m", "devpi", *arguments, "--clientdir", str(self.folder / "client")],
            cwd=self.folder,
            env=clean(home, env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert "Traceback" not in done.stdout, done.stdout
        return Result(done.returncode, done.stdout)

    def json(self, path: str) -> Any:
        """`devpi getjson`."""
        return json.loads(self("getjson", path).check().out)
