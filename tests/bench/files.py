"""What sending a cached file costs, beside its peers in the same run: `python -m tests.bench.files`.

Large files are measured in CPU seconds of the server per gigabyte, small ones in CPU microseconds per request and in
requests a second; and how long a trifle takes while 20 clients pull large files as fast as they can. Rounds are interleaved, so that what else the machine does falls on all of them, and medians are
shown with their ratio to the first row. Only ratios mean anything beyond the machine they were measured on.
"""

from __future__ import annotations

import argparse
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from tests.client import get
from tests.daemon import Daemon, config_for
from tests.environment import REPOSITORY
from tests.nginx import Nginx, free_port
from tests.origin import Origin
from tests.wheels import Wheel, wheel

LARGE = 50 << 20
SMALL = 20_000


@dataclass
class Peer:
    """A server under measurement, and what the rounds have found."""

    name: str
    pid: int
    port: int
    path: str
    cpu: list[float] = field(default_factory=list)
    """CPU seconds of a round."""
    wall: list[float] = field(default_factory=list)
    """Seconds of a round."""

    def seconds(self) -> float:
        """CPU seconds so far, its children's included."""
        own = psutil.Process(self.pid)
        return sum(_cpu(process) for process in (own, *own.children(recursive=True)))


def _cpu(process: psutil.Process) -> float:
    """To the nanosecond where the system tells (schedstat), else in ticks, which are coarse for a round."""
    threads = list(Path(f"/proc/{process.pid}/task").glob("*/schedstat"))
    if threads:
        return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9
    times = process.cpu_times()
    return float(times.user + times.system)


class Connection:
    """A client that costs as little as can be: one connection, one buffer, no parsing beyond the head."""

    def __init__(self, port: int, path: str, headers: Mapping[str, str] | None = None) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        fields = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        self._request = f"GET {path} HTTP/1.1\r\nHost: bench\r\n{fields}\r\n".encode()
        self._buffer = bytearray(1 << 20)

    def fetch(self) -> int:
        """Ask once more; how many bytes the body had."""
        self._socket.sendall(self._request)
        head = bytearray()
        while (end := head.find(b"\r\n\r\n")) < 0:
            head += self._more()
        if head.startswith(b"HTTP/1.1 304 "):
            return 0
        if not head.startswith(b"HTTP/1.1 200 "):
            raise AssertionError(bytes(head[:end]))
        fields = head[:end].lower()
        size = int(fields.partition(b"content-length:")[2].partition(b"\r\n")[0])
        left = size - (len(head) - end - 4)
        while left > 0:
            left -= self._socket.recv_into(self._buffer)
        return size

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _more(self) -> memoryview:
        count = self._socket.recv_into(self._buffer)
        if not count:
            raise ConnectionError("the server hung up")
        return memoryview(self._buffer)[:count]


@contextmanager
def served(item: Wheel, *, log_access: bool = False) -> Iterator[tuple[Peer, Path]]:
    """A daemon that has the file in its cache; and the blob."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        origin = stack.enter_context(Origin())
        origin.add(item)
        daemon = stack.enter_context(
            Daemon(folder, config_for(origin, log={"access": log_access}), fresh=True)
        )
        url = urlsplit(daemon.link(item))
        assert get(url.geturl()).body == item.data
        blob = next(daemon.cache.glob(f"blobs/sha256/*/*/{item.sha256}"))
        yield Peer("pypicache", daemon.pid, url.port or 0, url.path), blob


@contextmanager
def sendfile_server(blob: Path) -> Iterator[Peer]:
    """The event loop's own sendfile."""
    command = [sys.executable, "-m", "tests.bench.sendfile_server", str(blob)]
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        with process.stdout as lines:
            yield Peer("asyncio sendfile", process.pid, int(lines.readline()), "/file")
    finally:
        process.terminate()
        process.wait()


@contextmanager
def nginx(blob: Path) -> Iterator[Peer]:
    """The same file from nginx."""
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        http = f"""
    sendfile on;
    keepalive_requests 1000000000;
    server {{ listen 127.0.0.1:{port}; location / {{ root {blob.parent}; }} }}"""
        with Nginx(Path(folder), http, port) as started:
            yield Peer("nginx", started.pid, port, f"/{blob.name}")


def measure(peers: Sequence[Peer], *, rounds: int, requests: int) -> None:
    """Give each peer its rounds, in turns; one more at the beginning doesn't count."""
    connections = [Connection(peer.port, peer.path) for peer in peers]
    for number in range(rounds + 1):
        for peer, connection in zip(peers, connections, strict=True):
            cpu, wall = peer.seconds(), time.perf_counter()
            for _ in range(requests):
                connection.fetch()
            if number:
                peer.wall.append(time.perf_counter() - wall)
                peer.cpu.append(peer.seconds() - cpu)
    for connection in connections:
        connection.close()


def table(
    peers: Sequence[Peer], columns: Sequence[tuple[str, Callable[[Peer], Sequence[float]]]]
) -> Iterator[str]:
    """A row for each peer: medians, and their ratios to the first row."""
    yield f"{'':20}" + "".join(f"{title:>22}{'ratio':>8}" for title, _ in columns)
    first = [statistics.median(values(peers[0])) for _, values in columns]
    for peer in peers:
        medians = [statistics.median(values(peer)) for _, values in columns]
        cells = (f"{median:22.2f}{median / base:8.2f}" for median, base in zip(medians, first, strict=True))
        yield f"{peer.name:20}" + "".join(cells)


def large(*, rounds: int, requests: int, size: int = LARGE) -> list[Peer]:
    """Measure a large file: the loop's own sendfile, pypicache, nginx."""
    with ExitStack() as stack:
        ours, blob = stack.enter_context(served(wheel("large", "1.0", size=size)))
        peers = [stack.enter_context(sendfile_server(blob)), ours, stack.enter_context(nginx(blob))]
        measure(peers, rounds=rounds, requests=requests)
    return peers


def small(*, rounds: int, requests: int) -> list[Peer]:
    """Measure a small file: nginx, pypicache without and with its access log."""
    with ExitStack() as stack:
        item = wheel("small", "1.0", size=SMALL)
        ours, blob = stack.enter_context(served(item))
        logging, _ = stack.enter_context(served(item, log_access=True))
        logging.name = "pypicache, logging"
        peers = [stack.enter_context(nginx(blob)), ours, logging]
        measure(peers, rounds=rounds, requests=requests)
    return peers


def lag(*, clients: int = 20, seconds: float = 5.0) -> list[float]:
    """How long `/healthz` takes, in seconds, beside that many fast clients; sorted."""
    found: list[float] = []
    with served(wheel("large", "1.0", size=LARGE)) as (peer, _), ThreadPoolExecutor(clients) as pool:
        until = time.perf_counter() + seconds

        def pull() -> None:
            connection = Connection(peer.port, peer.path)
            while time.perf_counter() < until:
                connection.fetch()
            connection.close()

        pulling = [pool.submit(pull) for _ in range(clients)]
        trifle = Connection(peer.port, "/healthz")
        while time.perf_counter() < until:
            began = time.perf_counter()
            trifle.fetch()
            found.append(time.perf_counter() - began)
        trifle.close()
        for each in pulling:
            each.result()
    return sorted(found)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.files", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    peers = large(rounds=rounds, requests=(count := 20))
    size = count * LARGE / 1e9
    print(
        f"{LARGE >> 20} MiB, cached, one connection, {rounds} rounds of {count}; the goal is 1.3 of the first"
    )
    for line in table(
        peers,
        [
            ("CPU s/GB", lambda peer: [each / size for each in peer.cpu]),
            ("GB/s", lambda peer: [size / each for each in peer.wall]),
        ],
    ):
        print(line)
    peers = small(rounds=rounds, requests=(count := 2000))
    print(f"\n{SMALL} bytes, cached, one connection, {rounds} rounds of {count}")
    for line in table(
        peers,
        [
            ("CPU us/request", lambda peer: [each / count * 1e6 for each in peer.cpu]),
            ("requests/s", lambda peer: [count / each for each in peer.wall]),
        ],
    ):
        print(line)
    times = lag()
    print("\n/healthz beside 20 clients that pull large files: ", end="")
    for name, place in (("median", 0.5), ("99 %", 0.99), ("worst", 1.0)):
        print(f"{name} {times[int(place * (len(times) - 1))] * 1000:.1f} ms", end="  ")
    print()


if __name__ == "__main__":
    main()
