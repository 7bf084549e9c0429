"""Lines that clients can cause at will are written sparingly."""

from __future__ import annotations

import logging

import pytest

from pypicache.web.sparing import Sparing
from tests.clock import ManualClock


def test_a_flood_is_a_few_lines_and_a_count(caplog: pytest.LogCaptureFixture, clock: ManualClock) -> None:
    log = logging.getLogger("flood")
    sparing = Sparing(log, logging.INFO, burst=2, period=10, clock=clock)
    with caplog.at_level(logging.INFO):
        for number in range(1000):
            sparing.say("refused %d", number)
        clock.advance(10)
        sparing.say("refused %d", 1000)
        clock.advance(10)
        sparing.say("refused %d", 1001)
    assert caplog.messages == [
        "refused 0",
        "refused 1",
        "refused 1000 (and 998 lines like it, left out)",
        "refused 1001",
    ]


def test_what_is_not_logged_is_not_counted(caplog: pytest.LogCaptureFixture, clock: ManualClock) -> None:
    sparing = Sparing(logging.getLogger("flood"), logging.DEBUG, burst=1, clock=clock)
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            sparing.say("refused")
    with caplog.at_level(logging.DEBUG):
        sparing.say("refused")
    assert caplog.messages == ["refused"]
