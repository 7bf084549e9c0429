"""How long a start takes with a warm cache: from exec to the first answer, beside importing what it can't do without.

Run with `python -m tests.bench.start`. Starts and imports take turns; medians are quoted, and of processor time the least.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.daemon import Daemon, config_for
from tests.environment import REPOSITORY, clean
from tests.origin import Origin

IMPORT = "import aiohttp.web, uvloop"
"""What a start is measured by."""

LOOK = 0.002
"""Seconds between two looks whether it answers."""


@dataclass(slots=True)
class Costs:
    """Seconds by the clock and of the processor, round by round."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def measure(folder: Path, *, files: int, rounds: int) -> tuple[Costs, Costs]:
    """Start with a cache of so many files, and import; the order alternates."""
    with Origin() as origin:
        daemon = Daemon(folder / "daemon", config_for(origin), fresh=True)
        try:
            daemon.start()
            fill(daemon.cache, files)
            daemon.stop()
            starts, imports = Costs(), Costs()
            turns: list[Callable[[], None]] = [
                lambda: _start(daemon, starts),
                lambda: _import(folder, imports),
            ]
            for number in range(rounds):
                for turn in turns if number % 2 else reversed(turns):
                    turn()
        finally:
            daemon.close()
    return starts, imports


def fill(cache: Path, files: int) -> None:
    """Put so many small files into the cache, as their downloads would have."""
    blobs = cache / "blobs" / "sha256"
    for number in range(files):
        data = str(number).encode()
        name = hashlib.sha256(data).hexdigest()
        path = blobs / name[:2] / name[2:4] / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(0o600)


def _start(daemon: Daemon, costs: Costs) -> None:
    address = daemon.url.removeprefix("http://")
    daemon.config["server"]["listen"] = address
    daemon.write_config()
    began = time.perf_counter()
    process = _run(daemon.folder, "-m", "pypicache", "serve", "-c", str(daemon.config_file))
    try:
        while not _answers(address):
            assert process.poll() is None, f"the daemon ended with {process.returncode}"
            time.sleep(LOOK)
        costs.wall.append(time.perf_counter() - began)
        costs.cpu.append(_spent(process.pid))
    finally:
        process.terminate()
        process.wait()


def _import(folder: Path, costs: Costs) -> None:
    began = time.perf_counter()
    process = _run(folder, "-c", IMPORT)
    _, status, used = os.wait4(process.pid, 0)
    costs.wall.append(time.perf_counter() - began)
    costs.cpu.append(used.ru_utime + used.ru_stime)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert not process.returncode


def _run(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """An interpreter of its own, with bytecode that is kept, as an installation's is."""
    env = clean(folder / "home", {"PYTHONPATH": str(REPOSITORY)})
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    quiet = subprocess.DEVNULL
    return subprocess.Popen([sys.executable, *arguments], cwd=folder, env=env, stdout=quiet, stderr=quiet)


def _spent(pid: int) -> float:
    """Seconds of processor time of that process so far."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), 1) as client:
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            return b" 200 " in client.recv(100)
    except OSError:
        return False


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.start", description=__doc__)
    parser.add_argument("--files", type=int, default=100_000, help="in the cache, 100,000 by default")
    parser.add_argument("--rounds", type=int, default=9, help="9 by default")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        starts, imports = measure(Path(folder), files=options.files, rounds=options.rounds)
    table = Table(title=f"start with {options.files:,} files in the cache")
    for column in ("", "seconds", "of the import", "CPU seconds, least"):
        table.add_column(column, justify="right" if column else "left")
    ratio = statistics.median(one / other for one, other in zip(starts.wall, imports.wall, strict=True))
    for name, costs, share in (("first answer", starts, f"{ratio:.2f}"), (IMPORT, imports, "1.00")):
        table.add_row(name, f"{statistics.median(costs.wall):.3f}", share, f"{min(costs.cpu):.3f}")
    Console().print(table)


if __name__ == "__main__":
    main()
