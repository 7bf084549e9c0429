"""Cold answers: each server is asked for what nobody has asked it for before, once, and must get it from the origin.

Against nginx with the files themselves, which is what the origin takes to send it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from tests.bench.corpus import COLD_WHEEL
from tests.bench.peers import JSON_TYPE, Peer
from tests.client import get

TITLES = {
    "cold-page": "94 kB page, gzip",
    "cold-large": "1.9 MB page, gzip",
    "cold-huge": "7 MB page, gzip",
    COLD_WHEEL: "12 MB wheel",
}

Found = Mapping[str, Mapping[str, Sequence["Cost"]]]
"""By question and server, round by round."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one answer took."""

    seconds: float
    cpu: float
    """Seconds of the server's processor time until the answer was there."""


def measure(peers: Sequence[Peer], rounds: int) -> Found:
    """Ask each server for each thing, another one each round. The order alternates."""
    found: dict[str, dict[str, list[Cost]]] = {key: {peer.name: [] for peer in peers} for key in TITLES}
    for key in TITLES:
        for number in range(rounds):
            for peer in peers if number % 2 else reversed(peers):
                found[key][peer.name].append(_once(peer, key, f"{key}-{number}"))
    return found


def _once(peer: Peer, key: str, project: str) -> Cost:
    url = peer.file(project) if key == COLD_WHEEL else f"{peer.simple}{project}/"
    coding = "identity" if key == COLD_WHEEL else "gzip"
    spent, began = peer.cpu(), time.perf_counter()
    answer = get(url, {"Accept": f"{JSON_TYPE}, text/html;q=0.2", "Accept-Encoding": coding}, timeout=60)
    cost = Cost(time.perf_counter() - began, peer.cpu() - spent)
    assert answer.status == 200, f"{peer.name} answers {answer.status}: {answer.body[:200]!r}"
    return cost


def show(found: Found, limits: Mapping[str, str], console: Console) -> None:
    """A table: medians, and what is added to the limit's time in the same round."""
    table = Table(title="cold answers, medians; added: to what nginx takes to send the files")
    for column in ("", "server", "ms", "added ms", "CPU ms"):
        table.add_column(
            column, justify="left" if column in {"", "server"} else "right", no_wrap=column == "server"
        )
    for key, servers in found.items():
        for place, (name, costs) in enumerate(servers.items()):
            added = [
                one.seconds - limit.seconds for one, limit in zip(costs, servers[limits[name]], strict=True)
            ]
            table.add_row(
                "" if place else TITLES[key],
                name,
                f"{statistics.median(cost.seconds for cost in costs) * 1e3:,.1f}",
                f"{statistics.median(added) * 1e3:,.1f}",
                f"{statistics.median(cost.cpu for cost in costs) * 1e3:,.1f}",
                end_section=place == len(servers) - 1,
            )
    console.print(table)
