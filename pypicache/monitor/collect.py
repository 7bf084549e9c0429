"""From what is counted and what is running to one `Status`.

What runs is told by the composition root, as `Running`; looking changes nothing and asks no mirror.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pypicache import __version__
from pypicache.monitor.happenings import Happenings
from pypicache.monitor.pulse import Pulse
from pypicache.monitor.status import (
    DiskStatus,
    DownloadStatus,
    IndexStatus,
    ShadowedStatus,
    Status,
    TotalsStatus,
    hit_rate,
)
from pypicache.monitor.tally import Tally
from pypicache.monitor.traffic import Traffic
from pypicache.monitor.wanted import Wanted

WANTED = 20
"""How many of the most wanted projects are told."""

DOWNLOADS = 100
"""How many downloads in flight are told."""

SHADOWED = 100
"""How many projects of several layers are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """What runs, as the composition root sees it now."""

    default: str
    indexes: Sequence[IndexStatus]
    downloads: Sequence[DownloadStatus]
    shadows: Mapping[str, Mapping[str, tuple[str, ...]]]
    """By index and project: the layers that have it, too, and aren't shown."""
    disk: DiskStatus
    unusable: str | None
    """Why the cache isn't usable; None when it is."""
    in_flight: int
    received: int
    """Bytes that all mirrors have sent."""


class Collector:
    """Makes a `Status`."""

    def __init__(
        self,
        *,
        tally: Tally,
        traffic: Traffic,
        wanted: Wanted,
        happenings: Happenings,
        pulse: Pulse,
        clock: Callable[[], float],
        started: float,
    ) -> None:
        self._tally = tally
        self._traffic = traffic
        self._wanted = wanted
        self._happenings = happenings
        self._pulse = pulse
        self._clock = clock
        self._started = started

    def status(self, running: Running) -> Status:
        """Everything as it is now."""
        now = self._clock()
        return Status(
            version=__version__,
            python=platform.python_version(),
            now=now,
            started=self._started,
            uptime=max(0.0, now - self._started),
            default_index=running.default,
            unusable=running.unusable,
            loop_lag=self._pulse.worst,
            in_flight=running.in_flight,
            transfers=len(running.downloads),
            readers=sum(each.readers for each in running.downloads),
            indexes=tuple(running.indexes),
            totals=self._totals(running.received),
            traffic=tuple(self._traffic.minutes()),
            downloads=tuple(sorted(running.downloads, key=longest_first)[:DOWNLOADS]),
            disk=running.disk,
            wanted=tuple(self._wanted.top(WANTED)),
            errors=tuple(self._happenings.troubles()),
            shadowed=tuple(
                ShadowedStatus(index=index, project=project, hidden=hidden)
                for index, projects in running.shadows.items()
                for project, hidden in tuple(projects.items())[-SHADOWED:]
            ),
        )

    def _totals(self, received: int) -> TotalsStatus:
        totals = self._tally.totals()
        hits, misses = totals.pages[0] + totals.files[0], totals.pages[1] + totals.files[1]
        return TotalsStatus(
            requests=totals.requests,
            page_hits=totals.pages[0],
            page_misses=totals.pages[1],
            file_hits=totals.files[0],
            file_misses=totals.files[1],
            failed=totals.failed,
            hit_rate=hit_rate(hits, misses),
            sent=totals.sent,
            saved=totals.saved,
            received=received,
        )


def longest_first(download: DownloadStatus) -> tuple[float, str]:
    """The order of downloads: those that have taken longest come first."""
    return -download.seconds, download.filename
