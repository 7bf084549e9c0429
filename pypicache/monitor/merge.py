"""The metrics of several workers as those of one daemon: counts are added, and so is what each uses for itself.

What they all see (the disk, a mirror) is taken once, the greatest; the daemon is ready when all are. Pure, over texts in
the Prometheus format.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

_ADDED = {
    "pypicache_requests_in_flight",
    "pypicache_transfers",
    "pypicache_transfer_readers",
    "process_resident_memory_bytes",
    "process_virtual_memory_bytes",
    "process_open_fds",
    "process_max_fds",
    "process_threads",
}
"""Gauges that each worker has a part of."""

_LEAST = {"pypicache_ready", "process_start_time_seconds"}


class _Merged(Collector):
    """Families, once."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = tuple(families)

    def collect(self) -> Iterable[Metric]:
        return self._families


def merge(texts: Iterable[str], accept: str | None) -> tuple[bytes, str]:
    """The workers' metrics as one, and their media type, in the form that `accept` prefers."""
    families: dict[str, Metric] = {}
    values: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
    for text in texts:
        for family in text_string_to_metric_families(text):
            families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            held = values.setdefault(family.name, {})
            for sample in family.samples:
                key = (sample.name, tuple(sample.labels.items()))
                held[key] = _both(family, held[key], sample.value) if key in held else sample.value
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Merged(_filled(families, values)))
    encode, content_type = choose_encoder(accept or "")
    return encode(registry), content_type


def _both(family: Metric, one: float, other: float) -> float:
    if family.type != "gauge" or family.name in _ADDED:
        return one + other
    return min(one, other) if family.name in _LEAST else max(one, other)


def _filled(
    families: Mapping[str, Metric],
    values: Mapping[str, Mapping[tuple[str, tuple[tuple[str, str], ...]], float]],
) -> Iterable[Metric]:
    for name, family in families.items():
        for (sample, labels), value in values[name].items():
            family.add_sample(sample, dict(labels), value)
        yield family
