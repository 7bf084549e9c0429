"""What passes between this daemon and one mirror, counted: requests by how they went, bytes by what they are for.

A meter outlives the mirror's connections: a reload makes those anew, and goes on with the same meter. Plain integers,
written on the event loop. It decides nothing, and imports nothing of the package.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Lane = Literal["pages", "files"]

Verdict = Literal["ok", "unchanged", "absent", "refused", "failed"]
"""How a request went. ::

    ok          200 or 206, or 416 to a range
    unchanged   304
    absent      404 or 410
    refused     any other status
    failed      no answer: it can't be reached, broke off or was silent
"""

_VERDICTS: Mapping[int, Verdict] = {
    200: "ok",
    206: "ok",
    416: "ok",
    304: "unchanged",
    404: "absent",
    410: "absent",
}


class Meter:
    """Counts for one mirror of one index."""

    def __init__(self) -> None:
        self.requests: dict[tuple[Lane, Verdict], int] = {}
        self.received: dict[Lane, int] = {"pages": 0, "files": 0}
        """Bytes of bodies, as they are on the wire."""

    def answered(self, lane: Lane, status: int) -> None:
        """A request got a response with that status."""
        self._count(lane, _VERDICTS.get(status, "refused"))

    def failed(self, lane: Lane) -> None:
        """A request got none."""
        self._count(lane, "failed")

    def took(self, lane: Lane, count: int) -> None:
        """So many bytes of a body came."""
        self.received[lane] += count

    def _count(self, lane: Lane, verdict: Verdict) -> None:
        self.requests[lane, verdict] = self.requests.get((lane, verdict), 0) + 1


class Meters:
    """The meters of all mirrors that there have been, by index and name: as many as configurations ever named."""

    def __init__(self) -> None:
        self._meters: dict[tuple[str, str], Meter] = {}

    def of(self, index: str, mirror: str) -> Meter:
        """The mirror's meter."""
        return self._meters.setdefault((index, mirror), Meter())

    def all(self) -> Mapping[tuple[str, str], Meter]:
        """All of them, by index and name."""
        return self._meters.copy()

    @property
    def received(self) -> int:
        """Bytes that all mirrors have sent."""
        return sum(sum(meter.received.values()) for meter in self._meters.values())
