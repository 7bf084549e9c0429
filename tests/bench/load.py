"""One measurement: wrk asks one server for one address for a while, and what that cost is read off.

Only ratios between servers of one run mean anything: these machines are shared and noisy.
"""

from __future__ import annotations

import math
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from tests.bench.peers import Peer

_RATE = re.compile(r"Requests/sec:\s+([\d.]+)")
_COUNT = re.compile(r"(\d+) requests in")
_BAD = re.compile(r"Non-2xx or 3xx responses: (\d+)")
_ERRORS = re.compile(r"Socket errors: (.*)")
_BYTES = re.compile(r"requests in [\d.]+\w+, ([\d.]+)(B|KB|MB|GB) read")
_P99 = re.compile(r"99%\s+([\d.]+)(us|ms|s|m)\b")
_UNITS = {"B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


@dataclass(frozen=True, slots=True)
class Sample:
    """What a round found."""

    rate: float
    """Requests a second."""
    cpu: float
    """Seconds of the server's processor time for a request."""
    bytes: float
    """Bytes of an answer, head included."""
    p99: float
    """Seconds within which 99 of 100 requests were answered."""


def wrk_path() -> str:
    """Where wrk is; raises when it isn't installed."""
    found = shutil.which("wrk")
    if found is None:
        raise SystemExit("wrk is needed: apt-get install wrk nginx-light")
    return found


def measure(peer: Peer, url: str, headers: Mapping[str, str], *, seconds: float, connections: int) -> Sample:
    """Ask `url` of the peer for so many seconds (whole ones: wrk knows no others) over so many connections. A wrong answer fails the run."""
    command = [
        wrk_path(),
        "-t1",
        f"-c{connections}",
        f"-d{math.ceil(seconds)}s",
        "--latency",
        "--timeout",
        "20s",
    ]
    for name, value in headers.items():
        command += ["-H", f"{name}: {value}"]
    before = peer.cpu()
    out = subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout
    spent = peer.cpu() - before
    if bad := _BAD.search(out) or _ERRORS.search(out):
        raise AssertionError(f"{peer.name}: {url}: {bad[0]}")
    count = int(_found(_COUNT, out)[1])
    amount, p99 = _found(_BYTES, out), _found(_P99, out)
    return Sample(
        rate=float(_found(_RATE, out)[1]),
        cpu=spent / max(1, count),
        bytes=float(amount[1]) * _UNITS[amount[2]] / max(1, count),
        p99=float(p99[1]) * _SECONDS[p99[2]],
    )


def _found(pattern: re.Pattern[str], out: str) -> re.Match[str]:
    found = pattern.search(out)
    assert found is not None, f"wrk says something else:\n{out}"
    return found
