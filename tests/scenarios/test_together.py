"""Wheels that are fetched together: a client that has looked at the metadata of several comes for one of them."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.client import get
from tests.daemon import Daemon, config_for
from tests.origin import Origin
from tests.origin_faults import Hang
from tests.waiting import until
from tests.wheels import Artifact, wheel

Make = Callable[..., Daemon]

JSON = {"Accept": "application/vnd.pypi.simple.v1+json"}

ONE, OTHER = {"X-Forwarded-For": "192.0.2.1"}, {"X-Forwarded-For": "192.0.2.2"}


def link(running: Daemon, item: Artifact, *, index: str = "root/pypi") -> str:
    """The address of the wheel, from its project's page."""
    page = get(f"{running.url}/{index}/simple/{item.name}/", JSON).json()
    listed = next(file for file in page["files"] if file["filename"] == item.filename)
    return f"{running.url}/{index}/packages/{str(listed['url']).removeprefix('../../packages/')}"


def look_at(
    running: Daemon, *items: Artifact, headers: Mapping[str, str] = {}, index: str = "root/pypi"
) -> None:
    for item in items:
        assert get(f"{link(running, item, index=index)}.metadata", dict(headers)).body == item.metadata


def wheels_of(origin: Origin) -> list[str]:
    """The wheels that the origin was asked for, in that order."""
    return [str(request.filename) for request in origin.requests if request.path.endswith(".whl")]


@pytest.fixture
def items(origin: Origin) -> list[Artifact]:
    """Three wheels of the origin, all with sidecars."""
    made: list[Artifact] = [wheel(name, "1.0") for name in ("first", "second", "third")]
    for item in made:
        origin.add(item)
    return made


def test_who_comes_for_one_finds_the_others(origin: Origin, daemon: Make, items: list[Artifact]) -> None:
    """Each is fetched once; and who comes back later has nothing fetched that is stored."""
    running = daemon(config_for(origin))
    look_at(running, *items)
    assert wheels_of(origin) == []
    assert get(link(running, items[0])).body == items[0].data
    origin.wait_for(lambda: len(wheels_of(origin)) == len(items))
    for item in items:
        answer = get(link(running, item))
        assert answer.body == item.data
        assert "hit" in str(answer.headers["cache-status"]) or "collapsed" in str(
            answer.headers["cache-status"]
        )
    look_at(running, *items)
    assert get(link(running, items[0])).body == items[0].data
    assert running.stop() == 0
    assert sorted(wheels_of(origin)) == sorted(item.filename for item in items)


def test_who_only_resolves_has_nothing_downloaded(
    origin: Origin, daemon: Make, items: list[Artifact]
) -> None:
    """Neither have those who ask for the size only (HEAD), or for a wheel at whose metadata they haven't looked."""
    running = daemon(config_for(origin))
    look_at(running, *items[1:])
    assert get(link(running, items[1]), method="HEAD").status == 200
    assert get(link(running, items[0])).body == items[0].data
    assert running.stop() == 0
    assert wheels_of(origin) == [items[0].filename]


def test_clients_are_told_apart(origin: Origin, daemon: Make, items: list[Artifact]) -> None:
    config = config_for(origin, server={"trusted_proxies": ["127.0.0.1/32"]})
    running = daemon(config)
    look_at(running, items[0], items[1], headers=ONE)
    look_at(running, items[0], items[2], headers=OTHER)
    assert get(link(running, items[0]), ONE).body == items[0].data
    origin.wait_for(lambda: len(wheels_of(origin)) == 2)
    assert running.stop() == 0
    assert sorted(wheels_of(origin)) == sorted(item.filename for item in items[:2])


def test_the_wheel_that_is_asked_for_waits_for_no_other(origin: Origin, daemon: Make) -> None:
    """Not even where the mirror never answers for all the others, which are more than are fetched at a time."""
    made = [wheel(f"p{number}", "1.0") for number in range(60)]
    for item in made:
        origin.add(item)
    running = daemon(config_for(origin))
    look_at(running, *made)
    origin.script(
        lambda request: request.path.endswith(".whl") and request.filename != made[-1].filename,
        Hang(),
        repeat=True,
    )
    assert get(link(running, made[-1])).body == made[-1].data
    origin.wait_for(lambda: origin.in_flight >= 40)
    assert running.stop() == 0


def test_a_reload_ends_it(origin: Origin, daemon: Make) -> None:
    """What waits for its turn isn't fetched for an index that is to be another."""
    made = [wheel(f"p{number}", "1.0") for number in range(80)]
    for item in made:
        origin.add(item)
    running = daemon(config_for(origin))
    look_at(running, *made)
    origin.script(lambda request: request.path.endswith(".whl"), Hang(), repeat=True)
    path = link(running, made[0])
    with ThreadPoolExecutor(1) as clients:
        asking = clients.submit(get, path)
        origin.wait_for(lambda: origin.in_flight >= 40)
        running.config["indexes"]["root/pypi"]["prefetch_wheels"] = False
        running.write_config()
        seen = len(running.log)
        running.send(signal.SIGHUP)
        running.wait_log(r"INFO reloaded ", since=seen)
        origin.release()
        assert asking.result().body == made[0].data
    until(
        lambda: len(list(running.cache.glob("blobs/sha256/*/*/*"))) >= len(made) + 40
    )  # metadata, and what was begun
    look_at(running, made[0])
    assert running.stop() == 0
    assert len(wheels_of(origin)) < len(made) - 20


def test_through_layers_it_is_the_same(origin: Origin, daemon: Make, items: list[Artifact]) -> None:
    config = config_for(origin)
    config["indexes"]["dev"] = {"layers": ["root/pypi"]}
    running = daemon(config)
    look_at(running, *items, index="dev")
    assert get(link(running, items[0], index="dev")).body == items[0].data
    origin.wait_for(lambda: len(wheels_of(origin)) == len(items))


def test_it_can_be_switched_off(origin: Origin, daemon: Make, items: list[Artifact]) -> None:
    running = daemon(config_for(origin, index={"prefetch_wheels": False}))
    look_at(running, *items)
    assert get(link(running, items[0])).body == items[0].data
    assert running.stop() == 0
    assert wheels_of(origin) == [items[0].filename]
