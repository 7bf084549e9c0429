"""Caches behind caches, and caches that lead back to themselves."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.client import get
from tests.daemon import Daemon, config_for
from tests.installers import pip_install, uv_install
from tests.origin import Origin, Redirect, Status
from tests.wheels import wheel

MakeDaemon = Callable[..., Daemon]
JSON = {"Accept": "application/vnd.pypi.simple.v1+json"}
DEMO = wheel("demo", "1.0", size=300_000)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def leading_to(port: int, **server: Any) -> dict[str, Any]:
    mirror = {"url": f"http://127.0.0.1:{port}/root/pypi/simple/", "name": f"cache-{port}"}
    return {"server": server, "indexes": {"root/pypi": {"mirrors": [mirror]}}}


def test_a_cache_behind_a_cache_gives_pages_files_and_sidecars(origin: Origin, daemon: MakeDaemon) -> None:
    origin.add(DEMO)
    inner = daemon(config_for(origin))
    outer = daemon(leading_to(int(inner.url.rpartition(":")[2])))
    link = outer.link(DEMO)
    assert get(link).body == DEMO.data
    assert get(f"{link}.metadata").body == DEMO.metadata
    assert get(f"{outer.simple}absent/", JSON).status == 404
    origin.close()
    inner.kill()
    assert get(link).body == DEMO.data


@pytest.mark.parametrize("links", ["root", "relative"])
def test_links_as_devpi_and_artifactory_write_them(
    origin: Origin, daemon: MakeDaemon, links: Literal["root", "relative"]
) -> None:
    """From the host's root, or up from the page."""
    origin.add(DEMO)
    origin.project("demo", links=links)
    running = daemon(config_for(origin))
    assert get(running.link(DEMO)).body == DEMO.data


def test_behind_an_index_as_artifactory_serves_it(origin: Origin, daemon: MakeDaemon, tmp_path: Path) -> None:
    """HTML of one `packages` segment too many, relative to the page; a password for everything; files that are moved on."""
    root = "/artifactory/api/pypi/remote"
    items = [DEMO, wheel("app", "1.0", requires=["demo"])]
    for item in items:
        path = f"packages/packages/{item.sha256[:2]}/{item.sha256[2:4]}/{item.sha256[4:]}/{item.filename}"
        stored = f"/artifactory/remote-cache/{item.filename}"
        origin.add(item, path=stored, core_metadata=False, listed=False)
        link = f'<a href="../../{path}#sha256={item.sha256}" rel="internal">{item.filename}</a><br/>'
        page = f"<!DOCTYPE html><html><head><title>Links</title></head><body>{link}</body></html>".encode()
        origin.script(
            f"{root}/simple/{item.name}/", Status(200, {"Content-Type": "text/html"}, page), repeat=True
        )
        origin.script(f"{root}/{path}", Redirect(stored), repeat=True)
    mirror = {"url": f"{origin.url}{root}/simple/", "username": "ci", "password": "token"}
    running = daemon({"indexes": {"root/pypi": {"mirrors": [mirror]}}})
    uv_install(tmp_path / "uv" / "t", "app", index_url=running.simple).check()
    pip_install(tmp_path / "pip" / "t", "app", index_url=running.simple).check()
    assert get(running.link(DEMO)).body == DEMO.data
    assert get(f"{running.link(DEMO)}.metadata").body == DEMO.metadata
    # PEP 700's fields are made up for where they can be known.
    [file] = get(f"{running.simple}demo/", JSON).json()["files"]
    assert (file["hashes"], file["size"]) == ({"sha256": DEMO.sha256}, len(DEMO.data))
    assert all(request.headers["authorization"].startswith("Basic ") for request in origin.requests)
    assert origin.count("/simple/app/") == 1


def test_a_cache_that_is_its_own_mirror_says_so(daemon: MakeDaemon) -> None:
    port = free_port()
    running = daemon(leading_to(port, listen=f"127.0.0.1:{port}"))
    began = time.monotonic()
    answer = get(f"{running.simple}demo/", JSON)
    assert (answer.status, time.monotonic() - began < 5) == (503, True)
    assert "retry-after" in answer.headers


def test_two_caches_that_are_each_others_mirrors_say_so(daemon: MakeDaemon) -> None:
    port = free_port()
    second = daemon(leading_to(port))
    first = daemon(leading_to(int(second.url.rpartition(":")[2]), listen=f"127.0.0.1:{port}"))
    for each in (first, second):
        began = time.monotonic()
        answer = get(f"{each.simple}demo/", JSON)
        assert (answer.status, time.monotonic() - began < 5) == (503, True)


def test_a_loop_is_named(origin: Origin, daemon: MakeDaemon) -> None:
    """What a request came through goes on, other hosts' names don't."""
    origin.add(DEMO)
    running = daemon(config_for(origin))
    get(f"{running.simple}demo/", {**JSON, "Via": "1.1 inner.example.org, 1.1 pypicache-0123456789abcdef"})
    sent = origin.requests[-1].headers["via"]
    assert sent.startswith("1.1 pypicache-0123456789abcdef, 1.1 pypicache-")
    assert "example" not in sent
    answer = get(f"{running.simple}demo/", {**JSON, "Via": sent})
    assert answer.status == 503
    assert answer.text.startswith("a loop: ")
