"""What becomes of a download that nobody reads, and which ranges are fetched apart from it."""

from __future__ import annotations

import pytest

from pypicache.rules.aside import fetch_aside
from pypicache.rules.finish import GRACE, goes_on

MIB = 1 << 20


@pytest.mark.parametrize(
    ("held", "size", "readers", "alone", "expected"),
    [
        (0, 500 * MIB, 1, 0.0, True),
        (0, 500 * MIB, 0, GRACE - 1, True),
        (0, 500 * MIB, 0, GRACE, False),
        (100 * MIB, 500 * MIB, 0, GRACE, False),
        (250 * MIB, 500 * MIB, 0, GRACE, True),
        (0, 64 * MIB, 0, GRACE, True),
        (40 * MIB, 100 * MIB, 0, GRACE, True),
        (5 * MIB, None, 0, GRACE, True),
    ],
)
def test_a_download_without_readers(
    held: int, size: int | None, readers: int, alone: float, expected: bool
) -> None:
    assert expected is goes_on(held=held, size=size, readers=readers, alone=alone)


@pytest.mark.parametrize(
    ("start", "stop", "arrived", "rate", "expected"),
    [
        (499 * MIB, 499 * MIB + 16384, 0, 0.0, True),
        (499 * MIB, 499 * MIB + 16384, 10 * MIB, 4e6, True),
        (499 * MIB, 499 * MIB + 16384, 495 * MIB, 100e6, False),  # nearly there
        (499 * MIB, 499 * MIB + 16384, 500 * MIB, 4e6, False),  # there
        (400 * MIB, 402 * MIB, 0, 4e6, False),  # too large
        (MIB // 2, MIB // 2 + 100, 0, 0.0, False),  # near
    ],
)
def test_a_range_of_a_file_that_is_arriving(
    start: int, stop: int, arrived: int, rate: float, expected: bool
) -> None:
    assert expected is fetch_aside(start=start, stop=stop, arrived=arrived, rate=rate)
