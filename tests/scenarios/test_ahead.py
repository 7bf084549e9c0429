"""What is fetched ahead: when a wheel's metadata go out, the pages of what it requires are asked for, and so on from there."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from pypicache.index.ahead import CROWD
from tests.client import get
from tests.daemon import Daemon, config_for
from tests.origin import Origin
from tests.origin_faults import Hang
from tests.wheels import Artifact, wheel

Make = Callable[..., Daemon]

JSON = {"Accept": "application/vnd.pypi.simple.v1+json"}


def sidecar(running: Daemon, item: Artifact) -> bytes:
    page = get(f"{running.simple}{item.name}/", JSON).json()
    path = str(page["files"][0]["url"]).removeprefix("../../packages/")
    return get(f"{running.url}/packages/{path}.metadata").body


def pages_of(origin: Origin, name: str) -> int:
    return origin.count(f"/simple/{name}/")


def test_what_a_wheel_requires_is_there_when_the_client_comes(origin: Origin, daemon: Make) -> None:
    """Each once, whatever the number of clients; nothing for an extra, and no wheel."""
    top = wheel(
        "top", "1.0", requires=["one>=1", "Two; python_version>'3'", "never; extra == 'x'", "unknown"]
    )
    origin.add(top)
    for name in ("one", "two", "never", "deeper"):
        origin.add(wheel(name, "1.0", requires=["deeper"] if name == "one" else []))
    running = daemon(config_for(origin))
    assert sidecar(running, top) == top.metadata
    origin.wait_for(lambda: pages_of(origin, "one") == pages_of(origin, "two") == 1)
    origin.wait_for(lambda: pages_of(origin, "unknown") == 1)
    assert sidecar(running, top) == top.metadata
    for name in ("one", "two"):
        answer = get(f"{running.simple}{name}/", JSON)
        assert answer.headers["cache-status"].startswith("pypicache; hit") or "collapsed" in str(
            answer.headers
        )
        assert pages_of(origin, name) == 1
    assert pages_of(origin, "never") == 0
    assert not [request for request in origin.requests if request.path.endswith(".whl")]


def test_a_whole_chain_is_there_before_the_client_has_asked_for_its_second_link(
    origin: Origin, daemon: Make
) -> None:
    """By way of the metadata on each page; what is required in a circle, or twice, is asked for once."""
    chain = [
        wheel(f"link{number}", "1.0", requires=[f"link{number + 1}>=1", "link0", "base"])
        for number in range(4)
    ]
    for item in chain:
        origin.add(item)
    origin.add(wheel("base", "1.0"))
    running = daemon(config_for(origin))
    assert sidecar(running, chain[0]) == chain[0].metadata
    origin.wait_for(lambda: pages_of(origin, "link4") == 1)
    for item in chain[1:]:
        assert sidecar(running, item) == item.metadata
    asked = [request.path for request in origin.requests]
    assert sorted(set(asked)) == sorted(asked)
    assert sum(path.endswith(".metadata") for path in asked) == len(chain) + 1


def test_nothing_is_guessed_where_it_depends_on_the_client(origin: Origin, daemon: Make) -> None:
    """Of wheels for platforms the client takes one: its page is asked for, and no wheel's metadata."""
    top = wheel("top", "1.0", requires=["native", "pure<2"])
    origin.add(top)
    origin.add(wheel("native", "1.0", requires=["deeper"], tag="cp311-cp311-linux_x86_64"))
    pure = wheel("pure", "1.0", requires=["last"])
    origin.add(pure)
    origin.add(wheel("pure", "2.0", requires=["deeper"]))
    running = daemon(config_for(origin))
    assert sidecar(running, top) == top.metadata
    origin.wait_for(lambda: pages_of(origin, "last") == pages_of(origin, "native") == 1)
    assert running.stop() == 0
    assert pages_of(origin, "deeper") == 0
    asked = {request.filename for request in origin.requests if request.path.endswith(".metadata")}
    assert asked == {f"{item.filename}.metadata" for item in (top, pure)}


def test_mirrors_that_hang_keep_no_client_from_its_metadata(origin: Origin, daemon: Make) -> None:
    top = wheel("top", "1.0", requires=[f"p{number}" for number in range(60)])
    origin.add(top)
    origin.script(lambda request: request.path.startswith("/simple/p"), Hang(), repeat=True)
    running = daemon(config_for(origin))
    assert sidecar(running, top) == top.metadata
    origin.wait_for(lambda: origin.in_flight >= 8)
    assert sidecar(running, top) == top.metadata
    assert running.stop() == 0


def test_in_a_crowd_nobody_is_ahead(origin: Origin, daemon: Make) -> None:
    """Who asks for many things at once is as quick; when the crowd has gone, the next one's are fetched as ever."""
    crowd = [wheel(f"waits{number}", "1.0") for number in range(CROWD)]
    tops = [wheel(f"top{number}", "1.0", requires=[f"one{number}"]) for number in range(2)]
    for item in (*crowd, *tops, wheel("one0", "1.0"), wheel("one1", "1.0")):
        origin.add(item)
    running = daemon(config_for(origin))
    origin.script(
        lambda request: request.path.endswith(".metadata") and "waits" in request.path, Hang(), repeat=True
    )
    with ThreadPoolExecutor(CROWD) as clients:
        asking = [clients.submit(sidecar, running, item) for item in crowd]
        origin.wait_for(lambda: origin.in_flight == CROWD)
        assert sidecar(running, tops[0]) == tops[0].metadata
        origin.release()
        assert [each.result() for each in asking] == [item.metadata for item in crowd]
    assert sidecar(running, tops[1]) == tops[1].metadata
    origin.wait_for(lambda: pages_of(origin, "one1") == 1)
    assert running.stop() == 0
    assert pages_of(origin, "one0") == 0


def test_it_can_be_switched_off(origin: Origin, daemon: Make) -> None:
    top = wheel("top", "1.0", requires=["one"])
    origin.add(top)
    origin.add(wheel("one", "1.0"))
    running = daemon(config_for(origin, index={"prefetch_dependencies": False}))
    assert sidecar(running, top) == top.metadata
    assert running.stop() == 0
    assert pages_of(origin, "one") == 0
