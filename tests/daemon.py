"""The real program as a subprocess: `pypicache serve`, with a configuration of its own and a cache in a test's folder.

It relies on one line of the daemon's log, `listening on http://HOST:PORT`, and on `/healthz`. It ends only
processes that it started, and their children, by process id.
"""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
import yaml

from tests import family
from tests.client import get
from tests.environment import REPOSITORY, clean
from tests.nursery import Process, begin
from tests.origin import Origin
from tests.wheels import Artifact

_LISTENING = re.compile(r"listening on (http://[^\s\"',]+)")
START = 30.0
"""Seconds in which a daemon must be ready."""
STOP = 45.0
"""Seconds in which a daemon must have stopped: more than the default shutdown_timeout."""


def config_for(
    *origins: Origin,
    mirror: Mapping[str, Any] | None = None,
    index: Mapping[str, Any] | None = None,
    **sections: Mapping[str, Any],
) -> dict[str, Any]:
    """A configuration of one index, `root/pypi`, whose mirrors are these origins in this order.

    `mirror` is added to every mirror, `index` to the index; `sections` are the other top-level sections.
    """
    mirrors = [
        {
            "url": origin.simple,
            "name": origin.name if origin.name != "origin" or not place else f"origin{place + 1}",
            **(mirror or {}),
        }
        for place, origin in enumerate(origins)
    ]
    return {**sections, "indexes": {"root/pypi": {"mirrors": mirrors, **(index or {})}}}


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident sets, in bytes."""

    own: int
    children: Mapping[int, int]
    """By process id."""

    @property
    def total(self) -> int:
        """All of them; pages that the processes share count several times."""
        return self.own + sum(self.children.values())


class Daemon:
    """One daemon, startable and stoppable many times over the same cache. As a context manager it is started.

    `config` lacks nothing if it lacks `server.listen` (any free port on loopback) and `cache.dir` (`folder/cache`).
    `wrapper` goes before the command: `["prlimit", "--nofile=64"]`; `module` is run in place of the package. With neither
    it comes out of the nursery, unless it is to have a `fresh` interpreter: see `tests.nursery`.
    """

    def __init__(
        self,
        folder: Path,
        config: Mapping[str, Any],
        *,
        env: Mapping[str, str] | None = None,
        wrapper: Sequence[str] = (),
        module: str = "pypicache",
        fresh: bool = False,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        # Bound and never listening: it keeps the port for the next start, which nobody else may take meanwhile.
        self._claim = socket.socket()
        self._claim.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._claim.bind(("127.0.0.1", 0))
        self.config: dict[str, Any] = {
            **config,
            "server": {"listen": f"127.0.0.1:{self._claim.getsockname()[1]}", **config.get("server", {})},
            "cache": {"dir": str(folder / "cache"), **config.get("cache", {})},
        }
        self.cache = Path(self.config["cache"]["dir"])
        self.config_file = folder / "pypicache.yaml"
        self.url = ""
        """Where it listens, without a slash at the end; empty before the first start."""
        self._env = dict(env or {})
        self._wrapper = list(wrapper)
        self._module = module
        self._fresh = fresh or module != "pypicache"
        self._process: Process | None = None
        self._reader: threading.Thread | None = None
        self._lines: list[str] = []
        self._written = threading.Condition()
        self._family: set[psutil.Process] = set()

    @property
    def log(self) -> str:
        """Everything it wrote, over all starts."""
        with self._written:
            return "".join(self._lines)

    @property
    def pid(self) -> int:
        """The process id of the one that runs."""
        return self._running().pid

    @property
    def simple(self) -> str:
        """The default index's URL, as clients are given it."""
        return f"{self.url}/root/pypi/simple/"

    def link(self, item: Artifact) -> str:
        """The absolute URL that the default index's page gives for the file."""
        page = get(f"{self.simple}{item.name}/", {"Accept": "application/vnd.pypi.simple.v1+json"}).json()
        href = next(str(file["url"]) for file in page["files"] if file["filename"] == item.filename)
        return f"{self.url}/packages/{href.removeprefix('../../packages/')}"

    def write_config(self) -> None:
        """Write `config` to `config_file`; a start does it too."""
        self.config_file.write_text(yaml.safe_dump(self.config, sort_keys=False))

    def start(self, timeout: float = START) -> Self:
        """Start it and wait until it answers; a start that fails raises, with the log."""
        if self._process is not None:
            raise RuntimeError("it runs already")
        self.write_config()
        seen = len(self._lines)
        self._process = begin(
            self._module,
            ["serve", "-c", str(self.config_file)],
            cwd=self.folder,
            env=clean(self.folder / "home", {"PYTHONPATH": str(REPOSITORY), **self._env}),
            wrapper=self._wrapper,
            fresh=self._fresh,
        )
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()
        try:
            self._become_ready(self._process, seen, time.monotonic() + timeout)
        except BaseException:
            self.kill()
            raise
        return self

    def stop(self, how: signal.Signals = signal.SIGTERM, timeout: float = STOP) -> int:
        """Send a signal and wait for the end; the exit code (negative: the signal that ended it)."""
        process = self._running()
        self._note_family(process)
        process.send_signal(how)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"still there {timeout} s after {how.name}:\n{self.log}") from None
        return self._reap(process)

    def kill(self) -> int:
        """End it at once, as a power cut would; its children are left alone until `close`."""
        process = self._running()
        self._note_family(process)
        process.kill()
        process.wait(timeout=STOP)
        return self._reap(process)

    def send(self, how: signal.Signals) -> None:
        """Send a signal and wait for nothing."""
        self._running().send_signal(how)

    def restart(self, *, keep_port: bool = True) -> Self:
        """Stop it (if it still runs) and start it again, by default at the same address."""
        if self._process is not None:
            self.stop()
        if keep_port and self.url:
            self.config["server"]["listen"] = self.url.removeprefix("http://")
        return self.start()

    def close(self) -> None:
        """End it, if it runs, and whatever it left behind."""
        self._claim.close()
        if self._process is not None:
            self._note_family(self._process)
            self._process.kill()
        family.kill(self._family)
        # Its children may have held the pipe; now it ends.
        if self._reader is not None:
            self._reader.join(timeout=STOP)
        if self._process is not None:
            self._reap(self._process)
        family.wait(self._family, STOP)
        self._family.clear()

    def wait_log(self, pattern: str, timeout: float = START, *, since: int = 0) -> re.Match[str]:
        """Wait until a line of the log matches, and return the match; `since` skips that many characters."""
        found: list[re.Match[str]] = []

        def matches() -> bool:
            found[:] = filter(None, [re.search(pattern, self.log[since:])])
            return bool(found)

        with self._written:
            if not self._written.wait_for(matches, timeout):
                raise AssertionError(f"no {pattern!r} in the log within {timeout} s:\n{self.log}")
        return found[0]

    def rss(self) -> Memory:
        """The resident sets of the daemon and of its children."""
        process = psutil.Process(self.pid)
        children: dict[int, int] = {}
        for child in process.children(recursive=True):
            try:
                children[child.pid] = child.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        return Memory(process.memory_info().rss, children)

    def cpu(self) -> float:
        """Seconds of processor time that the daemon itself has used."""
        times = psutil.Process(self.pid).cpu_times()
        return float(times.user + times.system)

    def children(self) -> list[psutil.Process]:
        """The daemon's child processes, theirs included."""
        return family.descendants(self.pid)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _running(self) -> Process:
        if self._process is None:
            raise RuntimeError(f"it doesn't run:\n{self.log}")
        return self._process

    def _note_family(self, process: Process) -> None:
        self._family.update(family.descendants(process.pid))

    def _reap(self, process: Process) -> int:
        self._process = None
        assert self._reader is not None
        # Bounded: a child that lives on holds the pipe open.
        self._reader.join(timeout=1)
        return process.wait()

    def _become_ready(self, process: Process, seen: int, deadline: float) -> None:
        def listening() -> bool:
            found = _LISTENING.search("".join(self._lines[seen:]))
            self.url = found.group(1).rstrip("/") if found else self.url
            return bool(found) or process.poll() is not None

        with self._written:
            in_time = self._written.wait_for(listening, deadline - time.monotonic())
        if process.poll() is not None:
            raise AssertionError(f"the daemon ended with {process.returncode}:\n{self.log}")
        if not in_time:
            raise AssertionError(f"the daemon doesn't say that it listens:\n{self.log}")
        status = get(f"{self.url}/healthz", timeout=max(1.0, deadline - time.monotonic())).status
        if status != 200:
            raise AssertionError(f"/healthz answers {status}:\n{self.log}")

    def _read(self, process: Process) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                with self._written:
                    self._lines.append(line)
                    self._written.notify_all()
        # The pipe may end a moment before the process does; who waits for a start wants to know of both.
        process.wait()
        with self._written:
            self._written.notify_all()
