"""Work done by a user who owns nothing, where the tests run as root: in a child process."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that every user of the machine can look into; pytest's own are closed."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def as_nobody(work: Callable[[], object]) -> str:
    """What comes of the work as text, or what it raised; in this process if that is no root's."""
    if os.geteuid() != 0:
        return _told(work)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            os.write(writing, _told(work).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said


def _told(work: Callable[[], object]) -> str:
    try:
        return str(work())
    except Exception as error:  # noqa: BLE001 - it is what is asked for
        return f"{type(error).__name__}: {error}"
