"""Traffic as bars: what an SVG of it has in it. Pure: numbers in, numbers out.

Minutes are put together into spans of time, aligned to the clock: of a minute for a daemon that is young, else of
five. Two series are stacked on each other, or stand beside each other. The scale ends at a round number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pypicache.monitor.status import MinuteStatus

BARS = 72
"""Spans of time in a chart."""

LONG, SHORT = 300, 60
"""Seconds of such a span."""

HEIGHT = 100.0
"""The chart's height, in the units of its bars."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One span of time. Heights are of `HEIGHT`; values are what they stand for."""

    at: int
    first: float
    second: float
    first_value: int
    second_value: int


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars, the oldest first, and the value at the top of the scale."""

    bars: tuple[Bar, ...]
    top: float
    span: int
    """Seconds that all of it covers."""
    stacked: bool


def chart(
    minutes: Sequence[MinuteStatus],
    now: float,
    first: Callable[[MinuteStatus], int],
    second: Callable[[MinuteStatus], int],
    *,
    stacked: bool,
) -> Chart:
    """The traffic up to `now`, two values of each minute."""
    step = LONG if minutes and now - minutes[0].at > BARS * SHORT else SHORT
    last = int(now // step) * step
    sums = {last - step * back: [0, 0] for back in range(BARS - 1, -1, -1)}
    for minute in minutes:
        if (held := sums.get(int(minute.at // step) * step)) is not None:
            held[0] += first(minute)
            held[1] += second(minute)
    top = round_up(max(sum(pair) if stacked else max(pair) for pair in sums.values()))
    return Chart(
        bars=tuple(
            Bar(at, round(HEIGHT * a / top, 2), round(HEIGHT * b / top, 2), a, b)
            for at, (a, b) in sums.items()
        ),
        top=top,
        span=BARS * step,
        stacked=stacked,
    )


def round_up(value: float) -> float:
    """The next of 1, 2, 5, 10, 20, 50 … that isn't less: what a scale ends at."""
    if value <= 1:
        return 1
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value)
