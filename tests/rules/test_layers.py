"""How long each layer is waited for."""

from __future__ import annotations

import pytest

from pypicache.rules.layers import wait


@pytest.mark.parametrize(
    ("left", "later", "denied", "troubled", "expected"),
    [
        pytest.param(12.0, 1, True, False, 9.0, id="passed over in time for the next one"),
        pytest.param(12.0, 2, True, False, 6.0, id="and the one after it"),
        pytest.param(12.0, 0, True, False, 12.0, id="nobody comes after it"),
        pytest.param(12.0, 1, True, True, 1.0, id="silent a moment ago, too"),
        pytest.param(12.0, 1, False, True, 12.0, id="its silence is the answer"),
        pytest.param(2.0, 1, True, False, 1.0, id="little is left"),
        pytest.param(-1.0, 0, False, False, 1.0, id="nothing is left"),
    ],
)
def test_how_long_a_layer_is_waited_for(
    left: float, later: int, denied: bool, troubled: bool, expected: float
) -> None:
    assert wait(left=left, later=later, denied=denied, troubled=troubled, patience=1.0) == expected


@pytest.mark.parametrize("layers", range(1, 5))
def test_an_answer_comes_in_time_although_all_are_silent(layers: int) -> None:
    left = 12.0
    for later in range(layers - 1, -1, -1):
        left -= wait(left=left, later=later, denied=True, troubled=False, patience=60.0)
    assert left >= 0.0
