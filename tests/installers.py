"""Real pip and real uv, as subprocesses that see no configuration, cache or index but those they are given.

They run with the interpreter of the tests. A failing installer is a `Result` like any other: tests look at its
`code`. An installer that hangs is ended and fails the test.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.environment import clean
from tests.nursery import run_module

TIMEOUT = 100.0
"""Seconds that one run may take."""

_PIP = ("pip._internal.cli.main", "pip._internal.commands.install", "pip._internal.commands.download")
"""What brings along all that pip imports for this."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a run went."""

    code: int
    out: str
    """Standard output and standard error, interleaved."""

    def check(self) -> Result:
        """Itself, if the run succeeded; otherwise the test fails with the output."""
        assert self.code == 0, self.out
        return self


def pip_install(
    target: Path,
    *requirements: str,
    index_url: str,
    extra_args: Sequence[str] = (),
    cache: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = TIMEOUT,
) -> Result:
    """`pip install --target`; without `cache` pip keeps none."""
    arguments = ["install", "--target", str(target), *_pip_options(index_url, cache), *extra_args]
    return _run([*_pip(), *arguments, *requirements], target.parent, env, timeout)


def pip_download(
    folder: Path,
    *requirements: str,
    index_url: str,
    extra_args: Sequence[str] = (),
    cache: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = TIMEOUT,
) -> Result:
    """`pip download --dest`."""
    arguments = ["download", "--dest", str(folder), *_pip_options(index_url, cache), *extra_args]
    return _run([*_pip(), *arguments, *requirements], folder.parent, env, timeout)


def pip_dry_run(
    folder: Path,
    *requirements: str,
    index_url: str,
    extra_args: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    timeout: float = TIMEOUT,
) -> Result:
    """`pip install --dry-run --ignore-installed`: resolved, downloaded, and nothing installed."""
    arguments = ["install", "--dry-run", "--ignore-installed", *_pip_options(index_url, None), *extra_args]
    return _run([*_pip(), *arguments, *requirements], folder, env, timeout)


def uv_install(
    target: Path,
    *requirements: str,
    index_url: str,
    extra_args: Sequence[str] = (),
    cache: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = TIMEOUT,
) -> Result:
    """`uv pip install --target`; without `cache` uv starts with an empty one, which it drops."""
    arguments = ["pip", "install", "--target", str(target), "--python", sys.executable, "--link-mode", "copy"]
    command = [*_uv(), *arguments, *_uv_options(index_url, cache), *extra_args, *requirements]
    return _run(command, target.parent, env, timeout)


def uv_compile(
    folder: Path,
    *requirements: str,
    index_url: str,
    extra_args: Sequence[str] = (),
    cache: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = TIMEOUT,
) -> Result:
    """`uv pip compile -`: the requirements, resolved and pinned; `--generate-hashes` is a useful extra argument."""
    arguments = ["pip", "compile", "-", "--python", sys.executable, "--no-header"]
    command = [*_uv(), *arguments, *_uv_options(index_url, cache), *extra_args]
    return _run(command, folder, env, timeout, "\n".join(requirements) + "\n")


def uv_path() -> Path | None:
    """The uv beside this interpreter, else the one on PATH, else None."""
    beside = Path(sys.executable).parent / "uv"
    if beside.exists():
        return beside
    found = shutil.which("uv")
    return Path(found) if found else None


def _pip() -> list[str]:
    return [sys.executable, "-m", "pip", "--no-input", "--disable-pip-version-check", "--no-color"]


def _pip_options(index_url: str, cache: Path | None) -> list[str]:
    cached = ["--cache-dir", str(cache)] if cache else ["--no-cache-dir"]
    return ["--index-url", index_url, "--progress-bar", "off", *cached]


def _uv() -> list[str]:
    path = uv_path()
    if path is None:
        pytest.skip(f"uv is neither beside {sys.executable} nor on PATH")
    return [str(path), "--no-progress", "--color", "never"]


def _uv_options(index_url: str, cache: Path | None) -> list[str]:
    cached = ["--cache-dir", str(cache)] if cache else ["--no-cache"]
    return ["--no-config", "--index-url", index_url, *cached]


def _run(
    command: Sequence[str], folder: Path, env: Mapping[str, str] | None, timeout: float, given: str = ""
) -> Result:
    """Run to the end, in a folder whose `home` is the home directory."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = clean(folder / "home", env)
    try:
        if command[:3] == [sys.executable, "-m", "pip"] and not given:
            done = run_module(*command[2:], cwd=folder, env=whole, needed=_PIP, timeout=timeout, merged=True)
            return Result(done.returncode, done.stdout)
        done = subprocess.run(
            command,
            cwd=folder,
            env=whole,
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        said = error.stdout.decode(errors="replace") if isinstance(error.stdout, bytes) else error.stdout
        raise AssertionError(f"{' '.join(command)}: still running after {timeout} s\n{said}") from None
    return Result(done.returncode, done.stdout)
