"""The process as the system sees it, under the names that every Prometheus client gives these figures.

Where `/proc` isn't there or is hidden, what it would tell is left out. Blocking, but only as /proc is.
"""

from __future__ import annotations

import contextlib
import os
import resource
import threading
from collections.abc import Mapping
from pathlib import Path


def figures(started: float) -> Mapping[str, float]:
    """What is known, by metric name; `started` is when the process began to serve, in seconds since the epoch."""
    times = os.times()
    known: dict[str, float] = {
        "process_start_time_seconds": started,
        "process_cpu_seconds_total": times.user + times.system,
        "process_threads": threading.active_count(),
    }
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    known["process_max_fds"] = float("inf") if soft == resource.RLIM_INFINITY else soft
    with contextlib.suppress(OSError, ValueError):
        pages = Path("/proc/self/statm").read_text("ascii").split()
        size = resource.getpagesize()
        known["process_virtual_memory_bytes"] = int(pages[0]) * size
        known["process_resident_memory_bytes"] = int(pages[1]) * size
    with contextlib.suppress(OSError):
        known["process_open_fds"] = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - ten thousand Paths would be for nothing
    return known
