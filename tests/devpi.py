"""A real devpi-server as a subprocess, in a virtual environment of its own: it pins what it needs, and so does pypicache.

Making the environment needs a package index, and the server takes seconds to start, so tests with one are `live` and `soak`.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.devpi_client import DevpiClient
from tests.environment import clean
from tests.installers import uv_path

_SERVING = re.compile(r"Serving on (http://\S+)")
PASSWORD = "hidden-word"
"""The user root's."""


def install(folder: Path) -> Path:
    """An environment with devpi-server in it, and its `bin`; where it can't be had, the test is skipped."""
    uv = uv_path()
    if uv is None:
        pytest.skip("uv isn't there")
    python = folder / "devpi" / "bin" / "python"
    for command in (
        ["venv", "--quiet", "--python", sys.executable, str(folder / "devpi")],
        ["pip", "install", "--quiet", "--python", str(python), "devpi-server>=6.15"],
    ):
        done = subprocess.run([str(uv), *command], capture_output=True, text=True, timeout=100, check=False)
        if done.returncode != 0:
            pytest.skip(f"devpi-server can't be installed: {done.stderr.strip().splitlines()[-1:]}")
    return python.parent


class DevpiServer:
    """A devpi-server with an empty directory, `folder/server`. As a context manager it runs."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.directory = folder / "server"
        self.client = DevpiClient(folder / "client")
        self.url = ""
        self._env = clean(folder / "home")
        self._programs = programs
        self._process: subprocess.Popen[str] | None = None

    def mirror(self, simple: str, name: str = "root/pypi") -> str:
        """Make an index that is a mirror of that one; what clients are pointed at."""
        for words in (
            ("use", self.url),
            ("login", "root", f"--password={PASSWORD}"),
            ("index", "-c", name, "type=mirror", f"mirror_url={simple}"),
        ):
            self.client(*words).check()
        return f"{self.url}/{name}/+simple/"

    def __enter__(self) -> Self:
        self.client.folder.mkdir(parents=True)
        directory = ["--serverdir", str(self.directory)]
        subprocess.run(
            [self._programs / "devpi-init", *directory, "--no-root-pypi", f"--root-passwd={PASSWORD}"],
            env=self._env,
            check=True,
            capture_output=True,
        )
        self._process = subprocess.Popen(
            [self._programs / "devpi-server", *directory, "--host", "127.0.0.1", "--port", "0"],
            env=self._env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._process.stdout is not None
        said = []
        for line in self._process.stdout:
            said.append(line)
            if match := _SERVING.search(line):
                self.url = match[1].rstrip("/")
                return self
        raise AssertionError(f"devpi-server doesn't start:\n{''.join(said)}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.communicate(timeout=30)
