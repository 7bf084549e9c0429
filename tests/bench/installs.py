"""Real uv and pip install a set of packages through each server, with no cache of their own: what all of it is for."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.bench.corpus import package_set
from tests.bench.peers import Peer, pypicache
from tests.installers import pip_install, uv_install
from tests.origin import Origin
from tests.origin_faults import Both, Delay, Rate

FAR = 0.05
"""Seconds between a request and its answer from the far origin; as many pass until a connection to it can be used."""

SLOW = 4_000_000
"""Bytes a second that the far origin gives a connection."""


INSTALLERS = {"uv": uv_install, "pip": pip_install}


def install(folder: Path, index_url: str, installer: str = "uv") -> float:
    """Seconds that it takes for the set. `folder` is in memory: it isn't the disk that is measured."""
    target, cache = folder / "target", folder / "cache"
    began = time.monotonic()
    INSTALLERS[installer](target, "dep-0", index_url=index_url, cache=cache).check()
    seconds = time.monotonic() - began
    shutil.rmtree(target)
    shutil.rmtree(cache, ignore_errors=True)  # pip makes none for what it may not keep
    return seconds


@contextmanager
def memory() -> Iterator[Path]:
    """A folder in memory where the system has one, for what uv unpacks."""
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None) as folder:
        yield Path(folder)


def warm(peers: Sequence[Peer], rounds: int, installer: str) -> Mapping[str, list[float]]:
    """Seconds of each round by server, everything in its cache. The order alternates."""
    found: dict[str, list[float]] = {peer.name: [] for peer in peers}
    with memory() as folder:
        for number in range(-1, rounds):
            for peer in peers if number % 2 else reversed(peers):
                seconds = install(folder, peer.simple, installer)
                if number >= 0:
                    found[peer.name].append(seconds)
    return found


def _settle(peer: Peer) -> None:
    """Wait until the server has done what it put off, and takes no processor time any more; ten seconds at most."""
    before = peer.cpu()
    for _ in range(20):
        time.sleep(0.5)
        if (now := peer.cpu()) == before:
            return
        before = now


def far(folder: Path, rounds: int, near: Peer) -> Mapping[str, list[float]]:
    """Seconds from an origin that is far away: directly, through an empty cache, and through the same again; and from one that is `near`.

    The last is what the installer takes by itself: no cache can be faster. Caches stay until the end: while a file system
    remembers what was deleted, new files take it longer (ext4 looks for inodes that weren't freed in the last minutes).
    """
    found: dict[str, list[float]] = {"direct": [], "cold": [], "warm": [], near.name: []}
    with ExitStack() as stack:
        origin, room = stack.enter_context(Origin(handshake=FAR)), stack.enter_context(memory())
        for item in package_set():
            origin.add(item)
        origin.script(lambda _: True, Both(Delay(FAR), Rate(SLOW)), repeat=True)
        for number in range(rounds):
            if number % 2:
                found["direct"].append(install(room, origin.simple))
            place = folder / f"far-{number}"
            with pypicache(place, origin.simple, workers=1) as peer:
                found["cold"].append(install(room, peer.simple))
                _settle(peer)
                found["warm"].append(install(room, peer.simple))
            found[near.name].append(install(room, near.simple))
            if not number % 2:
                found["direct"].append(install(room, origin.simple))
    return found
