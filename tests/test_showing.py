"""Sizes and durations as people read them."""

from __future__ import annotations

import pytest

from pypicache.commands.showing import duration, size


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (15_400, "15 kB"),
        (999_600, "1.0 MB"),
        (1_500_000_000, "1.5 GB"),
        (2_000_000_000_000, "2.0 TB"),
    ],
)
def test_a_size(count: int, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0 s"), (59.9, "59 s"), (60, "1 min"), (3 * 3600 + 720, "3 h 12 min"), (90_000, "1 d 1 h")],
)
def test_a_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text
