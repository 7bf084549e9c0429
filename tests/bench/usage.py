"""What the servers have used by the end: memory, each process's share of the work, and how late the event loop was."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from tests.bench.peers import Peer
from tests.client import get

_LAG = re.compile(r'^pypicache_event_loop_lag_seconds_bucket\{le="([^"]+)"\} (\S+)$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Used:
    """What one server has used. Memory is in bytes, and pages that processes share count in each."""

    rss_before: int
    rss_after: int
    cpu: tuple[float, ...]
    """Seconds of each process that used any, the busiest first."""
    lag_p99: float | None
    """Seconds within which the loop came to 99 of 100 looks: the bound of a histogram's bucket; None: it doesn't tell."""
    lag_max: float | None


class Usage:
    """Looks at the servers when it is made, and again when it is asked."""

    def __init__(self, peers: Sequence[Peer]) -> None:
        self._peers = peers
        self._rss = {peer.name: peer.rss() for peer in peers}
        self._cpus = {peer.name: peer.cpus() for peer in peers}
        self._lags = {peer.name: _lag(peer) for peer in peers}

    def read(self) -> dict[str, Used]:
        """What each has used since, by its name."""
        return {peer.name: self._of(peer) for peer in self._peers}

    def _of(self, peer: Peer) -> Used:
        before = self._cpus[peer.name]
        spent = [seconds - before.get(pid, 0.0) for pid, seconds in peer.cpus().items()]
        busy = tuple(sorted((round(each, 3) for each in spent if each >= 0.001), reverse=True))
        old = self._lags[peer.name]
        counts = [(bound, count - old.get(bound, 0)) for bound, count in _lag(peer).items()]
        return Used(
            rss_before=self._rss[peer.name],
            rss_after=peer.rss(),
            cpu=busy,
            lag_p99=_within(counts, 0.99),
            lag_max=_within(counts, 1.0),
        )


def _lag(peer: Peer) -> dict[float, float]:
    """How many looks at the loop found it no later than each bound."""
    if not peer.metrics:
        return {}
    return {float(bound): float(count) for bound, count in _LAG.findall(get(peer.metrics).text)}


def _within(counts: Sequence[tuple[float, float]], share: float) -> float | None:
    """The least bound that so much of all is within."""
    whole = counts[-1][1] if counts else 0
    return next((bound for bound, count in counts if count >= whole * share), None) if whole else None


def show(used: dict[str, Used], console: Console) -> None:
    """A table: a line for each server."""
    table = Table(title="what the servers used; lag: of the event loop, as it measures it")
    for column in ("server", "MB before", "after", "CPU seconds by process", "lag p99 ms", "most"):
        table.add_column(
            column, justify="left" if column == "server" else "right", no_wrap=column == "server"
        )
    for name, each in used.items():
        table.add_row(
            name,
            f"{each.rss_before / 1e6:,.0f}",
            f"{each.rss_after / 1e6:,.0f}",
            ", ".join(f"{seconds:,.1f}" for seconds in each.cpu),
            *("" if lag is None else f"≤ {lag * 1e3:g}" for lag in (each.lag_p99, each.lag_max)),
        )
    console.print(table)
