"""The catalogue of upstream faults, on pages: a real daemon over real mirrors that do as they are told.

Each fault is put to a cold cache, which must answer 503 with the reason within a client's patience, and to a held page,
which must go out unchanged. Those of names are in `test_upstream_names`, of TLS in `test_upstream_tls`, of links in
`test_upstream_links`, of files in `test_transfers`.
"""

from __future__ import annotations

import gzip
import json
import sys
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate

import pytest

from tests.client import Response, get
from tests.daemon import Daemon, config_for
from tests.origin import (
    Action,
    BlackHole,
    Body,
    Both,
    CloseAfter,
    CloseAt,
    CloseBeforeStatus,
    Drip,
    Garbage,
    Hang,
    Headers,
    LieLength,
    NoLength,
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
DEMO, OTHER = wheel("demo", "1.0", size=3000), wheel("other", "1.0", size=1000)
AT_ONCE = {"ttl": 0, "patience": "10s"}
QUICK = {"timeout": {"connect": "1s", "read": "1s"}}

LOGIN = b"<html><body><form><input type=password></form></body></html>"
JSON_TYPE = {"Content-Type": "application/vnd.pypi.simple.v1+json"}
GZIP = {"Content-Encoding": "gzip", **JSON_TYPE}

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
    "u12_503_until_a_date": Status(503, {"Retry-After": formatdate(time.time() + 120, usegmt=True)}),
    "u15_401": Status(401),
    "u15_403": Status(403),
    "u16_body_too_short": CloseAt(20),
    "u17_length_lies": LieLength(7),
    "u18_no_length_and_cut": Both(NoLength(), CloseAt(20)),
    "u22_bomb": Both(Body(gzip.compress(bytes(20 << 20))), Headers(GZIP)),
    "u22_many_members": Both(Body(gzip.compress(b" ") * 100_000), Headers(GZIP)),
    "u22_500_megabytes": LieLength(500_000_000),
    "u22_deep": Both(Body(b"[" * 1_000_000), Headers(JSON_TYPE)),
    "u22_not_utf8": Both(Body(b'{"name": "\xff\xfe"}'), Headers(JSON_TYPE)),
    "u22_html_as_json": Both(Body(b"<!DOCTYPE html><a href=x>x</a>"), Headers(JSON_TYPE)),
    "u23_redirect_inside": Redirect("http://169.254.169.254/latest/"),
    "u23_redirect_to_a_file": Redirect("file:///etc/passwd"),
    "u23_redirect_loop": Redirect("/simple/demo/"),
    "u25_head_too_long": Headers({"X-Long": "x" * 100_000}),
    "u25_500_headers": Headers({f"X-{number}": "x" for number in range(500)}),
    "u25_control_characters": Garbage(b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 0\r\n\r\n"),
    "u25_flood_of_1xx": Garbage(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100_000),
    "u25_reason_of_3_megabytes": Garbage(b"HTTP/1.1 200 " + b"x" * 3_000_000 + b"\r\n\r\n"),
    "u26_304_unasked": Status(304),
    "u26_304_to_something_else": Status(304, {"ETag": '"else"'}),
    "u26_206_unasked": Status(206, JSON_TYPE),
    "u27_login_page": Both(Body(LOGIN), Headers({"Content-Type": "text/html"})),
    "u27_garbage": Garbage(b"\x00\x01 this is no HTTP\r\n\r\n"),
}


def fails(origin: Origin, action: Action) -> None:
    origin.script(lambda request: True, action, repeat=True)


def page(daemon: Daemon, project: str = "demo", index: str = "root/pypi") -> tuple[Response, float]:
    began = time.monotonic()
    answer = get(f"{daemon.url}/{index}/simple/{project}/", JSON)
    return answer, time.monotonic() - began


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[Origin, Daemon]]:
    """One daemon with an index for each fault; its requests carry the fault's name, by which the origin knows them."""
    with Origin() as origin:
        origin.add(DEMO)
        origin.add(OTHER)
        indexes = {
            f"faults/{name}": {
                "mirrors": [{"url": origin.simple, "name": "origin", "headers": {"X-Fault": name}, **QUICK}],
                **AT_ONCE,
            }
            for name in FAULTS
        }
        with Daemon(tmp_path_factory.mktemp("faults"), {"indexes": indexes}) as running:
            yield origin, running


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_503_while_cold_and_changes_nothing_that_is_held(
    name: str, catalogue: tuple[Origin, Daemon]
) -> None:
    origin, running = catalogue
    held, _ = page(running, index=f"faults/{name}")
    assert held.status == 200
    origin.script(lambda request: request.headers["x-fault"] == name, FAULTS[name], repeat=True)
    cold, seconds = page(running, "other", f"faults/{name}")
    assert cold.status == 503, cold.text
    assert seconds < 15
    assert 1 <= int(cold.headers["retry-after"]) <= 60
    assert "origin: " in cold.text
    assert cold.text.count("\n") == 1
    again, seconds = page(running, index=f"faults/{name}")
    assert (again.status, again.body) == (200, held.body)
    assert seconds < 15


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
    origin: Origin, daemon: MakeDaemon
) -> None:
    origin.add(DEMO)
    running = daemon(config_for(origin, mirror={"timeout": {"connect": "2s"}}, index={"ttl": 0}))
    held, _ = page(running)
    origin.close()
    with BlackHole(port=origin.port):
        again, seconds = page(running)
        assert (again.status, again.body) == (200, held.body)
        assert 0.9 < seconds < 2
        cold, seconds = page(running, "other")
        assert (cold.status, seconds < 15) == (503, True)
        assert "origin: no connection within 2 s" in cold.text


def test_u10_a_page_that_drips_costs_a_moment(origins: MakeOrigin, daemon: MakeDaemon) -> None:
    drips, good = origins(name="drips"), origins(name="good")
    for each in (drips, good):
        each.add(DEMO)
    fails(drips, Drip(1))
    answer, seconds = page(daemon(config_for(drips, good)))
    assert (answer.status, seconds < 3) == (200, True)


@pytest.mark.soak
def test_soak_u10_a_page_that_drips_from_everywhere_is_503_in_time(
    origin: Origin, daemon: MakeDaemon
) -> None:
    origin.add(DEMO)
    origin.add(OTHER)
    running = daemon(config_for(origin, mirror=QUICK, index=AT_ONCE))
    held, _ = page(running)
    fails(origin, Drip(2))
    cold, seconds = page(running, "other")
    assert (cold.status, seconds < 15) == (503, True)
    assert page(running)[0].body == held.body


def test_u12_no_stampede_when_the_pause_is_over(origin: Origin, daemon: MakeDaemon) -> None:
    """However many clients ask, a mirror that wants to be left alone is asked by one request at a time."""
    origin.add(DEMO)
    running = daemon(config_for(origin, index=AT_ONCE))
    held, _ = page(running)
    fails(origin, Status(503, {"Retry-After": "60"}))
    page(running)
    asked = origin.count()
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: page(running)[0], range(100)))
    assert {answer.body for answer in answers} == {held.body}
    assert origin.count() == asked


def test_u13_a_404_that_flaps_takes_nothing_away(origin: Origin, daemon: MakeDaemon) -> None:
    origin.add(DEMO)
    running = daemon(config_for(origin, index={**AT_ONCE, "negative_ttl": "60s"}))
    held, _ = page(running)
    asked = origin.count()
    origin.script("simple/demo/", Status(404))
    assert page(running)[0].body == held.body
    assert page(running)[0].body == held.body
    assert origin.count() > asked


def test_u14_a_storm_of_names_that_are_not_there_costs_little(origin: Origin, daemon: MakeDaemon) -> None:
    """Each name is asked for once; neither memory nor disk grows by more than a few kilobytes for each."""
    running = daemon(config_for(origin, index={"negative_ttl": "1h"}), fresh=True)

    def storm(names: range) -> set[int]:
        with ThreadPoolExecutor(8) as pool:
            return set(pool.map(lambda number: page(running, f"no-{number}")[0].status, names))

    assert storm(range(200)) == {404}
    before = running.rss().own
    assert storm(range(200, 700)) == {404}
    asked = origin.count()
    assert storm(range(200, 300)) == {404}
    assert origin.count() == asked
    assert running.rss().own - before < 8 << 20
    assert sum(path.stat().st_size for path in running.cache.rglob("*") if path.is_file()) < 16 << 20


def test_u28_clocks_that_are_wrong_bound_nothing(origin: Origin, daemon: MakeDaemon) -> None:
    """An Age of centuries, dates of last and next century: the page is good for as long as `ttl` says, or half of that."""
    origin.add(DEMO)
    wrong = {"Age": "9999999999", "Expires": "0", "Cache-Control": "no-store, max-age=0"}
    running = daemon(config_for(origin, index={"ttl": "1h"}))
    for date in ("Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT", "yesterday"):
        fails(origin, Headers({**wrong, "Date": date, "Last-Modified": date}))
        for name in (date[:3], date[:3]):
            origin.add(wheel(name, "1.0"))
            answer, _ = page(running, name.lower())
            assert answer.status == 200
            assert 0 <= int(answer.headers["age"]) <= 1800
        assert origin.count(f"/simple/{date[:3].lower()}/") == 1
        origin.heal()


@pytest.mark.parametrize("how", ["closed_after_the_answer", "closed_in_place_of_the_answer", "reset"])
def test_u29_a_kept_connection_that_the_mirror_closes_is_not_noticed(
    origin: Origin, daemon: MakeDaemon, how: str
) -> None:
    for each in (DEMO, OTHER):
        origin.add(each)
    origin.script("simple/demo/", CloseAfter() if how == "closed_after_the_answer" else Headers({}))
    running = daemon(config_for(origin))
    assert page(running)[0].status == 200
    if how == "closed_in_place_of_the_answer":
        origin.script("simple/other/", CloseBeforeStatus())
    if how == "reset":
        origin.drop_connections()
    answer, seconds = page(running, "other")
    assert (answer.status, seconds < 1) == (200, True)
    assert "mirror failed" not in running.log


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
