"""The daemon's state as one value: what `/-/status`, the status page and `pypicache status` show.

Plain data, fit for anyone who may read the indexes: no secrets, no paths, addresses without user and password. Times are
seconds since the epoch, durations seconds, sizes bytes. It collects nothing (`collect` does).
"""

from __future__ import annotations

import msgspec


class BreakerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A mirror's breaker."""

    state: str
    """closed, open or half-open."""
    errors: int
    wait: float
    """Seconds until the mirror takes its turn again; 0 when it does already."""


class MirrorStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One mirror, and how it does."""

    name: str
    url: str
    serves: str
    """both, pages or files."""
    health: str
    """up; trying, where its next answer decides; or down."""
    pages: BreakerStatus
    files: BreakerStatus
    latency: float | None
    """Seconds to the first byte of a page, when it was last asked."""
    rate: float | None
    """Bytes a second of a file, likewise."""
    requests: int
    failures: int
    """Requests without an answer, or with one that is none."""
    received: int
    last_error: str
    last_error_at: float | None


class LayerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One of the indexes that an index with layers is made of."""

    index: str
    owns: tuple[str, ...]


class IndexStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One index: it has mirrors or layers."""

    name: str
    default: bool
    offline: bool
    web_url: str | None
    """Where people find a project, with `{name}` for its name."""
    requests: int
    mirrors: tuple[MirrorStatus, ...]
    layers: tuple[LayerStatus, ...]


class TotalsStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What all requests since the start come to."""

    requests: int
    """Those that had to do with an index."""
    page_hits: int
    page_misses: int
    file_hits: int
    file_misses: int
    failed: int
    hit_rate: float | None
    """The share of pages and files that needed no mirror; None while there were none."""
    sent: int
    saved: int
    """Bytes sent that no mirror was asked for."""
    received: int
    """Bytes that mirrors sent."""


class MinuteStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What one minute brought."""

    at: int
    """When it began."""
    requests: int = 0
    hits: int = 0
    misses: int = 0
    failed: int = 0
    sent: int = 0
    received: int = 0


class DownloadStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A file on its way."""

    filename: str
    bytes: int
    size: int | None
    rate: float
    """Bytes a second."""
    readers: int
    mirrors: tuple[str, ...]
    seconds: float
    state: str


class DiskStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The cache's room."""

    used: int | None
    """Bytes in the cache; None while they haven't been counted."""
    files: int | None
    max_size: int
    min_free: int
    free: int | None
    """Bytes that the file system has left; None when it doesn't say."""
    total: int | None


class WantedStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A project that is asked for often; older requests count less."""

    index: str
    project: str
    requests: int


class TroubleStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Something that went wrong, perhaps several times."""

    what: str
    """The event's name."""
    where: str
    """The mirror, the index or the part of the cache."""
    subject: str
    """The project, the file or whatever it was about, the last time."""
    reason: str
    """In a line, the last time."""
    first: float
    last: float
    count: int = 1


class ShadowedStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A project that several layers of an index have."""

    index: str
    project: str
    hidden: tuple[str, ...]


class WorkerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One of the processes that serve, as the log numbers them."""

    number: int
    answers: bool
    """Whether it told what it does within a second; if not, nothing of it is in any figure here."""
    started: float | None = None
    requests: int = 0
    in_flight: int = 0
    loop_lag: float = 0.0


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """All of it: of all workers, where `workers` names them; else of one process alone."""

    version: str
    python: str
    now: float
    started: float
    uptime: float
    default_index: str
    unusable: str | None
    """Why the cache isn't usable; None when it is."""
    loop_lag: float
    """Seconds by which the event loop was late at the most, in the last minute."""
    in_flight: int
    """Requests that are being answered."""
    transfers: int
    """Downloads in flight; `downloads` tells of the longest of them."""
    readers: int
    """Clients that read from them."""
    indexes: tuple[IndexStatus, ...]
    totals: TotalsStatus
    traffic: tuple[MinuteStatus, ...]
    """The oldest first; the last one has only begun."""
    downloads: tuple[DownloadStatus, ...]
    disk: DiskStatus
    wanted: tuple[WantedStatus, ...]
    errors: tuple[TroubleStatus, ...]
    """The newest first."""
    shadowed: tuple[ShadowedStatus, ...]
    workers: tuple[WorkerStatus, ...] = ()


def hit_rate(hits: int, misses: int) -> float | None:
    """The share of hits; None while there was neither."""
    return round(hits / (hits + misses), 4) if hits + misses else None
