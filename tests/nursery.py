"""Programs that start in a moment: forks of a process that has imported what they need (`cradle`), in place of new interpreters.

Most of a daemon's start is importing, and hundreds are started in a run of all tests. A fork differs from `python -m` in
this: its hash seed and its command line in /proc are the cradle's, its parent is the cradle, with which it ends, and what
it imports was imported before. Where a test is about any of that, or about the start itself, it asks for a new interpreter.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Self

from tests import environment
from tests.environment import REPOSITORY

SERVE = (
    "pypicache.commands.serve",
    "pypicache.daemon",
    "uvloop",
    "encodings.ascii",
    "encodings.idna",
    "encodings.utf_8_sig",
)
"""What brings along all that is imported until a daemon is ready; a test compares."""

_READ_LATE = re.compile("HOME|PATH|COLUMNS|PYPICACHE_CONFIG|PIP_.*|UV_.*")
"""Variables that programs ask for when they need them; what was there before has no part in it."""

_READ_EARLY = environment.KEPT - {"COVERAGE_PROCESS_START"} | {"PYTHONPATH", "PYTHONUNBUFFERED", "PYTHONUTF8"}
"""Those that the interpreter or a library reads as it starts, and that may be: there is a nursery for each set of their values."""


class Born:
    """A process of the nursery's: what is used of subprocess.Popen, with text for standard output where that is a pipe."""

    def __init__(self, pid: int, channel: socket.socket, stdout: IO[str] | None) -> None:
        self.pid = pid
        self.stdout = stdout
        self.returncode: int | None = None
        """The exit code, negative for the signal that ended it; None until it has been waited for."""
        self._channel = channel
        self._waiting = threading.Lock()

    def poll(self) -> int | None:
        """How it ended, if that is known: a moment after it did."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """How it ended, when it has. Raises subprocess.TimeoutExpired, and RuntimeError when the nursery is gone."""
        if not self._waiting.acquire(timeout=-1 if timeout is None else timeout):
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        try:
            if self.returncode is None:
                self._channel.settimeout(timeout)
                try:
                    said = self._channel.recv(100)
                except (TimeoutError, BlockingIOError):
                    raise subprocess.TimeoutExpired(str(self.pid), timeout or 0) from None
                if not said:
                    raise RuntimeError(f"nobody can tell how process {self.pid} ended: the nursery is gone")
                self._channel.settimeout(None)
                self._channel.shutdown(socket.SHUT_WR)
                self._channel.recv(1)  # the end: it isn't in the table of processes any more
                self._channel.close()
                self.returncode = int(said)
            return self.returncode
        finally:
            self._waiting.release()

    def send_signal(self, how: int) -> None:
        """Send a signal, if it hasn't ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # another thread has just heard of its end
                os.kill(self.pid, how)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def __del__(self) -> None:
        self._channel.close()


class Nursery:
    """A process to fork from, with that environment. Use as a context manager, or `close` it."""

    def __init__(self, env: Mapping[str, str], needed: Sequence[str] = SERVE) -> None:
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._limits = _limits()
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - `close` closes it
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.cradle", str(theirs.fileno()), *needed],
                cwd=REPOSITORY,
                env=env,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=self._said,
                stderr=self._said,
            )

    @property
    def pid(self) -> int:
        """The process id of the one that forks."""
        return self._process.pid

    @property
    def fits(self) -> bool:
        """Whether what is started here has the limits (setrlimit(2)) that this process has now."""
        return self._limits == _limits()

    def start(
        self,
        module: str,
        arguments: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        streams: tuple[int, int, int],
    ) -> Born:
        """Run `python -m module arguments` there, with those descriptors for its standard streams."""
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        order = {"module": module, "arguments": [*arguments], "cwd": str(cwd), "env": {**env}}
        try:
            with theirs:
                socket.send_fds(self._orders, [json.dumps(order).encode()], [theirs.fileno(), *streams])
            pid = int(mine.recv(100))
        except (OSError, ValueError):
            mine.close()
            raise RuntimeError(self._gone()) from None
        return Born(pid, mine, None)

    def popen(self, module: str, arguments: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> Born:
        """The same with nothing to read, and both its outputs in one pipe."""
        reading, writing = os.pipe2(os.O_CLOEXEC)
        stdout = os.fdopen(reading, encoding="utf-8", errors="replace")
        nothing = os.open(os.devnull, os.O_RDONLY)
        try:
            born = self.start(module, arguments, cwd=cwd, env=env, streams=(nothing, writing, writing))
        except BaseException:
            stdout.close()
            raise
        finally:
            os.close(writing)
            os.close(nothing)
        born.stdout = stdout
        return born

    def close(self) -> None:
        """End it, and all that came of it."""
        with contextlib.suppress(OSError):  # if it has ended already
            self._orders.shutdown(socket.SHUT_RDWR)
        self._orders.close()
        self._process.wait()
        self._said.close()

    def _gone(self) -> str:
        self._process.wait()
        self._said.seek(0)
        return (
            f"the nursery ended with {self._process.returncode}: {self._said.read().decode(errors='replace')}"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


Process = subprocess.Popen[str] | Born


def begin(
    module: str,
    arguments: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    wrapper: Sequence[str] = (),
    fresh: bool = False,
) -> Process:
    """Run `python -m module arguments` with nothing to read and both its outputs in one pipe.

    Out of the nursery, where that will do, unless it is to have a `fresh` interpreter; so has what a `wrapper` runs.
    """
    if not fresh and not wrapper and (where := nursery(env)) is not None:
        return where.popen(module, arguments, cwd=cwd, env=env)
    return subprocess.Popen(
        [*wrapper, sys.executable, "-m", module, *arguments],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )


def run_module(
    module: str,
    *arguments: str,
    cwd: Path,
    env: Mapping[str, str],
    needed: Sequence[str],
    timeout: float = 60.0,
    merged: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run `python -m module arguments` to its end, with nothing to read, out of the nursery where that will do.

    `needed` is what is imported beforehand. Where outputs are `merged`, both are standard output.
    """
    command = [sys.executable, "-m", module, *arguments]
    with (
        Path(os.devnull).open() as nothing,
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as out,
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as apart,
    ):
        err = out if merged else apart
        where = nursery(env, needed)
        if where is None:
            process: Process = subprocess.Popen(
                command, cwd=cwd, env=env, stdin=nothing, stdout=out, stderr=err, text=True
            )
        else:
            streams = (nothing.fileno(), out.fileno(), err.fileno())
            process = where.start(module, arguments, cwd=cwd, env=env, streams=streams)
        late = False
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            late = True
            process.kill()
            process.wait()
        for file in (out, apart):
            file.seek(0)
        if late:
            raise subprocess.TimeoutExpired(command, timeout, out.read(), apart.read())
        return subprocess.CompletedProcess(command, process.wait(), out.read(), apart.read())


def nursery(env: Mapping[str, str], needed: Sequence[str] = SERVE) -> Nursery | None:
    """The nursery for programs with that environment that need those modules, made when first asked for.

    None where only a new interpreter will do: with a variable that isn't known here, or other limits than the nursery has.
    """
    asked = {name: value for name, value in env.items() if not _READ_LATE.fullmatch(name)}
    if sys.platform != "linux" or not asked.keys() <= _READ_EARLY:
        return None
    made = _nursery(frozenset(asked.items()), tuple(needed))
    return made if made.fits else None


@functools.cache
def _nursery(env: frozenset[tuple[str, str]], needed: tuple[str, ...]) -> Nursery:
    made = Nursery({**dict(env), "HOME": os.devnull}, needed)  # what asks too early finds nothing
    atexit.register(made.close)
    return made


def _limits() -> str:
    """What this process may use of each resource, and so those that it starts."""
    return Path("/proc/self/limits").read_text()
