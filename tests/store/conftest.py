"""What the store's tests share: descriptors counted, a small disk, programs that run beside."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import pypicache

Program = Callable[..., "subprocess.Popen[str]"]


def names(directory: Path) -> set[str]:
    """What is in it, by name."""
    return {path.name for path in directory.iterdir()}


def make_directory(path: Path, mode: int = 0o700) -> Path:
    """A new directory with that mode, whatever the umask; and itself."""
    path.mkdir()
    path.chmod(mode)
    return path


def make_link(path: Path, target: Path) -> None:
    """A symbolic link at `path`."""
    path.symlink_to(target)


def move(path: Path, to: Path) -> None:
    """Rename it."""
    path.rename(to)


def mode_of(path: Path) -> int:
    """Its permission bits."""
    return path.stat().st_mode & 0o777


def open_descriptors() -> int:
    """How many descriptors this process has; the one that lists them isn't counted."""
    return len(names(Path("/proc/self/fd"))) - 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A directory that holds 4 MB: a file system of that size where one may be mounted, else no file may be larger."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs", str(place)]
    mounted = (
        os.geteuid() == 0
        and shutil.which("mount") is not None
        and subprocess.run(mount, check=False, capture_output=True).returncode == 0
    )
    if mounted:
        try:
            yield place
        finally:
            subprocess.run(["umount", "-l", str(place)], check=True)
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 20, hard))
    try:
        yield place
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def program() -> Iterator[Program]:
    """Starts Python programs that can import the package; their output is read by line, and they end with the test."""
    running: list[subprocess.Popen[str]] = []
    place = str(Path(pypicache.__file__).parent.parent)

    def start(source: str, *args: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", source, *map(str, args)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": place},
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()
