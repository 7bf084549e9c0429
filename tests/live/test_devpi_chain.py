"""The cache behind a real devpi-server, and devpi behind the cache: relative `+f` links, its pages, its outages."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from tests.client import get
from tests.daemon import Daemon
from tests.devpi import DevpiServer, install
from tests.installers import pip_install, uv_install
from tests.origin import Origin
from tests.wheels import sdist, wheel

pytestmark = [pytest.mark.live, pytest.mark.soak, pytest.mark.timeout(240)]

JSON = {"Accept": "application/vnd.pypi.simple.v1+json"}
LIB = wheel("lib", "1.0", size=300_000)
APP = wheel("app", "1.0", size=5000, requires=["lib"])
OLD = sdist("old", "3.0")


def behind(url: str, **index: Any) -> dict[str, Any]:
    return {"indexes": {"root/pypi": {"mirrors": [{"url": url, "name": "devpi"}], **index}}}


@pytest.fixture
def devpi(tmp_path: Path) -> Generator[DevpiServer]:
    with DevpiServer(tmp_path / "devpi-server", install(tmp_path)) as server:
        yield server


def refresh(devpi: DevpiServer, index: str, project: str) -> None:
    """Have devpi forget how old its page is."""
    connection = http.client.HTTPConnection(devpi.url.removeprefix("http://"), timeout=30)
    connection.request("POST", f"/{index}/+simple/{project}/refresh")
    assert connection.getresponse().status < 400
    connection.close()


def test_behind_devpi_and_before_it(
    origin: Origin, devpi: DevpiServer, daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    for each in (LIB, APP, OLD):
        origin.add(each)
    upper = devpi.mirror(origin.simple, "root/upper")
    cache = daemon(behind(upper, ttl=0, patience="10s"))

    page = get(f"{cache.simple}lib/", JSON).json()
    assert [file["hashes"] for file in page["files"]] == [{"sha256": LIB.sha256}]
    assert get(cache.link(OLD)).body == OLD.data
    assert get(f"{cache.link(LIB)}.metadata").body == LIB.metadata
    assert get(f"{cache.simple}absent/", JSON).status == 404
    uv_install(tmp_path / "uv" / "t", "app", index_url=cache.simple).check()
    pip_install(tmp_path / "pip" / "t", "app", index_url=cache.simple).check()
    assert (tmp_path / "pip" / "t" / "lib" / "padding.bin").exists()

    # devpi behind the cache behind devpi.
    lower = devpi.mirror(cache.simple, "root/lower")
    uv_install(tmp_path / "chain" / "t", "app", index_url=lower).check()
    assert (tmp_path / "chain" / "t" / "lib" / "padding.bin").exists()

    # What devpi has no more, or can't say.
    origin.add(wheel("lib", "2.0"))
    refresh(devpi, "root/upper", "lib")
    assert len(get(f"{cache.simple}lib/", JSON).json()["files"]) == 2
    held = get(f"{cache.simple}app/", JSON)
    origin.close()
    devpi.client("index", "--delete", "-y", "root/upper").check()
    again = get(f"{cache.simple}app/", JSON)
    assert (again.status, again.body) == (200, held.body)
    assert get(cache.link(LIB)).body == LIB.data
