"""Care of the cache: the commands, on a running daemon through its admin socket, and on the bare directory."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pypicache.store.disk import DiskBlobStore
from pypicache.store.parts import part_name
from tests.client import ByHand, get
from tests.daemon import Daemon, config_for
from tests.origin import Origin
from tests.program import ok, run, run_here
from tests.waiting import until
from tests.wheels import Artifact, wheel

MakeDaemon = Callable[..., Daemon]
MakeOrigin = Callable[..., Origin]

DEMO, OTHER = wheel("demo", "1.0", size=300_000), wheel("other", "2.0")
ACCEPT = {"Accept": "application/vnd.pypi.simple.v1+json"}


def until_linked(made: Daemon, count: int) -> None:
    """Wait until so many link records are written, which happens behind the answers."""
    until(lambda: len([path for path in (made.cache / "links").glob("???/*") if path.is_file()]) >= count)


@pytest.fixture
def made(origin: Origin, daemon: MakeDaemon) -> Daemon:
    """A daemon that `demo` and `other` were fetched through, with their metadata."""
    made = daemon(config_for(origin))
    for item in (DEMO, OTHER):
        origin.add(item)
        link = made.link(item)
        assert get(link).body + get(f"{link}.metadata").body == item.data + item.metadata
    until_linked(made, 4)
    return made


@pytest.fixture(params=["daemon", "bare"])
def either(request: pytest.FixtureRequest, made: Daemon) -> Daemon:
    """The same, running or stopped."""
    if request.param == "bare":
        made.stop()
    return made


def told(made: Daemon, *arguments: str, code: int = 0) -> Any:
    """What the command says, as JSON."""
    done = run_here(*arguments, "--json", "-c", made.config_file)
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def said(made: Daemon, *arguments: str, given: str | None = None) -> str:
    """What the command says, for people."""
    done = ok(run_here(*arguments, "-c", made.config_file, given=given))
    return done.stdout


def blob(made: Daemon, item: Artifact) -> Path:
    return made.cache / "blobs" / "sha256" / item.sha256[:2] / item.sha256[2:4] / item.sha256


def test_the_cache_in_numbers(either: Daemon) -> None:
    info = told(either, "cache", "info")
    index = info["indexes"]["root/pypi"]
    assert (index["projects"], index["pages"]) == (2, 2)
    assert info["files"] == index["files"] == 4  # two wheels, two sidecars
    assert info["files_bytes"] == index["bytes"] > len(DEMO.data) + len(OTHER.data)
    assert info["largest"][0]["filename"] == DEMO.filename
    assert (info["rates"] is None) == ("stopping" in either.log)
    text = said(either, "cache", "info", "--top", "1")
    assert 1 <= text.count(".whl") <= 2
    assert ("hit rate" in text) == (info["rates"] is not None)


def test_what_is_held_by_project_and_by_file(either: Daemon) -> None:
    listed = told(either, "cache", "list")["projects"]
    assert [(each["project"], each["files"]) for each in listed] == [("demo", 2), ("other", 2)]
    assert all(time.time() - each["checked_at"] < 100 for each in listed)
    files = told(either, "cache", "list", "Demo")["files"]
    assert {each["filename"]: each["sha256"] for each in files} == {
        DEMO.filename: DEMO.sha256,
        f"{DEMO.filename}.metadata": DEMO.metadata_sha256,
    }
    assert "2 projects" in said(either, "cache", "list")
    assert "nothing of it is held" in said(either, "cache", "list", "never")


def test_a_purged_project_is_fetched_again_at_once(origin: Origin, either: Daemon) -> None:
    """Neither memory nor the shortcut for repeated requests remembers it; others stay."""
    page = "demo/"
    running = "stopping" not in either.log
    if running:
        assert [get(either.simple + page, ACCEPT).status for _ in range(3)] == [200] * 3
    asked = origin.count("demo/")
    assert said(either, "purge", "demo", "--yes").startswith("removed 1 pages and 2 files")
    assert not blob(either, DEMO).exists()
    assert blob(either, OTHER).exists()
    if not running:
        either.start()
    assert get(either.simple + page, ACCEPT).headers["cache-status"].startswith("pypicache; fwd=")
    assert origin.count("demo/") == asked + 1
    assert get(either.link(DEMO)).body == DEMO.data
    assert get(either.simple + "other/").headers["cache-status"].startswith("pypicache; hit")


def test_it_says_what_would_go_and_asks(made: Daemon) -> None:
    done = run_here("purge", "--all", "-c", made.config_file, given="n\n")
    assert (done.returncode, "Remove 2 pages and 4 files" in done.stderr) == (1, True)
    assert blob(made, DEMO).exists()
    assert "removed 2 pages and 4 files" in said(made, "purge", "--all", given="y\n")
    assert told(made, "cache", "info")["files"] == 0
    assert "there is nothing of it in the cache" in said(made, "purge", "--all")


@pytest.mark.parametrize("running", [True, False], ids=["daemon", "bare"])
def test_everything_is_also_what_broke_off_and_what_was_set_aside(made: Daemon, *, running: bool) -> None:
    """But not what somebody is fetching at the moment."""
    if not running:
        made.stop()

    async def leave() -> None:
        async with DiskBlobStore(made.cache) as store:
            left, going_on = [await store.spool(key, 1000) for key in ("left", "going on")]
            await left.write(0, [b"x" * 500])
            left.close()
            (made.cache / "quarantine" / "odd").mkdir()
            await asyncio.to_thread(said, made, "purge", "--all", "--yes")
            assert [path.name for path in (made.cache / "spool").glob("*.part")] == [part_name("going on")]
            await going_on.discard()

    asyncio.run(leave())
    assert not list((made.cache / "quarantine").iterdir())
    info = told(made, "cache", "info")
    assert (info["files"], info["spools_bytes"], info["files_bytes"]) == (0, 0, 0)


def test_pages_can_go_alone_and_files_by_their_age(made: Daemon) -> None:
    assert told(made, "purge", "--pages", "--yes") == {
        "pages": 2,
        "links": 0,
        "files": 0,
        "bytes": 0,
        "in_use": 0,
    }
    assert told(made, "cache", "info")["files"] == 4
    assert told(made, "purge", "--older-than", "1h", "--yes")["files"] == 0
    old = time.time() - 7200
    os.utime(blob(made, OTHER), (old, old))
    assert told(made, "purge", "--older-than", "1h", "--yes")["files"] == 1
    assert not blob(made, OTHER).exists()


def test_a_file_of_two_indexes_goes_with_the_last(origin: Origin, daemon: MakeDaemon) -> None:
    origin.add(DEMO)
    config = config_for(origin)
    config["indexes"]["second"] = config["indexes"]["root/pypi"]
    made = daemon(config)
    for index in ("root/pypi", "second"):
        href = get(f"{made.url}/{index}/simple/demo/", ACCEPT).json()["files"][0]["url"]
        assert get(f"{made.url}/{index}/packages/{href.removeprefix('../../packages/')}").status == 200
    until_linked(made, 2)
    assert told(made, "purge", "--index", "second", "--yes")["files"] == 0
    assert get(f"{made.url}/root/pypi/simple/demo/").headers["cache-status"].startswith("pypicache; hit")
    assert told(made, "purge", "demo", "--index", "root/pypi", "--yes")["files"] == 1
    assert not blob(made, DEMO).exists()


@pytest.mark.parametrize("running", [True, False], ids=["daemon", "bare"])
def test_what_is_left_of_an_index_that_the_configuration_has_no_more(
    origin: Origin, made: Daemon, *, running: bool
) -> None:
    """It can be purged by its name; an index of which there is nothing is a mistake."""
    made.stop()
    made.config["indexes"] = {"new": made.config["indexes"]["root/pypi"]}
    made.write_config()
    if running:
        made.start()
    assert run_here("purge", "--index", "root/pyip", "--yes", "-c", made.config_file).returncode == 2
    assert "removed 2 pages and 4 files" in said(made, "purge", "--index", "root/pypi", "--yes")
    assert told(made, "cache", "info")["indexes"] == {}


def test_a_file_that_somebody_reads_stays(origin: Origin, daemon: MakeDaemon) -> None:
    large = wheel("large", "1.0", size=30_000_000)
    origin.add(large)
    made = daemon(config_for(origin))
    link = made.link(large)
    assert get(link).body == large.data
    until_linked(made, 1)
    reader = ByHand(link)
    reader.head()
    gone = told(made, "purge", "large", "--yes")
    assert (gone["files"], gone["in_use"], gone["pages"]) == (0, 1, 1)
    assert reader.read(len(large.data)) == large.data
    reader.close()
    assert blob(made, large).exists()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["demo", "--all"],
        ["--older-than", "soon"],
        ["--older-than", "1d", "--pages"],
        ["--all", "--json"],
        ["--index", "none"],
    ],
)
def test_a_purge_that_means_nothing_is_refused(tmp_path: Path, arguments: list[str]) -> None:
    assert run(tmp_path, "purge", *arguments).returncode == 2


def test_refresh_asks_the_mirrors_now(origin: Origin, daemon: MakeDaemon) -> None:
    """However fresh a page is; once in 5 s a project."""
    origin.add(DEMO)
    origin.add(OTHER)
    made = daemon(config_for(origin))
    assert told(made, "refresh", "demo", "never", code=1)["projects"] == {
        "demo": "new",
        "never": "root/pypi has no project never",
    }
    origin.add(wheel("demo", "2.0"))
    assert get(f"{made.simple}demo/").text.count("demo-2.0") == 0
    assert told(made, "refresh", "demo")["projects"] == {"demo": "unchanged"}  # asked a moment ago
    made.stop()
    assert told(made, "refresh", "other")["projects"] == {"other": "new"}
    origin.close()
    assert told(made, "refresh", "third", code=1)["failed"] == 1
    made.start()
    assert get(f"{made.simple}other/").headers["cache-status"].startswith("pypicache; hit")


def test_the_socket_is_the_owner_s(made: Daemon) -> None:
    folder = made.cache / "admin"
    (path,) = folder.iterdir()
    assert path.name == f"{made.pid}.sock"
    assert (stat.S_IMODE(folder.stat().st_mode), stat.S_IMODE(path.stat().st_mode)) == (0o700, 0o600)
    made.stop()
    assert not list(folder.iterdir())


def posted(path: Path, body: bytes, method: str = "POST") -> bytes:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(path))
        head = f"{method} / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
        return answer


def test_what_is_no_order_is_refused(made: Daemon) -> None:
    (path,) = (made.cache / "admin").iterdir()
    assert b'"status":400' in posted(path, b"{}")
    assert b'"status":400' in posted(path, b'{"order": "explode"}')
    assert b'"status":400' in posted(path, b'{"order": "purge"}')
    assert b'"status":400' in posted(path, b'{"order": "refresh", "index": "none", "projects": []}')
    assert b" 405 " in posted(path, b"", "GET")
    assert "a bug" not in made.log


def test_a_daemon_that_was_killed_leaves_no_socket_in_the_way(made: Daemon) -> None:
    made.kill()
    (left,) = (made.cache / "admin").iterdir()
    assert told(made, "cache", "info")["rates"] is None
    made.start()
    (found,) = (made.cache / "admin").iterdir()
    assert found != left
    assert told(made, "cache", "info")["rates"] is not None


def test_a_cache_directory_with_a_long_name_has_a_socket_too(
    origin: Origin, daemon: MakeDaemon, tmp_path: Path
) -> None:
    folder = tmp_path / ("x" * 120)
    made = daemon(config_for(origin, cache={"dir": str(folder)}))
    assert told(made, "cache", "info")["rates"] is not None


@pytest.mark.parametrize("command", [["cache", "info"], ["export", "all.tar"]])
def test_without_a_cache_there_is_nothing_to_tell(tmp_path: Path, command: list[str]) -> None:
    """Nor to carry: an archive of nothing would be found out where there is no network."""
    done = run(tmp_path, *command)
    assert (done.returncode, "there is no cache in" in done.stderr) == (1, True)
    assert not list(tmp_path.iterdir())
