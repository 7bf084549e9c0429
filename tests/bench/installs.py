"""Real uv installs a set of packages through each server, with no cache of its own: what all of it is for."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.bench.corpus import package_set
from tests.bench.peers import Peer, pypicache
from tests.installers import uv_install
from tests.origin import Origin
from tests.origin_faults import Both, Delay, Rate

FAR = 0.05
"""Seconds between a request and its answer from the far origin."""

SLOW = 4_000_000
"""Bytes a second that the far origin gives a connection."""


def install(folder: Path, index_url: str) -> float:
    """Seconds that uv takes for the set."""
    target = folder / "target"
    shutil.rmtree(target, ignore_errors=True)
    began = time.monotonic()
    uv_install(target, "dep-0", index_url=index_url).check()
    return time.monotonic() - began


def warm(folder: Path, peers: Sequence[Peer], rounds: int) -> Mapping[str, list[float]]:
    """Seconds of each round by server, everything in its cache. The order alternates."""
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, list[float]] = {peer.name: [] for peer in peers}
    for number in range(-1, rounds):
        for peer in peers if number % 2 else reversed(peers):
            seconds = install(folder, peer.simple)
            if number >= 0:
                found[peer.name].append(seconds)
    return found


def far(folder: Path, rounds: int) -> Mapping[str, list[float]]:
    """Seconds from an origin that is far away: directly, through an empty cache, and through the same again."""
    found: dict[str, list[float]] = {"direct": [], "cold": [], "warm": []}
    with ExitStack() as stack:
        origin = stack.enter_context(Origin())
        for item in package_set():
            origin.add(item)
        origin.script(lambda _: True, Both(Delay(FAR), Rate(SLOW)), repeat=True)
        for number in range(rounds):
            if number % 2:
                found["direct"].append(install(folder, origin.simple))
            place = folder / f"far-{number}"
            with pypicache(place, origin.simple, workers=1) as peer:
                found["cold"].append(install(folder, peer.simple))
                found["warm"].append(install(folder, peer.simple))
            if not number % 2:
                found["direct"].append(install(folder, origin.simple))
            shutil.rmtree(place)
    return found
