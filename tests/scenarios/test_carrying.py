"""Export on one machine's directory, import in another's: real daemons, real pip and uv, and no network at the end."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.client import get
from tests.daemon import Daemon, config_for
from tests.environment import REPOSITORY, clean
from tests.installers import pip_install, uv_compile, uv_install
from tests.origin import Origin
from tests.program import ok, run_here
from tests.wheels import sdist, wheel

MakeDaemon = Callable[..., Daemon]
MakeOrigin = Callable[..., Origin]

OTHER = wheel("other", "3.0")


@pytest.fixture
def full(origin: Origin, daemon: MakeDaemon) -> Daemon:
    """A cache that `demo` was installed through, and `other` too, for the sake of something else."""
    for item in (wheel("demo", "1.0", requires=["dep"]), sdist("demo", "1.0"), wheel("dep", "2.0"), OTHER):
        origin.add(item, core_metadata=item.name != "dep")
    made = daemon(config_for(origin))
    uv_install(made.folder / "warm", "demo", "other", index_url=made.simple).check()
    return made.restart()  # what is written behind is written


def elsewhere(full: Daemon, daemon: MakeDaemon) -> Daemon:
    """Another machine: nothing in its cache, and no network."""
    config = json.loads(json.dumps(full.config["indexes"]))
    config["root/pypi"]["offline"] = True
    made = daemon({"indexes": config}, start=False)
    made.write_config()
    return made


def carried(full: Daemon, there: Daemon, *options: str | Path) -> dict[str, Any]:
    """Export, import, and what the import said."""
    archive = full.folder / "cache.tar"
    ok(run_here("export", archive, "-c", full.config_file, *options))
    done = ok(run_here("import", archive, "--json", "-c", there.config_file))
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def test_a_lock_file_is_carried_to_where_there_is_no_network(
    origin: Origin, full: Daemon, daemon: MakeDaemon, tmp_path: Path
) -> None:
    """Pages, files and metadata of what it pins, and nothing else; pip and uv install it with the mirrors closed."""
    lock = tmp_path / "requirements.txt"
    options = ["--generate-hashes", "-o", str(lock)]
    uv_compile(tmp_path / "c", "demo", index_url=full.simple, extra_args=options).check()
    there = elsewhere(full, daemon)
    said = carried(full, there, "--lock", lock)
    origin.close()
    full.stop()
    assert (said["pages"], said["held"], said["unknown_indexes"]) == (2, 0, [])
    there.start()
    arguments = ["--require-hashes", "-r", str(lock)]
    uv_install(tmp_path / "u" / "t", index_url=there.simple, extra_args=arguments).check()
    pip_install(tmp_path / "p" / "t", index_url=there.simple, extra_args=arguments).check()
    for target in (tmp_path / "u" / "t", tmp_path / "p" / "t"):
        assert {"demo", "dep"} <= {path.name for path in target.iterdir()}
    assert get(f"{there.simple}other/").status == 503


def test_everything_is_carried_by_two_archives(
    origin: Origin, full: Daemon, daemon: MakeDaemon, tmp_path: Path
) -> None:
    """The second has what is new since the first; without the first it isn't all, and that is told."""
    first, news = tmp_path / "first.tar", tmp_path / "news.tar"
    export = ("export", "-c", full.config_file)
    ok(run_here(*export, first))
    again = tmp_path / "again.tar"
    ok(run_here(*export, again))
    assert first.read_bytes() == again.read_bytes()
    origin.add(wheel("new", "1.0"))
    uv_install(tmp_path / "w" / "t", "new", index_url=full.simple).check()
    full.restart()
    ok(run_here(*export, "--since", first, news))
    with tarfile.open(news) as tar:
        names = tar.getnames()
    assert names[0] == "manifest.json"
    assert [name for name in names if name.startswith("projects/")] == ["projects/root/pypi/new.msgpack"]
    assert len(names) == 4  # and the file, and its metadata

    there = elsewhere(full, daemon)
    import_ = ("import", "-c", there.config_file)
    alone = run_here(*import_, news)
    assert alone.returncode == 1
    assert "files are in an earlier archive only" in alone.stderr
    ok(run_here(*import_, first))
    assert ok(run_here(*import_, news)).stdout == (
        "0 files imported (0 bytes), 2 were here; 0 pages imported, 1 were newer here\n"
    )
    origin.close()
    full.stop()
    there.start()
    uv_install(tmp_path / "u" / "t", "demo", "other", "new", index_url=there.simple).check()


def test_through_a_pipe(full: Daemon, daemon: MakeDaemon, tmp_path: Path) -> None:
    there = elsewhere(full, daemon)
    command = (sys.executable, "-m", "pypicache")
    env = clean(tmp_path / "home", {"PYTHONPATH": str(REPOSITORY)})
    with subprocess.Popen(
        [*command, "export", "-", "-c", full.config_file], stdout=subprocess.PIPE, env=env
    ) as out:
        subprocess.run(
            [*command, "import", "-", "-c", there.config_file], stdin=out.stdout, env=env, check=True
        )
    assert out.returncode == 0
    there.start()
    assert get(there.link(OTHER)).body == OTHER.data


def test_what_a_lock_file_pins_and_the_cache_lacks_is_named(full: Daemon, tmp_path: Path) -> None:
    lock = tmp_path / "requirements.txt"
    lock.write_text(f"demo==1.0\ndemo==2.0\nnever==1\nother==3.0 --hash=sha256:{OTHER.sha256}\n")
    archive = tmp_path / "a.tar"
    done = run_here("export", archive, "--lock", lock, "--json", "-c", full.config_file)
    assert done.returncode == 1
    assert json.loads(done.stdout)["missing"] == ["demo 2.0", "never 1"]
    with tarfile.open(archive) as tar:
        assert f"blobs/sha256/{OTHER.sha256[:2]}/{OTHER.sha256[2:4]}/{OTHER.sha256}" in tar.getnames()


def test_a_damaged_file_is_never_carried(full: Daemon, daemon: MakeDaemon, tmp_path: Path) -> None:
    """Neither out of a cache nor into one; and nothing is left of half an archive."""
    there = elsewhere(full, daemon)
    archive = tmp_path / "a.tar"
    ok(run_here("export", archive, "-c", full.config_file))
    blob = full.cache / "blobs" / "sha256" / OTHER.sha256[:2] / OTHER.sha256[2:4] / OTHER.sha256
    blob.write_bytes(bytes(len(OTHER.data)))
    out = run_here("export", tmp_path / "b.tar", "-c", full.config_file)
    assert out.returncode == 1
    assert f"the file {OTHER.sha256} is damaged: run pypicache verify --repair" in out.stderr
    assert sorted(path.name for path in tmp_path.glob("*.tar*")) == ["a.tar"]

    data = bytearray(archive.read_bytes())
    data[data.index(OTHER.data) + 100] ^= 1
    archive.write_bytes(data)
    into = run_here("import", archive, "-c", there.config_file)
    assert into.returncode == 1
    assert "is damaged: it hashes to" in into.stderr
    assert not list((there.cache / "blobs").rglob(OTHER.sha256))
    assert not list((there.cache / "spool").iterdir())


def test_an_export_that_was_killed_leaves_nothing_to_the_next(full: Daemon, tmp_path: Path) -> None:
    """What it had written goes; what another one is writing stays, and so does what only looks like it."""
    left, written, other = (tmp_path / f".a.tar.{end}" for end in ("1", "2", "x"))
    for path in (left, written, other):
        path.write_bytes(b"half of it")
    with written.open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ok(run_here("export", tmp_path / "a.tar", "-c", full.config_file))
    assert sorted(path.name for path in tmp_path.glob(".a*")) == [written.name, other.name]


def test_an_older_page_never_replaces_a_newer_one(
    origin: Origin, full: Daemon, daemon: MakeDaemon, tmp_path: Path
) -> None:
    archive = tmp_path / "a.tar"
    ok(run_here("export", archive, "-c", full.config_file))
    origin.add(wheel("other", "4.0"))
    there = daemon(config_for(origin))
    assert "other-4.0" in get(f"{there.simple}other/").text
    ok(run_here("import", archive, "-c", there.config_file))
    there.restart()
    assert "other-4.0" in get(f"{there.simple}other/").text
    assert get(there.link(OTHER)).headers["cache-status"].startswith("pypicache; hit")


def test_an_import_that_is_killed_leaves_nothing_half_and_goes_on(
    origin: Origin, daemon: MakeDaemon, tmp_path: Path
) -> None:
    large = wheel("large", "1.0", size=8_000_000)
    origin.add(large)
    source = daemon(config_for(origin))
    assert get(source.link(large)).body == large.data
    source.stop()
    archive = tmp_path / "a.tar"
    ok(run_here("export", archive, "-c", source.config_file))
    there = elsewhere(source, daemon)
    env = clean(tmp_path / "home", {"PYTHONPATH": str(REPOSITORY)})
    command = [sys.executable, "-m", "pypicache", "import", "-", "-c", str(there.config_file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=env) as process:
        assert process.stdin is not None
        # A pipe holds 64 kB and the reader a megabyte: when the rest has been taken, some of it was written.
        process.stdin.write(archive.read_bytes()[:6_000_000])
        process.kill()
    assert not list((there.cache / "blobs").rglob(large.sha256))
    assert "1 files imported" in ok(run_here("import", archive, "-c", there.config_file)).stdout
    assert not list((there.cache / "spool").iterdir())
    there.start()
    assert get(there.link(large)).body == large.data


def test_an_import_is_served_by_a_running_daemon_at_once(
    origin: Origin, daemon: MakeDaemon, tmp_path: Path
) -> None:
    """What its memory held of an older page is forgotten."""
    origin.add(OTHER)
    there = daemon(config_for(origin, index={"ttl": "1d"}))
    assert "other-3.0" in get(f"{there.simple}other/").text
    origin.add(wheel("other", "4.0"))
    again = daemon(config_for(origin))
    assert "other-4.0" in get(f"{again.simple}other/").text
    again.stop()
    archive = tmp_path / "a.tar"
    ok(run_here("export", archive, "-c", again.config_file))
    ok(run_here("import", archive, "-c", there.config_file))
    assert "other-4.0" in get(f"{there.simple}other/").text


def test_what_finds_no_room_is_told_and_the_rest_is_there(
    origin: Origin, daemon: MakeDaemon, tmp_path: Path
) -> None:
    """A file larger than the cache, and files that push each other out: the exit code is 1, and what is held is served."""
    items = [
        wheel("big", "1.0", size=6_000_000),
        *(wheel(f"mid{n}", "1.0", size=1_800_000) for n in (1, 2, 3)),
    ]
    for item in items:
        origin.add(item)
    source = daemon(config_for(origin))
    for item in items:
        assert get(source.link(item)).body == item.data
    source.stop()
    archive = tmp_path / "a.tar"
    ok(run_here("export", archive, "-c", source.config_file))
    there = elsewhere(source, daemon)
    there.config["cache"] |= {"max_size": 5_000_000, "min_free": 0}
    there.write_config()
    done = run_here("import", archive, "--json", "-c", there.config_file)
    assert done.returncode == 1, done.stderr
    said = json.loads(done.stdout)
    there.start()
    served = [item for item in items if get(there.link(item)).status == 200]
    assert len(served) == 2
    assert set(said["no_room"]) == {item.sha256 for item in items if item not in served}
    assert said["pages"] == len(items)
    text = run_here("import", archive, "-c", there.config_file)
    assert "2 files found no room" in text.stderr
