"""How downloads do: shared, split, resumed, against going direct. Run with `python -m tests.bench.transfers`.

Everything is on loopback: a scripted origin with so many bytes a second for each connection, the daemon as a process of
its own, and clients that throw away what they get. Direct and through the daemon take turns; medians are quoted.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import aiohttp
from rich.console import Console
from rich.table import Table

from tests.daemon import Daemon, config_for
from tests.origin import Origin
from tests.origin_faults import Rate
from tests.wheels import Wheel, wheel

MIB = 1 << 20


async def fetch(session: aiohttp.ClientSession, url: str) -> tuple[float, str]:
    """Seconds until the last byte, and the SHA-256 of the body."""
    began = time.monotonic()
    digest = hashlib.sha256()
    async with session.get(url, headers={"Accept-Encoding": "identity"}) as response:
        async for piece in response.content.iter_chunked(MIB):
            digest.update(piece)
    return time.monotonic() - began, digest.hexdigest()


def clients(url: str, count: int, sha256: str) -> list[float]:
    """How long so many clients at once take for the file; all of them must get the right one."""

    async def run() -> list[tuple[float, str]]:
        timeout = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=timeout, read_bufsize=MIB
        ) as session:
            return await asyncio.gather(*(fetch(session, url) for _ in range(count)))

    results = asyncio.run(run())
    assert {digest for _, digest in results} == {sha256}
    return [seconds for seconds, _ in results]


class Stage:
    """Origins with one big wheel, each `rate` bytes a second for a connection, and a daemon in front of them."""

    def __init__(
        self, stack: ExitStack, item: Wheel, *, rate: int, mirrors: int = 1, connections: int = 4
    ) -> None:
        self.item = item
        self.origins = [stack.enter_context(Origin(name=f"origin{n}")) for n in range(mirrors)]
        for origin in self.origins:
            origin.add(item)
            origin.script(item.filename, Rate(rate), repeat=True)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        config = config_for(*self.origins, mirror={"connections": connections})
        self.daemon = Daemon(folder, config, fresh=True)
        stack.callback(self.daemon.close)
        self.daemon.start()
        self.url = self.daemon.link(item)
        path = self.url.removeprefix(self.daemon.url)
        self.direct = self.origins[0].url + path

    def forget(self) -> None:
        """Make the file cold again."""
        for blob in self.daemon.cache.glob("blobs/sha256/*/*/*"):
            blob.unlink()

    def sent(self) -> int:
        return sum(origin.bytes_sent(self.item.filename) for origin in self.origins)


def cold_against_direct(
    item: Wheel, rounds: int, *, rate: int, mirrors: int = 1, connections: int = 4, readers: int = 1
) -> tuple[float, float]:
    """Medians of the seconds that a cold file takes: direct, and through the daemon (the fastest of `readers`)."""
    direct, through = [], []
    with ExitStack() as stack:
        stage = Stage(stack, item, rate=rate, mirrors=mirrors, connections=connections)
        for _ in range(rounds):
            direct += clients(stage.direct, 1, item.sha256)
            stage.forget()
            through.append(min(clients(stage.url, readers, item.sha256)))
    return statistics.median(direct), statistics.median(through)


def crowd(item: Wheel, count: int) -> tuple[float, float, int]:
    """Files' worth that the origin sent, MiB that the daemon grew by, and requests, when so many clients ask at once."""
    with ExitStack() as stack:
        stage = Stage(stack, item, rate=60 * MIB, connections=1)
        before = stage.daemon.rss().own
        peak = before
        done = stack.enter_context(Watch(lambda: stage.daemon.rss().own))
        clients(stage.url, count, item.sha256)
        peak = max([peak, *done])
        requests = sum(len(origin.gets(item.filename)) for origin in stage.origins)
        return stage.sent() / len(item.data), (peak - before) / MIB, requests


class Watch:
    """Samples a figure in a thread while the block runs."""

    def __init__(self, figure: Callable[[], int]) -> None:
        self._figure = figure
        self._samples: list[int] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._over.wait(0.1):
            self._samples.append(self._figure())

    def __enter__(self) -> list[int]:
        self._thread.start()
        return self._samples

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    large, medium = wheel("large", "1.0", size=100 * MIB), wheel("medium", "1.0", size=40 * MIB)
    table = Table("what", "direct", "through", "ratio", "goal")

    def row(what: str, pair: tuple[float, float], goal: str, *, faster: bool) -> None:
        direct, through = pair
        ratio = direct / through if faster else through / direct
        table.add_row(what, f"{direct:.2f} s", f"{through:.2f} s", f"{ratio:.2f}", goal)

    row(
        "100 MB, 4 MB/s a connection",
        cold_against_direct(large, rounds, rate=4 * MIB),
        ">= 3 times faster",
        faster=True,
    )
    row(
        "the same from two mirrors",
        cold_against_direct(large, rounds, rate=4 * MIB, mirrors=2),
        ">= 5 times faster",
        faster=True,
    )
    row(
        "100 MB, 50 MB/s, one connection",
        cold_against_direct(large, rounds, rate=50 * MIB, connections=1),
        "<= 1.10 times direct",
        faster=False,
    )
    row(
        "40 MB, 4 MB/s, one connection, the fastest of 50 clients",
        cold_against_direct(medium, rounds, rate=4 * MIB, connections=1, readers=50),
        "<= 1.15 times direct",
        faster=False,
    )
    Console().print(table)
    sent, grown, requests = crowd(large, 200)
    Console().print(
        f"200 clients, one cold 100 MB file: {requests} request(s), {sent:.2f} files sent, "
        f"the daemon grew by {grown:.0f} MiB (goal < 60)"
    )


if __name__ == "__main__":
    main()
