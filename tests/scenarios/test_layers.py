"""Layers in real daemons: a private index before a public one, in good days and in an outage of either."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.client import Response, get
from tests.daemon import Daemon
from tests.installers import pip_install
from tests.origin import Hang, Origin
from tests.wheels import wheel

MakeDaemon = Callable[..., Daemon]
MakeOrigin = Callable[..., Origin]

JSON = {"Accept": "application/vnd.pypi.simple.v1+json"}
APP = wheel("acme-app", "1.0", requires=["demo-lib"])
LIB = wheel("demo-lib", "1.0")
FAKE = wheel("acme-app", "99.0", requires=["malware"])
NEW = wheel("demo-new", "1.0")


@pytest.fixture
def corp(origins: MakeOrigin) -> Origin:
    """The private index."""
    made = origins(name="corp")
    made.add(APP)
    return made


@pytest.fixture
def public(origins: MakeOrigin) -> Origin:
    """The public index, on which someone has put a project of the private one's name."""
    made = origins(name="public")
    for item in (LIB, FAKE, NEW):
        made.add(item)
    return made


def layers(corp: Origin, public: Origin, *, owns: list[str] | None = None) -> Mapping[str, Any]:
    """`dev` is corp before root/pypi; every page is asked about each time."""
    first = {"index": "corp", "owns": owns} if owns else "corp"
    ages = {"ttl": 0, "stale_while_revalidate": 0, "negative_ttl": 0}
    return {
        "default_index": "dev",
        "indexes": {
            "dev": {"layers": [first, "root/pypi"]},
            "corp": {"mirrors": [{"url": corp.simple, "name": "corp"}], **ages},
            "root/pypi": {"mirrors": [{"url": public.simple, "name": "public"}], **ages},
        },
    }


def page(daemon: Daemon, name: str, index: str = "dev") -> Response:
    return get(f"{daemon.url}/{index}/simple/{name}/", JSON)


def versions(answer: Response) -> list[str]:
    assert answer.status == 200, answer.text
    return [file["filename"].split("-")[1] for file in answer.json()["files"]]


def link(answer: Response, index: str = "dev") -> str:
    """The first file's link, as a path."""
    return f"/{index}/{answer.json()['files'][0]['url'].removeprefix('../../')}"


def test_a_private_layer_before_a_public_one(
    corp: Origin, public: Origin, daemon: MakeDaemon, tmp_path: Path
) -> None:
    """A private project installs with what it needs of the public index, by one URL; the public namesake is nowhere."""
    made = daemon(layers(corp, public))
    pip_install(tmp_path / "target", "acme-app", index_url=f"{made.url}/simple/").check()
    assert {path.name for path in (tmp_path / "target").glob("*.dist-info")} == {
        "acme_app-1.0.dist-info",
        "demo_lib-1.0.dist-info",
    }
    assert not [request for request in public.requests if "acme" in request.target]
    # One judgement for pages, files and sidecars, whichever index has the file in the cache.
    fake = page(made, "acme-app", "root/pypi")
    assert get(made.url + link(fake, "root/pypi")).body == FAKE.data
    for suffix, method in [("", "GET"), ("", "HEAD"), (".metadata", "GET")]:
        assert get(made.url + link(fake) + suffix, method=method).status == 404
    for item, suffix, data in [(APP, "", APP.data), (LIB, "", LIB.data), (APP, ".metadata", APP.metadata)]:
        answer = get(made.url + link(page(made, item.name)) + suffix)
        assert (answer.status, answer.body) == (200, data)
    for item in (APP, LIB):
        document = get(f"{made.url}/dev/pypi/{item.name}/json").json()
        assert [each["url"] for each in document["urls"]] == [made.url + link(page(made, item.name))]
    unlisted = get(f"{made.url}/dev/simple/")
    assert (unlisted.status, "made of other indexes" in unlisted.text) == (404, True)
    made.wait_log("dev: acme-app is in several layers: corp answers for it, root/pypi isn't shown")


def test_a_private_layer_that_is_down(
    corp: Origin, public: Origin, daemon: MakeDaemon, tmp_path: Path
) -> None:
    """Its own pages go out stale; a name never asked for before is 503, with nothing asked of the public layer; a public
    project that was installed before still installs, a wiped client included.
    """
    made = daemon(layers(corp, public))
    assert versions(page(made, "acme-app")) == ["1.0"]
    pip_install(tmp_path / "before", "demo-lib", index_url=made.url + "/simple/").check()
    corp.close()
    made.restart()
    stale = page(made, "acme-app")
    assert (versions(stale), stale.headers["cache-status"]) == (
        ["1.0"],
        "pypicache; hit; detail=stale-if-error",
    )
    public.forget()
    answer = page(made, "demo-new")
    assert (answer.status, answer.headers["retry-after"].isdigit()) == (503, True)
    assert "corp" in answer.text
    assert not public.count()
    pip_install(tmp_path / "after", "demo-lib", index_url=made.url + "/simple/").check()
    made.wait_log("dev: passed over corp for demo-lib, which it denied when it last answered: .*corp")
    corp.reopen()
    made.restart()
    assert versions(page(made, "demo-new")) == ["1.0"]


def test_with_owns_no_public_name_is_touched_by_the_outage(
    corp: Origin, public: Origin, daemon: MakeDaemon, tmp_path: Path
) -> None:
    made = daemon(layers(corp, public, owns=["acme-*"]))
    corp.close()
    pip_install(tmp_path / "target", "demo-lib", index_url=made.url + "/simple/").check()
    assert versions(page(made, "demo-new")) == ["1.0"]
    assert page(made, "acme-app").status == 503
    assert not [request for request in public.requests if "acme" in request.target]
    corp.reopen()
    corp.forget()
    made.restart()
    assert versions(page(made, "acme-app")) == ["1.0"]
    assert not [request for request in corp.requests if "demo" in request.target]


def test_a_public_layer_that_is_down(corp: Origin, public: Origin, daemon: MakeDaemon) -> None:
    made = daemon(layers(corp, public))
    public.close()
    assert versions(page(made, "acme-app")) == ["1.0"]
    answer = page(made, "demo-lib")
    assert answer.status == 503
    assert "public" in answer.text
    assert page(made, "acme-other").status == 503


@pytest.mark.soak
def test_soak_layers_that_hang_cost_no_client_its_patience(
    corp: Origin, public: Origin, origins: MakeOrigin, daemon: MakeDaemon
) -> None:
    """Before pip gives up, which is after 15 s, the layer that works has answered, or a 503 has said who didn't."""
    other = origins(name="other")
    settings: dict[str, Any] = {**layers(corp, public)}
    settings["indexes"]["dev"]["layers"].insert(1, "other")
    settings["indexes"]["other"] = {**settings["indexes"]["corp"], "mirrors": [other.simple]}
    made = daemon(settings)
    page(made, "demo-lib")
    assert page(made, "demo-none").status == 404
    for origin in (corp, other):
        origin.script(lambda request: True, Hang(), repeat=True)
    began = time.monotonic()
    assert versions(page(made, "demo-lib")) == ["1.0"]
    assert time.monotonic() - began < 14
    made.restart()
    public.script(lambda request: True, Hang(), repeat=True)
    began = time.monotonic()
    answer = page(made, "demo-none")
    assert (answer.status, time.monotonic() - began < 14) == (503, True)
    assert answer.text.startswith("dev: corp: ")


def test_links_hold_in_an_outage_of_all_layers(corp: Origin, public: Origin, daemon: MakeDaemon) -> None:
    made = daemon(layers(corp, public))
    links = [(item, link(page(made, item.name))) for item in (APP, LIB)]
    for item, path in links:
        assert get(made.url + path).body == item.data
    corp.close()
    public.close()
    made.restart()
    for item, path in links:
        assert get(made.url + path).body == item.data
