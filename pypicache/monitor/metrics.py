"""Metrics in the Prometheus text format, or OpenMetrics for those who ask for it: made when somebody asks.

What is counted elsewhere is read here, copied first, so that this can be done in a thread while the loop goes on
counting: with many indexes it takes tens of milliseconds. Which metrics there are stands in `families`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from pypicache.monitor import process
from pypicache.monitor.families import FAMILIES
from pypicache.monitor.happenings import Happenings
from pypicache.monitor.pulse import Pulse
from pypicache.monitor.status import MirrorStatus, Status
from pypicache.monitor.tally import Histogram, Tally

Samples = Iterable[tuple[Sequence[object], float]]
"""Label values, and the number."""

_BREAKERS = {"closed": 0, "half-open": 1, "open": 2}


class Meter(Protocol):
    """What passed between this daemon and one mirror."""

    @property
    def requests(self) -> Mapping[Any, int]:
        """How many, by lane and outcome."""
        ...

    @property
    def received(self) -> Mapping[Any, int]:
        """Bytes, by lane."""
        ...


class Metrics:
    """Makes metrics of what these count."""

    def __init__(self, *, tally: Tally, happenings: Happenings, pulse: Pulse) -> None:
        self._tally = tally
        self._happenings = happenings
        self._pulse = pulse

    def render(
        self, status: Status, meters: Mapping[tuple[str, str], Meter], accept: str | None
    ) -> tuple[bytes, str]:
        """The metrics and their media type, in the form that `accept` prefers. For a thread.

        `meters` are by index and mirror.
        """
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Snapshot(self._families(status, meters)))
        encode, content_type = choose_encoder(accept or "")
        return encode(registry), content_type

    def _families(self, status: Status, meters: Mapping[tuple[str, str], Meter]) -> Iterator[Metric]:
        yield _family("pypicache_info", [((status.version, status.python), 1)])
        yield _family("pypicache_ready", [((), status.unusable is None)])
        yield from self._requests(status)
        yield from _mirrors(status, meters)
        yield from _cache(status)
        yield from self._events()
        for name, value in process.figures(status.started).items():
            yield _family(name, [((), value)])

    def _requests(self, status: Status) -> Iterator[Metric]:
        tally = self._tally
        yield _family("pypicache_requests_total", tally.requests.copy().items())
        yield _histogram("pypicache_request_seconds", tally.seconds.copy().items())
        yield _family("pypicache_requests_in_flight", [((), status.in_flight)])
        yield _family("pypicache_sent_bytes_total", tally.sent.copy().items())

    def _events(self) -> Iterator[Metric]:
        happenings = self._happenings
        evicted = happenings.evicted.copy().items()
        yield _family("pypicache_stored_bytes_total", [((), happenings.stored_bytes)])
        yield _family("pypicache_evicted_files_total", [((why,), files) for why, (files, _) in evicted])
        yield _family("pypicache_evicted_bytes_total", [((why,), size) for why, (_, size) in evicted])
        events = happenings.counts.copy().items()
        yield _family("pypicache_events_total", [((event,), count) for event, count in events])
        yield _histogram("pypicache_event_loop_lag_seconds", [((), self._pulse.lag)])


class _Snapshot(Collector):
    """Families, once."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _mirrors(status: Status, meters: Mapping[tuple[str, str], Meter]) -> Iterator[Metric]:
    yield _family(
        "pypicache_mirror_requests_total",
        [((*key, *which), n) for key, meter in meters.items() for which, n in [*meter.requests.items()]],
    )
    yield _family(
        "pypicache_mirror_received_bytes_total",
        [((*key, lane), n) for key, meter in meters.items() for lane, n in [*meter.received.items()]],
    )
    mirrors: list[tuple[str, MirrorStatus]] = [
        (index.name, mirror) for index in status.indexes for mirror in index.mirrors
    ]
    yield _family(
        "pypicache_mirror_breaker",
        [
            ((index, mirror.name, lane), _BREAKERS[breaker.state])
            for index, mirror in mirrors
            for lane, breaker in (("pages", mirror.pages), ("files", mirror.files))
            if mirror.serves in {"both", lane}
        ],
    )
    for name, values in (
        ("pypicache_mirror_latency_seconds", [(i, m, m.latency) for i, m in mirrors]),
        ("pypicache_mirror_rate_bytes", [(i, m, m.rate) for i, m in mirrors]),
    ):
        known = [((index, mirror.name), value) for index, mirror, value in values if value is not None]
        yield _family(name, known)


def _cache(status: Status) -> Iterator[Metric]:
    disk = status.disk
    yield _family("pypicache_transfers", [((), status.transfers)])
    yield _family("pypicache_transfer_readers", [((), status.readers)])
    for name, value in (
        ("pypicache_cache_bytes", disk.used),
        ("pypicache_cache_files", disk.files),
        ("pypicache_cache_max_bytes", disk.max_size),
        ("pypicache_disk_free_bytes", disk.free),
        ("pypicache_disk_bytes", disk.total),
    ):
        yield _family(name, [] if value is None else [((), value)])


def _family(name: str, samples: Samples) -> Metric:
    """A counter or gauge with these samples."""
    known = FAMILIES[name]
    family: CounterMetricFamily | GaugeMetricFamily
    if known.kind == "counter":
        family = CounterMetricFamily(name, known.help, labels=known.labels)
    else:
        family = GaugeMetricFamily(name, known.help, labels=known.labels)
    for labels, value in samples:
        family.add_metric([str(label) for label in labels], value)
    return family


def _histogram(name: str, samples: Iterable[tuple[Sequence[object], Histogram]]) -> Metric:
    """A histogram with these samples; `+Inf` is the count, so that the two always agree."""
    known = FAMILIES[name]
    family = HistogramMetricFamily(name, known.help, labels=known.labels)
    for labels, histogram in samples:
        bounds = [*(str(bound) for bound in histogram.bounds), "+Inf"]
        buckets = list(zip(bounds, accumulate(histogram.counts.copy()), strict=True))
        family.add_metric([str(label) for label in labels], buckets, histogram.total)
    return family
