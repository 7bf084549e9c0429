"""Three mirrors that fail at random while clients install: not one client error as long as one mirror works.

`PYPICACHE_SOAK_SECONDS` says for how long; every second one or two of the mirrors begin to fail in a way of their own.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.client import get
from tests.daemon import Daemon, config_for
from tests.installers import uv_install
from tests.origin import CloseAt, Hang, Origin, ResetAt, ResetBeforeStatus, StallAt, Status, WrongBytes
from tests.wheels import Wheel, wheel

SECONDS = float(os.environ.get("PYPICACHE_SOAK_SECONDS", "20"))
CLIENTS = 6
INSTALLERS = 3
FAULTS = (
    Status(500),
    Status(403),
    Status(429),
    ResetBeforeStatus(),
    ResetAt(700),
    ResetAt(300_000),
    CloseAt(700),
    Hang(),
    StallAt(700),
    StallAt(300_000),
    WrongBytes(500),
)
JSON = {"Accept": "application/vnd.pypi.simple.v1+json"}
QUICK = {"timeout": {"connect": "1s", "read": "1s"}}
_ACCESS = re.compile(r'"GET (\S+)" (\d+) \d+ ([\d.]+)ms')

Client = Callable[[int, threading.Event], None]


def flap(mirrors: Sequence[Origin], clients: Sequence[Future[None]]) -> None:
    """Have one or two of the mirrors fail, another way and others each second, until time is up or a client ends."""
    chance, ends = random.Random(7), time.monotonic() + SECONDS
    while time.monotonic() < ends and not any(each.done() for each in clients):
        for mirror in chance.sample(mirrors, chance.choice((1, 2))):
            mirror.script(lambda request: True, chance.choice(FAULTS), repeat=True)
        threading.Event().wait(1.0)
        for mirror in mirrors:
            mirror.heal()
            mirror.release()


def through_flapping(mirrors: Sequence[Origin], client: Client, count: int) -> None:
    """Run so many clients, which go on until the event is set, while the mirrors flap; the first error is raised."""
    over = threading.Event()
    with ThreadPoolExecutor(count) as pool:
        clients = [pool.submit(client, number, over) for number in range(count)]
        try:
            flap(mirrors, clients)
        finally:
            over.set()
        for each in clients:
            each.result()


def told(what: str, took: Sequence[float]) -> str:
    ranked = sorted(took)
    middle, high = ranked[len(ranked) // 2], ranked[len(ranked) * 99 // 100]
    return f"{len(ranked)} {what}: median {middle:.3f} s, p99 {high:.3f} s, worst {ranked[-1]:.3f} s\n"


@pytest.mark.soak
@pytest.mark.timeout(SECONDS + 120)
def test_soak_flapping_mirrors_cost_no_client_an_error(
    origins: Callable[..., Origin], daemon: Callable[..., Daemon]
) -> None:
    mirrors = [origins(name=name) for name in "abc"]
    wheels = [wheel(f"demo{number}", "1.0", size=40_000) for number in range(400)]
    for mirror in mirrors:
        for item in wheels:
            mirror.add(item)
    running = daemon(config_for(*mirrors, mirror=QUICK, index={"ttl": 1}))
    took: list[float] = []

    def install(item: Wheel) -> None:
        began = time.monotonic()
        page = get(f"{running.simple}{item.name}/", JSON)
        assert page.status == 200, page.text
        href = page.json()["files"][0]["url"].removeprefix("../..")
        file = get(f"{running.url}/root/pypi{href}")
        assert file.status == 200, file.text
        assert file.body == item.data
        took.append(time.monotonic() - began)

    def client(number: int, over: threading.Event) -> None:
        own = random.Random(number)
        while not over.is_set():
            install(own.choice(wheels))

    through_flapping(mirrors, client, CLIENTS)
    asked = sum(len(mirror.requests) for mirror in mirrors)
    sys.stdout.write(f"\n{told('installs, none failed', took)}{asked} requests upstream in {SECONDS:g} s\n")


@pytest.mark.soak
@pytest.mark.timeout(2 * SECONDS + 180)
def test_soak_real_uv_installs_through_flapping_mirrors(
    origins: Callable[..., Origin], daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    """Each installs an application with two libraries, most of which nobody had before. uv is told to try nothing twice."""
    mirrors = [origins(name=name) for name in "abc"]
    count = int(SECONDS * 10)
    made = [
        wheel(f"lib{number}", "1.0", size=400_000 if number % 20 == 0 else 20_000) for number in range(count)
    ]
    made += [
        wheel(f"app{number}", "1.0", size=20_000, requires=[f"lib{number}", f"lib{(number + 1) % count}"])
        for number in range(count)
    ]
    for number, item in enumerate(made):
        for mirror in mirrors:
            # Sidecars with and without a hash, and none.
            mirror.add(item, core_metadata=(True, "bare", False)[number % 3])
    running = daemon(config_for(*mirrors, mirror=QUICK, index={"ttl": 1}))
    took: list[float] = []

    def client(number: int, over: threading.Event) -> None:
        for turn in range(number, count, INSTALLERS):
            if over.is_set():
                return
            target = tmp_path / f"site-{turn}"
            began = time.monotonic()
            done = uv_install(target, f"app{turn}", index_url=running.simple, env={"UV_HTTP_RETRIES": "0"})
            took.append(time.monotonic() - began)
            assert done.code == 0, f"{done.out}\n{running.log[-6000:]}"
            assert (target / f"app{turn}" / "padding.bin").exists()
            shutil.rmtree(target)
        over.wait()

    through_flapping(mirrors, client, INSTALLERS)
    pages: list[float] = []
    files: list[float] = []
    for path, status, milliseconds in _ACCESS.findall(running.log):
        assert status in {"200", "206", "304", "499"}, (path, status)  # 499: uv has seen enough, and leaves
        (pages if "/simple/" in path else files).append(float(milliseconds) / 1000)
    asked = sum(len(mirror.requests) for mirror in mirrors)
    sys.stdout.write(
        f"\n{told('installs by uv, none failed', took)}{told('pages', pages)}{told('files and sidecars', files)}"
        f"{asked} requests upstream in {SECONDS:g} s\n"
    )
