"""Three mirrors that fail at random while clients install: not one client error as long as one mirror works."""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.client import get
from tests.daemon import Daemon, config_for
from tests.origin import CloseAt, Hang, Origin, ResetAt, ResetBeforeStatus, StallAt, Status
from tests.wheels import Wheel, wheel

SECONDS = float(os.environ.get("PYPICACHE_SOAK_SECONDS", "20"))
CLIENTS = 6
FAULTS = (
    Status(500),
    Status(403),
    Status(429),
    ResetBeforeStatus(),
    ResetAt(700),
    CloseAt(700),
    Hang(),
    StallAt(700),
)
JSON = {"Accept": "application/vnd.pypi.simple.v1+json"}


@pytest.mark.soak
@pytest.mark.timeout(SECONDS + 120)
def test_soak_flapping_mirrors_cost_no_client_an_error(
    origins: Callable[..., Origin], daemon: Callable[..., Daemon]
) -> None:
    """`PYPICACHE_SOAK_SECONDS` says how long; every second one or two of the mirrors begin to fail in a way of their own."""
    mirrors = [origins(name=name) for name in "abc"]
    wheels = [wheel(f"demo{number}", "1.0", size=40_000) for number in range(400)]
    for mirror in mirrors:
        for item in wheels:
            mirror.add(item)
    timeouts = {"timeout": {"connect": "1s", "read": "1s"}}
    running = daemon(config_for(*mirrors, mirror=timeouts, index={"ttl": 1}))
    over, chance = threading.Event(), random.Random(7)
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

    def client(number: int) -> None:
        own = random.Random(number)
        while not over.is_set():
            install(own.choice(wheels))

    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(client, number) for number in range(CLIENTS)]
        ends = time.monotonic() + SECONDS
        while time.monotonic() < ends and not any(each.done() for each in clients):
            for mirror in chance.sample(mirrors, chance.choice((1, 2))):
                mirror.script(lambda request: True, chance.choice(FAULTS), repeat=True)
            over.wait(1.0)
            for mirror in mirrors:
                mirror.heal()
                mirror.release()
        over.set()
        for each in clients:
            each.result()
    took.sort()
    asked = sum(len(mirror.requests) for mirror in mirrors)
    sys.stdout.write(
        f"\n{len(took)} installs in {SECONDS:g} s, none failed; {asked} requests upstream; median {took[len(took) // 2]:.3f} s, "
        f"p99 {took[len(took) * 99 // 100]:.3f} s, worst {took[-1]:.3f} s\n"
    )
