"""The main job: real pip and real uv install through a real daemon, the second time without asking upstream for a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

from tests.client import get
from tests.daemon import Daemon, config_for
from tests.installers import Result, pip_install, uv_compile, uv_install
from tests.origin import Origin
from tests.wheels import sdist, wheel

Make = Callable[..., Daemon]
Install = Callable[..., Result]

APP = wheel("demo-app", "1.0", requires=["demo-lib>=1"])
LIB = wheel("demo-lib", "1.2")


@pytest.fixture
def stocked(origin: Origin) -> Origin:
    for item in (APP, LIB, wheel("demo-lib", "1.1"), sdist("demo-lib", "1.0")):
        origin.add(item)
    return origin


def installed(target: Path) -> set[str]:
    return {path.name for path in target.glob("*.dist-info")}


BOTH = {"demo_app-1.0.dist-info", "demo_lib-1.2.dist-info"}


@pytest.mark.parametrize("install", [pip_install, uv_install])
@pytest.mark.parametrize(
    ("address", "form"),
    [
        ("/simple/", "json"),
        ("/simple/", "html"),
        ("/root/pypi/simple/", "json"),
        ("/root/pypi/+simple/", "html"),
        ("/index/", "json"),
    ],
)
def test_install_twice(
    stocked: Origin,
    daemon: Make,
    tmp_path: Path,
    install: Install,
    address: str,
    form: Literal["json", "html"],
) -> None:
    """The second installation asks upstream for no file, whatever form the mirror speaks."""
    for name in ("demo-app", "demo-lib"):
        stocked.project(name, form=form)
    index_url = daemon(config_for(stocked)).url + address
    install(tmp_path / "first", "demo-app", index_url=index_url).check()
    assert installed(tmp_path / "first") == BOTH
    files = stocked.count("/packages/")
    assert files
    install(tmp_path / "second", "demo-app", index_url=index_url).check()
    assert installed(tmp_path / "second") == BOTH
    assert stocked.count("/packages/") == files


@pytest.mark.parametrize("install", [pip_install, uv_install])
def test_install_from_the_cache_alone(
    stocked: Origin, daemon: Make, tmp_path: Path, install: Install
) -> None:
    """*Once cached, always served*: the mirror is gone, the daemon was restarted, the pages are past their ttl."""
    running = daemon(config_for(stocked, index={"ttl": 0}))
    install(tmp_path / "first", "demo-app", index_url=running.simple).check()
    stocked.close()
    running.restart()
    install(tmp_path / "second", "demo-app", index_url=running.simple).check()
    assert installed(tmp_path / "second") == BOTH


def test_a_file_link_resolves_after_the_cache_was_wiped(
    stocked: Origin, daemon: Make, tmp_path: Path
) -> None:
    """Lock files keep links: path and name are enough to find the file through its page."""
    first = daemon(config_for(stocked))
    page = get(first.simple + "demo-lib/", {"Accept": "application/vnd.pypi.simple.v1+json"}).json()
    link = next(file["url"] for file in page["files"] if file["filename"] == LIB.filename)
    assert link.startswith("../../packages/")
    path = "/packages/" + link.removeprefix("../../packages/")
    fresh = daemon(config_for(stocked))
    for url in (fresh.url + path, fresh.url + "/root/pypi" + path):
        answer = get(url)
        assert (answer.status, answer.body) == (200, LIB.data)
    assert get(fresh.url + path + ".metadata").body == LIB.metadata


def test_lock_files_of_uv_hold(stocked: Origin, daemon: Make, tmp_path: Path) -> None:
    """`uv pip compile --generate-hashes` through the cache, installed with hashes checked."""
    running = daemon(config_for(stocked))
    locked = uv_compile(
        tmp_path / "lock", "demo-app", index_url=running.simple, extra_args=["--generate-hashes", "-q"]
    ).check()
    lock = tmp_path / "requirements.txt"
    lock.write_text(locked.out)
    assert APP.sha256 in lock.read_text()
    pip_install(
        tmp_path / "target", "-r", str(lock), index_url=running.simple, extra_args=["--require-hashes"]
    ).check()
    assert installed(tmp_path / "target") == BOTH
