"""Sizes, durations and rates as people read them. Pure; it knows nothing of what they are of."""

from __future__ import annotations

MINUTE, HOUR, DAY = 60, 3600, 86400

UNKNOWN = "\N{EN DASH}"
"""What stands for a figure that isn't known."""


def size(count: float) -> str:
    """Bytes for people: `1.5 GB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:  # noqa: PLR2004 - what would be written with four digits
            short = unit == "B" or count >= 10  # noqa: PLR2004 - two digits are enough
            return f"{count:.0f} {unit}" if short else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def duration(seconds: float) -> str:
    """Seconds for people: `3 h 12 min`."""
    whole = max(0, int(seconds))
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE} min"
    if whole < DAY:
        return f"{whole // HOUR} h {whole % HOUR // MINUTE} min"
    return f"{whole // DAY} d {whole % DAY // HOUR} h"


def milliseconds(seconds: float | None) -> str:
    """A short time: `12 ms`, `1.4 s`; a dash where it isn't known."""
    if seconds is None:
        return UNKNOWN
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def share(part: float, whole: float) -> str:
    """A part of a whole in per cent, never rounded up to all of it: `99.9 %`."""
    if not whole:
        return UNKNOWN
    if part >= whole:
        return "100 %"
    return f"{min(part / whole, 0.999):.1%}".replace("%", " %")
