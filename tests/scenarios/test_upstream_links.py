"""Pages that mean harm: links and redirects into inner networks, links that are none, names that are paths.

Listeners stand where the links lead. Nobody accepts there, so a connection that was ever made waits to be found.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from tests.client import get
from tests.daemon import Daemon, config_for
from tests.origin import Origin, Redirect
from tests.wheels import wheel

JSON = {"Accept": "application/vnd.pypi.simple.v1+json"}
MakeDaemon = Callable[..., Daemon]

LINKS = (
    "http://169.254.169.254/{name}",
    "http://127.0.0.1:{other}/{name}",
    "http://127.0.0.2:{port}/{name}",
    "http://127.0.0.2:{other}/{name}",
    "http://[::ffff:127.0.0.2]:{port}/{name}",
    "http://[::ffff:7f00:2]:{other}/{name}",
    "http://0x7f.2:{port}/{name}",
    "http://0x7f000002:{other}/{name}",
    "http://2130706434:{port}/{name}",
    "http://0177.0.0.2:{other}/{name}",
    "http://127.2:{port}/{name}",
    "http://localhost:{other}/{name}",
    "http://user:password@127.0.0.1:{other}/{name}",
    "http://0.0.0.0:{other}/{name}",
    "//127.0.0.2:{port}/{name}",
    "file:///etc/passwd",
    "file:///etc/{name}",
    "javascript:alert(1)//{name}",
    "data:,{name}",
    "ftp://127.0.0.1:{other}/{name}",
)
"""`other` is a port of somebody else's, `port` the mirror's own."""


@contextmanager
def watched(origin: Origin) -> Iterator[int]:
    """Listeners at other addresses and ports of this machine, where no connection may come in; the other port."""
    with ExitStack() as stack:
        first = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        port = int(first.getsockname()[1])
        others = [("127.0.0.2", port), ("127.0.0.2", origin.port)]
        listeners = [first, *(stack.enter_context(socket.create_server(each)) for each in others)]
        yield port
        for listener in listeners:
            listener.setblocking(False)
            with pytest.raises(BlockingIOError):
                listener.accept()


def listing(links: dict[str, str]) -> bytes:
    files = [
        {"filename": name, "url": url, "hashes": {"sha256": "0" * 64}, "core-metadata": True, "size": 1000}
        for name, url in links.items()
    ]
    page: dict[str, Any] = {"meta": {"api-version": "1.1"}, "name": "demo", "versions": [], "files": files}
    return json.dumps(page).encode()


def refused(daemon: Daemon, name: str) -> None:
    """Whatever a client asks of the file is answered at once, and with a no."""
    page = get(f"{daemon.simple}demo/", JSON)
    assert page.status == 200
    shown = {file["filename"]: file["url"] for file in page.json()["files"]}
    if name not in shown:
        return
    assert shown[name].startswith("../../packages/")
    for suffix in ("", ".metadata"):
        began = time.monotonic()
        answer = get(f"{daemon.url}/root/pypi/{shown[name].removeprefix('../../')}{suffix}")
        assert answer.status in {404, 503}
        assert "passwd" not in answer.text
        assert "password" not in answer.text
        assert time.monotonic() - began < 2


@pytest.mark.parametrize("how", ["link", "redirect"])
def test_u24_a_page_whose_links_lead_inside_makes_not_one_connection(
    origin: Origin, daemon: MakeDaemon, how: str
) -> None:
    with watched(origin) as other:
        names = [f"demo-{number}-py3-none-any.whl" for number in range(len(LINKS))]
        links = {
            name: link.format(port=origin.port, other=other, name=name)
            for name, link in zip(names, LINKS, strict=True)
        }
        if how == "redirect":
            for name, link in links.items():
                origin.script(f"away/{name}", Redirect(link), repeat=True)
                origin.script(f"away/{name}.metadata", Redirect(link), repeat=True)
            links = {name: f"{origin.url}/away/{name}" for name in links}
        origin.project("demo", form="json", body=listing(links))
        running = daemon(config_for(origin))
        for name in names:
            refused(running, name)
        if how == "redirect":
            assert origin.count("/away/") >= len(names)


def test_u24_a_page_that_is_elsewhere_is_not_fetched_from_inside(origin: Origin, daemon: MakeDaemon) -> None:
    with watched(origin) as other:
        links = [each.format(port=origin.port, other=other, name="simple/demo/") for each in LINKS]
        running = daemon(config_for(origin, mirror={"timeout": {"connect": "1s"}}))
        for number, link in enumerate(links):
            origin.script(f"simple/demo{number}/", Redirect(link), repeat=True)
            answer = get(f"{running.simple}demo{number}/", JSON)
            assert answer.status == 503
            assert "passwd" not in answer.text.removeprefix("origin")


NAMES = (
    "../../../../tmp/demo-1-py3-none-any.whl",
    "..",
    "a/b-1-py3-none-any.whl",
    "a\\b-1-py3-none-any.whl",
    "demo\x00-1-py3-none-any.whl",
    "demo-1\r\nSet-Cookie: x-py3-none-any.whl",
    f"demo-{'1' * 300}-py3-none-any.whl",
    ".hidden-1-py3-none-any.whl",
    "",
)
ODD = ("CON", "d\u00e9mo-1-py3-none-any.whl", "demo-1-py3-none-any.whl%2e%2e")


def test_u24_names_that_are_paths_are_dropped_and_odd_ones_do_no_harm(
    origin: Origin, daemon: MakeDaemon
) -> None:
    item = wheel("demo", "1.0", size=2000)
    entry = origin.add(item)
    links = dict.fromkeys((*NAMES, *ODD), f"{origin.url}{entry.path}")
    origin.project("demo", form="json", body=listing(links))
    running = daemon(config_for(origin))
    page = get(f"{running.simple}demo/", JSON)
    assert page.status == 200
    shown = {file["filename"]: file["url"] for file in page.json()["files"]}
    assert set(shown) <= set(ODD)
    for url in shown.values():
        assert get(f"{running.url}/root/pypi/{url.removeprefix('../../')}").status in {404, 503}
    html = get(f"{running.simple}demo/", {"Accept": "text/html"})
    assert html.status == 200
    assert "Set-Cookie" not in html.text
    assert not list(running.folder.rglob("*demo-1*"))
