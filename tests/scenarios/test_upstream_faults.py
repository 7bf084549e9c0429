"""The catalogue of upstream faults, on pages: a real daemon over one real mirror that does as it is told.

Each fault is put to a cold cache, which must answer 503 with the reason within a client's patience, and to a held page,
which must go out unchanged.
"""

from __future__ import annotations

import gzip
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.client import Response, get
from tests.daemon import Daemon, config_for
from tests.origin import (
    Action,
    BlackHole,
    Body,
    Both,
    CloseAt,
    Garbage,
    Hang,
    Headers,
    LieLength,
    Origin,
    Redirect,
    ResetAt,
    ResetBeforeStatus,
    ResetInHead,
    StallAt,
    Status,
)
from tests.wheels import wheel

MakeDaemon = Callable[..., Daemon]
MakeOrigin = Callable[..., Origin]
JSON = {"Accept": "application/vnd.pypi.simple.v1+json"}
DEMO = wheel("demo", "1.0", size=3000)
AT_ONCE = {"ttl": 0, "patience": "10s"}
QUICK = {"timeout": {"connect": "1s", "read": "1s"}}

LOGIN = b"<html><body><form><input type=password></form></body></html>"
JSON_TYPE = {"Content-Type": "application/vnd.pypi.simple.v1+json"}

FAULTS: dict[str, Action] = {
    "u6_reset_before_the_status": ResetBeforeStatus(),
    "u7_reset_in_the_head": ResetInHead(10),
    "u8_reset_in_the_body": ResetAt(20),
    "u9_stall": StallAt(20),
    "u9_hang": Hang(),
    "u11_500": Status(500),
    "u11_502": Status(502),
    "u11_504": Status(504),
    "u12_429": Status(429, {"Retry-After": "120"}),
    "u12_503_for_ages": Status(503, {"Retry-After": "1000000000"}),
    "u15_401": Status(401),
    "u15_403": Status(403),
    "u16_body_too_short": CloseAt(20),
    "u17_length_lies": LieLength(7),
    "u22_bomb": Both(
        Body(gzip.compress(bytes(200 << 20), 9)), Headers({"Content-Encoding": "gzip", **JSON_TYPE})
    ),
    "u22_deep": Both(Body(b"[" * 1_000_000), Headers(JSON_TYPE)),
    "u22_not_utf8": Both(Body(b'{"name": "\xff\xfe"}'), Headers(JSON_TYPE)),
    "u23_redirect_inside": Redirect("http://169.254.169.254/latest/"),
    "u23_redirect_to_a_file": Redirect("file:///etc/passwd"),
    "u23_redirect_loop": Redirect("/simple/demo/"),
    "u25_head_too_long": Headers({"X-Long": "x" * 100_000}),
    "u26_304_unasked": Status(304),
    "u27_login_page": Both(Body(LOGIN), Headers({"Content-Type": "text/html"})),
    "u27_garbage": Garbage(b"\x00\x01 this is no HTTP\r\n\r\n"),
}


def fails(origin: Origin, action: Action) -> None:
    origin.script(lambda request: True, action, repeat=True)


def page(daemon: Daemon, project: str = "demo") -> tuple[Response, float]:
    began = time.monotonic()
    answer = get(f"{daemon.simple}{project}/", JSON)
    return answer, time.monotonic() - began


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_503_while_cold_and_changes_nothing_that_is_held(
    name: str, origin: Origin, daemon: MakeDaemon
) -> None:
    origin.add(DEMO)
    other = wheel("other", "1.0", size=1000)
    origin.add(other)
    running = daemon(config_for(origin, mirror=QUICK, index=AT_ONCE))
    held, _ = page(running)
    assert held.status == 200
    fails(origin, FAULTS[name])
    cold, seconds = page(running, "other")
    assert cold.status == 503, cold.text
    assert seconds < 15
    assert 1 <= int(cold.headers["retry-after"]) <= 60
    assert "origin: " in cold.text
    assert cold.text.count("\n") == 1
    again, seconds = page(running)
    assert (again.status, again.body) == (200, held.body)
    assert seconds < 15
    origin.heal()


def test_u3_refused_connections_and_open_breakers_serve_a_held_page_at_once(
    origins: MakeOrigin, daemon: MakeDaemon
) -> None:
    """Under 50 ms: at the first request, since a refusal is quick, and at all later ones."""
    made = [origins(name=name) for name in "abc"]
    for one in made:
        one.add(DEMO)
    running = daemon(config_for(*made, index={"ttl": 0}))
    page(running)
    for one in made:
        one.close()
    took = []
    for _ in range(20):
        answer, seconds = page(running)
        assert answer.status == 200
        assert "stale" in answer.headers["cache-status"]
        took.append(seconds)
    assert sorted(took)[len(took) // 2] < 0.05
    sys.stdout.write(
        f"held page, every mirror down: median {sorted(took)[10]:.4f} s, worst {max(took):.4f} s\n"
    )


def test_u4_black_holes_are_waited_for_within_patience_and_cold_pages_are_503_in_time(
    daemon: MakeDaemon,
) -> None:
    with BlackHole() as hole:
        mirrors: list[Any] = [{"url": f"{hole.url}/simple/", "name": "hole"}]
        running = daemon({"indexes": {"root/pypi": {"mirrors": mirrors}}})
        answer, seconds = page(running)
        assert (answer.status, seconds < 15) == (503, True)
        assert "hole: no connection within 5 s" in answer.text


def test_u13_a_404_that_flaps_takes_nothing_away(origin: Origin, daemon: MakeDaemon) -> None:
    origin.add(DEMO)
    running = daemon(config_for(origin, index={**AT_ONCE, "negative_ttl": "60s"}))
    held, _ = page(running)
    origin.script("demo", Status(404))
    assert page(running)[0].body == held.body
    assert page(running)[0].body == held.body


def test_u30_of_two_mirrors_the_one_that_works_answers(origins: MakeOrigin, daemon: MakeDaemon) -> None:
    bad, good = origins(name="bad"), origins(name="good")
    good.add(DEMO)
    running = daemon(config_for(bad, good, index={"ttl": 0, "patience": "10s"}))
    for action in (
        Status(500),
        Status(403),
        ResetBeforeStatus(),
        Garbage(b"\x00\x01 this is no HTTP\r\n\r\n"),
        Hang(),
    ):
        fails(bad, action)
        answer, seconds = page(running)
        assert (answer.status, seconds < 3) == (200, True)
        assert json.loads(answer.body)["name"] == "demo"
        bad.heal()
