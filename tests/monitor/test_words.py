"""Figures as people read them."""

from __future__ import annotations

import pytest

from pypicache.monitor.words import UNKNOWN, duration, milliseconds, share, size


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


@pytest.mark.parametrize(("seconds", "text"), [(None, UNKNOWN), (0.0123, "12 ms"), (1.25, "1.2 s")])
def test_a_short_time(seconds: float | None, text: str) -> None:
    assert milliseconds(seconds) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(0, 0, UNKNOWN), (1, 2, "50.0 %"), (99_999, 100_000, "99.9 %"), (7, 7, "100 %")],
)
def test_a_share_is_never_rounded_up_to_all(part: int, whole: int, text: str) -> None:
    assert share(part, whole) == text
