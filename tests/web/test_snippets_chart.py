"""What is typed, and what is drawn, on the status page: pure functions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypicache.monitor.status import MinuteStatus
from pypicache.web.chart import BARS, HEIGHT, chart, round_up
from pypicache.web.snippets import clients, is_loopback


def text(url: str) -> dict[str, str]:
    """All that is to be typed, by client."""
    return {client.key: "\n".join(step.text for step in client.steps) for client in clients(url)}


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:3141/simple/", "https://cache.example/dev/simple/", "http://[::1]:3141/simple/"]
)
def test_every_client_gets_this_very_address(url: str) -> None:
    said = text(url)
    assert set(said) == {"pip", "uv", "poetry", "pdm", "docker", "ci"}
    assert all(url in each for each in said.values())
    assert not any("rusted" in each for each in said.values())


def test_plain_http_from_another_machine_is_trusted_by_name() -> None:
    """Pip talks to no such host without it; other clients don't ask."""
    said = text("http://cache.example:3141/simple/")
    assert "--trusted-host cache.example requests" in said["pip"]
    assert "pip config set global.trusted-host cache.example" in said["pip"]
    assert "PIP_TRUSTED_HOST=cache.example" in said["docker"]
    assert "PIP_TRUSTED_HOST: cache.example" in said["ci"]
    assert "trusted" not in said["uv"]


@pytest.mark.parametrize(
    ("host", "expected"),
    [("localhost", True), ("127.0.0.9", True), ("::1", True), ("cache.example", False), ("10.0.0.1", False)],
)
def test_what_is_this_machine(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


MINUTES = st.lists(
    st.builds(
        MinuteStatus,
        at=st.integers(0, 500).map(lambda number: 60 * number),
        hits=st.integers(0, 10**6),
        misses=st.integers(0, 10**6),
    ),
    max_size=400,
).map(lambda found: sorted(found, key=lambda minute: minute.at))


@given(MINUTES, st.booleans())
def test_bars_are_in_order_and_inside_the_chart(minutes: list[MinuteStatus], stacked: bool) -> None:
    drawn = chart(minutes, 500 * 60.0, lambda m: m.hits, lambda m: m.misses, stacked=stacked)
    assert len(drawn.bars) == BARS
    assert [bar.at for bar in drawn.bars] == sorted({bar.at for bar in drawn.bars})
    for bar in drawn.bars:
        height = bar.first + bar.second if stacked else max(bar.first, bar.second)
        assert 0 <= height <= HEIGHT + 0.02
    known = sum(minute.hits for minute in minutes if minute.at >= drawn.bars[0].at)
    assert sum(bar.first_value for bar in drawn.bars) == known


def test_a_young_daemon_is_drawn_by_the_minute() -> None:
    young = chart([MinuteStatus(at=36_000)], 36_030.0, lambda m: m.hits, lambda m: m.misses, stacked=True)
    old = chart([MinuteStatus(at=0)], 36_030.0, lambda m: m.hits, lambda m: m.misses, stacked=True)
    assert (young.span, old.span) == (72 * 60, 72 * 300)


@pytest.mark.parametrize(
    ("value", "top"), [(0, 1), (1, 1), (1.5, 2), (3, 5), (9, 10), (10, 10), (101, 200), (5000, 5000)]
)
def test_a_scale_ends_at_a_round_number(value: float, top: float) -> None:
    assert round_up(value) == top
