"""Every metric that there is: its name, its kind, its labels and what it means.

The one list of them; README.md has the same, and a test compares the two. Labels are words of this program, names out
of the configuration, or HTTP statuses: nothing that a client or a mirror makes up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, slots=True)
class Family:
    """One metric."""

    kind: Kind
    help: str
    labels: tuple[str, ...] = ()


FAMILIES: Final[Mapping[str, Family]] = {
    "pypicache_info": Family("gauge", "Always 1; the versions are in the labels", ("version", "python")),
    "pypicache_ready": Family("gauge", "1 if /readyz says 200, else 0"),
    "pypicache_requests_total": Family(
        "counter", "Requests that were answered; 499: the client left", ("index", "kind", "status", "cache")
    ),
    "pypicache_request_seconds": Family(
        "histogram", "From a request's first byte to the last one of its answer", ("kind", "cache")
    ),
    "pypicache_requests_in_flight": Family("gauge", "Requests that are being answered"),
    "pypicache_sent_bytes_total": Family(
        "counter", "Bytes of bodies that clients got, by where they were from", ("index", "source")
    ),
    "pypicache_mirror_requests_total": Family(
        "counter", "Requests to mirrors, by how they went", ("index", "mirror", "lane", "outcome")
    ),
    "pypicache_mirror_received_bytes_total": Family(
        "counter", "Bytes of bodies that mirrors sent", ("index", "mirror", "lane")
    ),
    "pypicache_mirror_breaker": Family(
        "gauge", "A mirror's breaker: 0 closed, 1 half-open, 2 open", ("index", "mirror", "lane")
    ),
    "pypicache_mirror_latency_seconds": Family(
        "gauge", "To the first byte of a page, a decaying mean", ("index", "mirror")
    ),
    "pypicache_mirror_rate_bytes": Family(
        "gauge", "Bytes a second of a file, a decaying mean", ("index", "mirror")
    ),
    "pypicache_transfers": Family("gauge", "Downloads in flight"),
    "pypicache_transfer_readers": Family("gauge", "Clients that read from downloads in flight"),
    "pypicache_stored_bytes_total": Family("counter", "Bytes of files that were downloaded and published"),
    "pypicache_evicted_files_total": Family("counter", "Files that had to go, and why", ("why",)),
    "pypicache_evicted_bytes_total": Family("counter", "Bytes of these files", ("why",)),
    "pypicache_cache_bytes": Family("gauge", "Bytes in the cache directory"),
    "pypicache_cache_files": Family("gauge", "Stored files"),
    "pypicache_cache_max_bytes": Family("gauge", "What cache.max_size allows"),
    "pypicache_disk_free_bytes": Family("gauge", "What the cache's file system has left"),
    "pypicache_disk_bytes": Family("gauge", "The size of the cache's file system"),
    "pypicache_events_total": Family("counter", "What happened, as in the log", ("event",)),
    "pypicache_event_loop_lag_seconds": Family(
        "histogram", "How late the event loop was, looked at twice a second"
    ),
    "process_start_time_seconds": Family("gauge", "When it began to serve, since the epoch"),
    "process_cpu_seconds_total": Family("counter", "Processor time, user and system"),
    "process_resident_memory_bytes": Family("gauge", "Resident memory; Linux only"),
    "process_virtual_memory_bytes": Family("gauge", "Virtual memory; Linux only"),
    "process_open_fds": Family("gauge", "Open file descriptors; Linux only"),
    "process_max_fds": Family("gauge", "How many there may be"),
    "process_threads": Family("gauge", "Threads of Python's"),
}
