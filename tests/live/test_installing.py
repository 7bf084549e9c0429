"""The program as a tool of its own, from a checkout, by installers that ask the public index for what it requires."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pypicache import __version__
from tests.environment import REPOSITORY, clean
from tests.installers import uv_path
from tests.live.public import TRUST, needed

pytestmark = [pytest.mark.live, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what belongs to the project, as git would give it."""
    needed()
    folder = tmp_path_factory.mktemp("checkout") / "pypicache"
    ignored = shutil.ignore_patterns(".*", "__pycache__", "dist", "*.egg-info")
    shutil.copytree(REPOSITORY, folder, ignore=ignored)
    return folder


def run(command: list[str], home: Path, cwd: Path, **env: str) -> str:
    done = subprocess.run(
        command,
        cwd=cwd,
        env=clean(home, {**TRUST, **env}),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def works(program: Path, home: Path) -> None:
    """As a tool in somebody's home, called from an empty directory."""
    empty = home / "empty"
    empty.mkdir()
    assert run([str(program), "version"], home, empty).split()[1] == __version__
    run([str(program), "init"], home, empty)
    run([str(program), "gen-config"], home, empty)
    unit = (empty / "gen-config" / "pypicache.service").read_text()
    assert f"ExecStart={program} serve -c {empty}/pypicache.yaml\n" in unit
    assert "ProtectHome=read-only\n" in unit


def test_uv_installs_it_as_a_tool(checkout: Path, tmp_path: Path) -> None:
    """By the tutorial's own words."""
    uv = uv_path()
    if uv is None:
        pytest.skip("uv isn't installed")
    home = tmp_path / "home"
    words = re.search(r"<!-- live -->\n```sh\n(.*?)```", (REPOSITORY / "README.md").read_text(), re.DOTALL)
    assert words
    env = {"PATH": f"{uv.parent}:{os.environ['PATH']}", "UV_PYTHON": sys.executable}
    run(["bash", "-ec", words[1]], home, checkout, **env)
    works(home / ".local" / "bin" / "pypicache", home)


@pytest.mark.soak
def test_it_is_installed_as_pipx_does_it(checkout: Path, tmp_path: Path) -> None:
    """A virtual environment of its own, and a link to the script on PATH."""
    home = tmp_path / "home"
    venv = home / ".local" / "share" / "pipx" / "venvs" / "pypicache-server"
    run([sys.executable, "-m", "venv", str(venv)], home, tmp_path)
    run([str(venv / "bin" / "pip"), "install", "-q", str(checkout)], home, tmp_path)
    link = home / ".local" / "bin" / "pypicache"
    link.parent.mkdir()
    link.symlink_to(venv / "bin" / "pypicache")
    works(link, home)
