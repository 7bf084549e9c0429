"""What several workers say of themselves, as one daemon's status. Pure.

What each has a part of is added up: requests, bytes, minutes, clients. What they all see is told once, and as the one
sees it that it looks worst to: a mirror that one worker passes over is down, a loop is as late as the latest. A download
that one makes and others follow is one download. What is told of a few only (the most wanted) is added up from those few.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Final, TypeVar

from msgspec.structs import replace

from pypicache.monitor.collect import DOWNLOADS, SHADOWED, WANTED, longest_first
from pypicache.monitor.happenings import ENTRIES, sort_of
from pypicache.monitor.status import (
    BreakerStatus,
    DownloadStatus,
    IndexStatus,
    MinuteStatus,
    MirrorStatus,
    ShadowedStatus,
    Status,
    TotalsStatus,
    TroubleStatus,
    WantedStatus,
    WorkerStatus,
    hit_rate,
)
from pypicache.monitor.traffic import BUCKETS

T = TypeVar("T")
K = TypeVar("K")

_HEALTH: Final = ("up", "trying", "down")
_STATES: Final = ("closed", "half-open", "open")


def whole(own: Status, others: Mapping[int, Status | None], *, number: int = 1) -> Status:
    """The daemon's status, as the worker with that number tells it; `others` by number, None: it doesn't answer."""
    told = [own, *(other for other in others.values() if other is not None)]
    workers = {number: own, **others}
    downloads = _once(chain.from_iterable(each.downloads for each in told), _same_download, _download)
    listed = sum(len(each.downloads) for each in told)
    return replace(
        own,
        started=(started := min(each.started for each in told)),
        uptime=max(0.0, own.now - started),
        unusable=next((each.unusable for each in told if each.unusable), None),
        loop_lag=max(each.loop_lag for each in told),
        in_flight=sum(each.in_flight for each in told),
        transfers=sum(each.transfers for each in told) - (listed - len(downloads)),
        readers=sum(each.readers for each in told),
        indexes=_once(chain.from_iterable(each.indexes for each in told), lambda index: index.name, _index),
        totals=_totals([each.totals for each in told]),
        traffic=_minutes(told),
        downloads=tuple(sorted(downloads, key=longest_first)[:DOWNLOADS]),
        disk=next((each.disk for each in told if each.disk.used is not None), own.disk),
        wanted=_wanted(told),
        errors=_errors(told),
        shadowed=_shadowed(told),
        workers=tuple(_worker(number, workers[number]) for number in sorted(workers)),
    )


def _once(items: Iterable[T], key: Callable[[T], K], both: Callable[[T, T], T]) -> tuple[T, ...]:
    """Those of one key as one, in the order in which they came."""
    found: dict[K, T] = {}
    for item in items:
        name = key(item)
        found[name] = both(found[name], item) if name in found else item
    return tuple(found.values())


def _worker(number: int, said: Status | None) -> WorkerStatus:
    if said is None:
        return WorkerStatus(number=number, answers=False)
    return WorkerStatus(
        number=number,
        answers=True,
        started=said.started,
        requests=said.totals.requests,
        in_flight=said.in_flight,
        loop_lag=said.loop_lag,
    )


def _same_download(download: DownloadStatus) -> tuple[str, int | None]:
    return download.filename, download.size


def _download(one: DownloadStatus, other: DownloadStatus) -> DownloadStatus:
    """The one that a mirror brings, with the readers of both; `other` follows it, or the other way round."""
    ahead = max(one, other, key=lambda each: (bool(each.mirrors), each.bytes))
    return replace(
        ahead,
        bytes=max(one.bytes, other.bytes),
        readers=one.readers + other.readers,
        mirrors=tuple(dict.fromkeys((*one.mirrors, *other.mirrors))),
        seconds=max(one.seconds, other.seconds),
    )


def _index(one: IndexStatus, other: IndexStatus) -> IndexStatus:
    mirrors = _once((*one.mirrors, *other.mirrors), lambda mirror: mirror.name, _mirror)
    return replace(one, requests=one.requests + other.requests, mirrors=mirrors)


def _mirror(one: MirrorStatus, other: MirrorStatus) -> MirrorStatus:
    latest = max(one, other, key=lambda each: each.last_error_at or 0.0)
    return replace(
        one,
        health=max(one.health, other.health, key=_HEALTH.index),
        pages=_breaker(one.pages, other.pages),
        files=_breaker(one.files, other.files),
        latency=_greatest(one.latency, other.latency),
        rate=_greatest(one.rate, other.rate),
        requests=one.requests + other.requests,
        failures=one.failures + other.failures,
        received=one.received + other.received,
        last_error=latest.last_error,
        last_error_at=latest.last_error_at,
    )


def _breaker(one: BreakerStatus, other: BreakerStatus) -> BreakerStatus:
    return max(one, other, key=lambda each: (_STATES.index(each.state), each.wait))


def _greatest(one: float | None, other: float | None) -> float | None:
    """As `merge` has it for the metrics."""
    return max((each for each in (one, other) if each is not None), default=None)


def _totals(parts: Sequence[TotalsStatus]) -> TotalsStatus:
    names = [name for name in TotalsStatus.__struct_fields__ if name != "hit_rate"]
    sums: dict[str, int] = {name: sum(getattr(part, name) for part in parts) for name in names}
    hits, misses = sums["page_hits"] + sums["file_hits"], sums["page_misses"] + sums["file_misses"]
    return TotalsStatus(**sums, hit_rate=hit_rate(hits, misses))


def _minutes(told: Sequence[Status]) -> tuple[MinuteStatus, ...]:
    """The traffic of all, minute by minute; one that began late has none of the early ones."""
    minutes = _once(chain.from_iterable(each.traffic for each in told), lambda minute: minute.at, _minute)
    return tuple(sorted(minutes, key=lambda minute: minute.at)[-BUCKETS - 1 :])


def _minute(one: MinuteStatus, other: MinuteStatus) -> MinuteStatus:
    names = [name for name in MinuteStatus.__struct_fields__ if name != "at"]
    return MinuteStatus(at=one.at, **{name: getattr(one, name) + getattr(other, name) for name in names})


def _wanted(told: Sequence[Status]) -> tuple[WantedStatus, ...]:
    found = _once(
        chain.from_iterable(each.wanted for each in told),
        lambda wanted: (wanted.index, wanted.project),
        lambda one, other: replace(one, requests=one.requests + other.requests),
    )
    return tuple(sorted(found, key=lambda each: (-each.requests, each.index, each.project))[:WANTED])


def _errors(told: Sequence[Status]) -> tuple[TroubleStatus, ...]:
    found = _once(chain.from_iterable(each.errors for each in told), sort_of, _trouble)
    return tuple(sorted(found, key=lambda each: each.last, reverse=True)[:ENTRIES])


def _trouble(one: TroubleStatus, other: TroubleStatus) -> TroubleStatus:
    latest = max(one, other, key=lambda each: each.last)
    return replace(latest, first=min(one.first, other.first), count=one.count + other.count)


def _shadowed(told: Sequence[Status]) -> tuple[ShadowedStatus, ...]:
    found = _once(
        chain.from_iterable(each.shadowed for each in told),
        lambda shadowed: (shadowed.index, shadowed.project),
        lambda one, other: replace(one, hidden=tuple(dict.fromkeys((*one.hidden, *other.hidden)))),
    )
    return found[-SHADOWED:]
