"""Mirrors that fail, one way or another: real daemons over real mirrors that do as they are told."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.client import Response, get
from tests.daemon import Daemon, config_for
from tests.origin import Action, Body, Both, Hang, Origin, Status, WrongBytes
from tests.wheels import Wheel, wheel

MakeDaemon = Callable[..., Daemon]
MakeOrigin = Callable[..., Origin]

JSON = {"Accept": "application/vnd.pypi.simple.v1+json"}
DEMO = wheel("demo", "1.0", size=3000)


def fails(origin: Origin, action: Any = None) -> None:
    """The mirror does this with every request, until it is healed."""
    origin.script(lambda request: True, action or Status(500), repeat=True)


def page(daemon: Daemon, project: str = "demo") -> Response:
    return get(f"{daemon.simple}{project}/", JSON)


def timed(daemon: Daemon, project: str = "demo") -> tuple[Response, float]:
    began = time.monotonic()
    answer = page(daemon, project)
    return answer, time.monotonic() - began


def mixed(*served: tuple[Origin, str], **index: Any) -> dict[str, Any]:
    """A configuration in which each mirror serves what is said."""
    mirrors = [{"url": o.simple, "name": o.name, "serves": serves} for o, serves in served]
    return {"indexes": {"root/pypi": {"mirrors": mirrors, **index}}}


def requires(answer: Response, item: Wheel) -> object:
    return next(f.get("requires-python") for f in answer.json()["files"] if f["filename"] == item.filename)


def test_split_trust_facts_come_from_one_mirror_and_bytes_from_another(
    daemon: MakeDaemon, origins: MakeOrigin
) -> None:
    facts, data = origins(name="facts"), origins(name="data")
    facts.add(DEMO, requires_python=">=3.9")
    data.add(DEMO, requires_python=">=2.7")
    running = daemon(mixed((data, "files"), (facts, "pages")))
    assert requires(page(running), DEMO) == ">=3.9"
    assert get(running.link(DEMO)).body == DEMO.data
    assert not facts.gets(DEMO.filename)
    assert len(data.gets(DEMO.filename)) == 1


def test_split_trust_a_file_mirror_without_pages_has_files_at_the_same_path(
    daemon: MakeDaemon, origins: MakeOrigin
) -> None:
    facts, data = origins(name="facts"), origins(name="data")
    facts.add(DEMO)
    data.add(DEMO)
    data.remove("demo")
    running = daemon(mixed((data, "files"), (facts, "pages")))
    assert get(running.link(DEMO)).body == DEMO.data
    assert not facts.gets(DEMO.filename)


def test_split_trust_a_file_mirrors_no_is_not_believed(daemon: MakeDaemon, origins: MakeOrigin) -> None:
    facts, data = origins(name="facts"), origins(name="data")
    fails(facts)
    running = daemon(mixed((facts, "pages"), (data, "files")))
    answer = page(running)
    assert answer.status == 503
    assert "data: no such project, but it serves no pages" in answer.text
    facts.heal()
    facts.add(DEMO)
    assert page(running).status == 200


def test_split_trust_pages_degrade_to_a_file_mirrors_and_keep_the_facts_that_are_known(
    daemon: MakeDaemon, origins: MakeOrigin
) -> None:
    facts, data = origins(name="facts"), origins(name="data")
    new = wheel("demo", "2.0", size=3000)
    facts.add(DEMO, requires_python=">=3.9")
    data.add(DEMO, requires_python=">=2.7")
    running = daemon(mixed((facts, "pages"), (data, "files"), ttl=0, patience="10s"))
    page(running)
    data.add(new, requires_python=">=3")
    assert len(page(running).json()["files"]) == 1
    fails(facts)
    degraded = page(running)
    assert (requires(degraded, DEMO), requires(degraded, new)) == (">=3.9", ">=3")
    facts.heal()
    facts.add(new, requires_python=">=3.10")
    assert requires(page(running), new) == ">=3.10"


LIE = b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\nRequires-Dist: evil\n"


@pytest.mark.parametrize("advertised", [True, "bare", False])
def test_split_trust_metadata_is_the_fact_mirrors_whether_or_not_its_page_gives_a_hash(
    daemon: MakeDaemon, origins: MakeOrigin, advertised: Any
) -> None:
    """What no digest proves is never taken from a mirror that serves files only, be it a sidecar or a part of a wheel."""
    facts, data = origins(name="facts"), origins(name="data")
    facts.add(DEMO, core_metadata=advertised)
    data.add(DEMO)
    data.script(f"{DEMO.filename}.metadata", Both(Status(200), Body(LIE)), repeat=True)
    data.script(DEMO.filename, WrongBytes(100), repeat=True)
    running = daemon(mixed((data, "files"), (facts, "pages")))
    assert get(f"{running.link(DEMO)}.metadata").body == DEMO.metadata
    assert bool(data.gets(f"{DEMO.filename}.metadata")) is False
    assert not data.gets(DEMO.filename)


@pytest.mark.parametrize(
    "broken", [WrongBytes(-1), Body(b"<html>busy</html>"), Body(LIE.replace(b"demo", b"x"))]
)
def test_metadata_without_a_hash_that_is_none_is_made_from_the_wheel(
    origin: Origin, daemon: MakeDaemon, broken: Action
) -> None:
    origin.add(DEMO, core_metadata="bare")
    origin.script(f"{DEMO.filename}.metadata", broken, repeat=True)
    link = f"{daemon(config_for(origin)).link(DEMO)}.metadata"
    for _ in range(2):
        assert get(link).body == DEMO.metadata
    assert len(origin.gets(f"{DEMO.filename}.metadata")) == 1


def test_split_trust_metadata_comes_out_of_the_whole_wheel_where_the_fact_mirror_has_none(
    daemon: MakeDaemon, origins: MakeOrigin
) -> None:
    """The wheel's digest proves it, whoever sent it."""
    facts, data = origins(name="facts"), origins(name="data")
    facts.add(DEMO, core_metadata=False)
    facts.script(DEMO.filename, Status(404), repeat=True)
    data.add(DEMO)
    running = daemon(mixed((data, "files"), (facts, "pages")))
    assert get(f"{running.link(DEMO)}.metadata").body == DEMO.metadata
    [asked] = data.gets(DEMO.filename)
    assert "range" not in asked.headers


def test_mirrors_that_fail_by_turns_cost_a_cold_page_nothing(daemon: MakeDaemon, origins: MakeOrigin) -> None:
    """By the time that the last one fails, the first one may be well again: it is asked once more."""
    first, second = origins(name="first"), origins(name="second")
    for each in (first, second):
        each.add(DEMO)
    first.script("simple/demo/", Hang())
    fails(second)
    running = daemon(config_for(first, second, mirror={"timeout": {"read": "1s"}}))
    answer, seconds = timed(running)
    assert (answer.status, seconds < 3) == (200, True)
    # What fails at once, and for good, is told at once.
    fails(first)
    answer, seconds = timed(running, "other")
    assert (answer.status, seconds < 0.3) == (503, True)
    assert answer.text.count("first: ") == 1


def three_mirrors(daemon: MakeDaemon, origins: MakeOrigin) -> tuple[Origin, Daemon]:
    """The first hangs, the second fails, the third works; the first one, and a daemon that has found that out."""
    first, second, third = origins(name="first"), origins(name="second"), origins(name="third")
    names = [f"demo{number}" for number in range(4)]
    for name in names:
        for one in (first, third):
            one.add(wheel(name, "1.0", size=1000))
    fails(first, Hang())
    fails(second)
    running = daemon(config_for(first, second, third, index={"ttl": 0, "patience": "10s"}))
    answer, seconds = timed(running, names[0])
    assert answer.status == 200
    assert 0.9 < seconds < 2.5
    for name in names[1:]:
        answer, seconds = timed(running, name)
        assert (answer.status, seconds < 0.9) == (200, True)
    assert len(first.requests) == 1
    return first, running


def test_three_mirrors_one_hangs_one_fails_one_works(daemon: MakeDaemon, origins: MakeOrigin) -> None:
    """A cold page takes the moment that the first one is given, and the next ones don't ask it."""
    three_mirrors(daemon, origins)


@pytest.mark.soak
def test_a_mirror_that_recovers_gets_its_turn_back_within_a_minute(
    daemon: MakeDaemon, origins: MakeOrigin
) -> None:
    first, running = three_mirrors(daemon, origins)
    first.heal()
    began = time.monotonic()
    while len(first.requests) < 3 and time.monotonic() - began < 60:
        answer, seconds = timed(running, "demo0")
        assert (answer.status, seconds < 0.9) == (200, True)
    assert len(first.requests) >= 3
    sys.stdout.write(f"the mirror that recovered is asked again after {time.monotonic() - began:.1f} s\n")
