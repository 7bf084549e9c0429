"""Damage, faults and leftovers in the cache directory: found, set aside, mended, and nobody is served anything wrong."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path

import pytest

from pypicache.store.parts import part_name
from tests.client import get
from tests.daemon import Daemon, config_for
from tests.family import lives
from tests.origin import Origin
from tests.program import run
from tests.store.accounts import account, wrong_blobs
from tests.waiting import until
from tests.wheels import Wheel, big_page, wheel

Make = Callable[..., Daemon]
MIB = 1 << 20


@pytest.fixture
def item(origin: Origin) -> Wheel:
    made = wheel("item", "1.0", size=2 * MIB)
    origin.add(made)
    return made


def stored(running: Daemon, item: Wheel) -> Path:
    """Have it stored; where it is."""
    assert get(running.link(item)).body == item.data
    running.wait_log(f"stored {item.filename}")
    deadline = time.monotonic() + 20
    while not account(running.cache).links:  # what the link needs is written behind
        assert time.monotonic() < deadline
    return blob_of(running, item)


def blob_of(running: Daemon, item: Wheel) -> Path:
    return running.cache / "blobs" / "sha256" / item.sha256[:2] / item.sha256[2:4] / item.sha256


def flip(path: Path, at: int = -1) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(bytes(data))


# Stored files (L7)


def test_l7_rotten_bytes_are_found_by_the_scrub_and_fetched_again(
    origin: Origin, daemon: Make, item: Wheel
) -> None:
    running = daemon(config_for(origin, cache={"scrub": "1s"}))
    path = stored(running, item)
    flip(path)
    running.wait_log("set aside.*bytes are not those of its name")
    assert not path.exists()
    assert get(running.link(item)).body == item.data
    assert wrong_blobs(running.cache) == []


def make_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def test_l7_what_is_no_blob_any_more_is_noticed_when_it_is_asked_for(
    origin: Origin, daemon: Make, item: Wheel
) -> None:
    """Also what was changed while the daemon was down: nothing hangs, and the file is fetched again."""
    running = daemon(config_for(origin))
    path = stored(running, item)
    running.stop()
    make_fifo(path)
    running.start()
    for harm in (None, grow, Path.unlink, make_fifo):
        if harm is not None:
            harm(path)
        seen = len(running.log)
        assert get(running.link(item)).body == item.data
        running.wait_log(f"stored {item.filename}", since=seen if harm is not None else 0)
        assert path.read_bytes() == item.data


# A disk that fails (L2)


def failing(calls: str, *paths: Path, fault: str = "error=EIO") -> list[str]:
    """A command prefix under which these system calls on these files fail, as a bad disk has them fail."""
    if shutil.which("strace") is None:
        pytest.skip("strace isn't installed")
    named = [option for path in paths for option in ("-P", str(path))]
    prefix = ["strace", "-D", "-f", "-qq", "-o", os.devnull, *named, "-e", f"trace={calls}"]
    prefix += ["-e", f"inject={calls}:{fault}"]
    done = subprocess.run([*prefix, "true"], check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"strace can't trace here: {done.stderr.strip()}")
    return prefix


@pytest.mark.parametrize(("size", "calls"), [(100_000, "pread64,preadv2"), (3 * MIB, "pread64,sendfile")])
def test_l2_a_stored_file_that_cannot_be_read_is_fetched_again(
    origin: Origin, daemon: Make, size: int, calls: str
) -> None:
    """A small one for the very client that asked; a large one, whose beginning may be on its way, for the next."""
    item = wheel("item", "1.0", size=size)
    origin.add(item)
    running = daemon(config_for(origin))
    path = stored(running, item)
    running.stop()
    # The first of these calls in each thread fails.
    running = daemon({**running.config, "server": {}}, wrapper=failing(calls, path, fault="error=EIO:when=1"))
    if size > MIB:
        with pytest.raises((OSError, HTTPException)):
            get(running.link(item))
    else:
        assert get(running.link(item)).body == item.data
    running.wait_log(f"{item.sha256}: it can't be read")
    assert get(running.link(item)).body == item.data
    assert len(origin.gets(item.filename)) == 2
    assert len(list((running.cache / "quarantine").iterdir())) == 1
    assert "Traceback" not in running.log


@pytest.mark.parametrize(
    "calls",
    ["pwrite64,pwritev,pwritev2", pytest.param("rename,renameat,renameat2", marks=pytest.mark.soak)],
)
def test_l2_a_disk_that_takes_nothing(
    origin: Origin, daemon: Make, tmp_path: Path, item: Wheel, calls: str
) -> None:
    """Every write, or the last rename, of this download fails: clients get the file all the same, and nothing is left of it."""
    cache = tmp_path / "cache"
    part = cache / "spool" / part_name(f"sha256:{item.sha256}")
    running = daemon(config_for(origin, cache={"dir": str(cache)}), wrapper=failing(calls, part))
    url = running.link(item)
    for _ in range(2):
        assert hashlib.sha256(get(url).body).hexdigest() == item.sha256
    running.wait_log("no download of")
    running.stop()
    truth = account(cache)
    assert (truth.blobs, truth.spools) == (0, 0)
    assert "Traceback" not in running.log


@pytest.mark.soak
def test_l21_what_is_in_memory_waits_for_no_disk(
    origin: Origin, daemon: Make, tmp_path: Path, item: Wheel
) -> None:
    """While every thread for the disk hangs in a write for half a second at a time, nothing else takes that long."""
    delay, cache = 0.5, tmp_path / "cache"
    slow = [wheel(f"slow{number}", "1.0", size=300_000) for number in range(12)]
    for each in slow:
        origin.add(each)
    parts = [cache / "spool" / part_name(f"sha256:{each.sha256}") for each in slow]
    prefix = failing(
        "pwrite64,pwritev,pwritev2,fsync,fdatasync", *parts, fault=f"delay_enter={delay * 1e6:.0f}"
    )
    running = daemon(config_for(origin, cache={"dir": str(cache)}), wrapper=prefix)
    urls = [f"{running.url}/healthz", f"{running.simple}item/", running.link(item)]
    links = [running.link(each) for each in slow]
    for url in urls * 3:
        assert get(url).status == 200
    times = []
    with ThreadPoolExecutor(len(slow)) as pool:
        downloads = [pool.submit(get, link) for link in links]
        while not all(each.done() for each in downloads):
            for url in urls:
                began = time.monotonic()
                assert get(url).status == 200
                times.append(time.monotonic() - began)
    assert {each.result().status for each in downloads} == {200}
    assert len(times) > 100
    assert max(times) < delay


# The page database (L5, L6)


def garbage(path: Path, start: int, length: int) -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(random.Random(1).randbytes(length))


DAMAGE: dict[str, Callable[[Path], object]] = {
    "garbage header": lambda pages: garbage(pages / "cache.db", 0, 200),
    "garbage middle": lambda pages: garbage(pages / "cache.db", 4096, 50_000),
    "zero length": lambda pages: os.truncate(pages / "cache.db", 0),
    "-wal deleted": lambda pages: (pages / "cache.db-wal").unlink(missing_ok=True),
    "-shm garbage": lambda pages: (pages / "cache.db-shm").write_bytes(random.Random(4).randbytes(32768)),
    "gone": shutil.rmtree,
}


def test_l6_a_damaged_database_is_rebuilt_and_files_outlive_it(
    origin: Origin, daemon: Make, item: Wheel
) -> None:
    """Up in under 5 s after each kind of damage, with the mirror closed: the file is served by what its link remembers."""
    running = daemon(config_for(origin))
    stored(running, item)
    url = running.link(item).removeprefix(running.url)
    for name, harm in DAMAGE.items():
        get(f"{running.simple}item/")
        running.kill()
        harm(running.cache / "pages")
        began = time.monotonic()
        running.start()
        assert time.monotonic() - began < 5, name
        origin.close()
        assert get(f"{running.url}{url}").body == item.data, name
        origin.reopen()
        assert get(f"{running.simple}item/").status == 200, name
    assert "Traceback" not in running.log


@pytest.mark.parametrize("seconds", [2.5, pytest.param(60, marks=pytest.mark.soak)])
def test_l5_a_database_that_is_locked(origin: Origin, daemon: Make, item: Wheel, seconds: float) -> None:
    """Files and pages go out as before, also those that were never asked for; a start waits for it 5 s at most."""
    others = [wheel(f"other-{number}", "1.0", size=1000) for number in range(8)]
    for other in others:
        origin.add(other)
    running = daemon(config_for(origin))
    stored(running, item)
    with contextlib.closing(
        sqlite3.connect(running.cache / "pages" / "cache.db", isolation_level=None)
    ) as lock:
        lock.execute("BEGIN EXCLUSIVE")
        until = time.monotonic() + seconds
        slowest, number = 0.0, 0
        while time.monotonic() < until:
            other = others[number % len(others)]
            number += 1
            began = time.monotonic()
            assert get(f"{running.simple}{other.name}/").status == 200
            assert get(running.link(item)).body == item.data
            slowest = max(slowest, time.monotonic() - began)
        assert slowest < 2.5  # the first read may wait for the lock once
        if seconds > 10:
            running.stop()
            began = time.monotonic()
            running.start()
            assert time.monotonic() - began < 8
            assert get(running.link(item)).body == item.data
    assert "Traceback" not in running.log


# What a crash or somebody left


def test_l8_leftovers_of_every_kind_are_swept_at_the_start(origin: Origin, daemon: Make, item: Wheel) -> None:
    running = daemon(config_for(origin))
    stored(running, item)
    running.kill()
    spools = running.cache / "spool"
    (spools / f"{'0' * 64}.part").write_bytes(b"without a journal")
    (spools / f"{'1' * 64}.part.journal").write_bytes(b"alone")
    (spools / "link.part").symlink_to("nowhere")
    os.mkfifo(spools / "fifo.part")
    (spools / "directory.part").mkdir()
    left = running.cache / "links" / "tmp" / "99999-1"
    left.write_bytes(b"")
    os.utime(left, (0, 0))
    (running.cache / "usage").write_bytes(b"nonsense")
    for name in ("janitor", "scrub"):
        (running.cache / name).write_bytes(b"\xff" * 100)
    running.start()
    assert get(running.link(item)).body == item.data
    assert list(spools.iterdir()) == []
    assert not left.exists()
    assert running.stop(signal.SIGTERM) == 0


# What is refused, with the remedy


def refused(running: Daemon) -> str:
    """What the daemon says as it refuses to start: one line, exit code 1."""
    running.write_config()
    done = run(running.folder, "serve", "-c", running.config_file)
    assert done.returncode == 1, done.stderr
    lines = [line for line in done.stderr.splitlines() if " WARNING " not in line]
    assert len(lines) == 1, done.stderr
    return lines[0]


@contextlib.contextmanager
def read_only(place: Path) -> Iterator[None]:
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    subprocess.run(["mount", "--bind", str(place), str(place)], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(place)], check=True)
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_directory_that_cannot_be_used_is_refused_in_one_line(
    origin: Origin, daemon: Make, item: Wheel
) -> None:
    """With the remedy, and with nothing of it touched: a later format, a disk that is read-only (L3), others who may write."""
    running = daemon(config_for(origin))
    path, cache = stored(running, item), running.cache
    running.stop()
    with read_only(cache):
        assert "Read-only file system" in refused(running)
    (cache / "format").write_text("99\n")
    said = refused(running)
    assert "later pypicache (format 99" in said
    assert "upgrade pypicache, or set cache.dir" in said
    (cache / "format").write_text("1\n")
    (cache / "links").chmod(0o770)
    assert f"chmod go-w {cache / 'links'}" in refused(running)
    (cache / "links").chmod(0o700)
    assert path.read_bytes() == item.data
    running.start()
    assert get(running.link(item)).body == item.data
    assert len(origin.gets(item.filename)) == 1


def test_a_directory_of_an_earlier_format_keeps_its_files(origin: Origin, daemon: Make, item: Wheel) -> None:
    """All else is made anew."""
    running = daemon(config_for(origin))
    stored(running, item)
    running.stop()
    (running.cache / "format").write_text("0\n")
    (running.cache / "pages" / "cache.db").write_bytes(b"of a form that nobody reads any more")
    running.start()
    assert get(running.link(item)).body == item.data
    assert len(origin.gets(item.filename)) == 1
    assert (running.cache / "format").read_text() == "1\n"


def test_a_daemon_that_is_killed_leaves_no_process_behind(origin: Origin, daemon: Make) -> None:
    """Not the helper, which waits for work that never comes, nor what looks after its semaphores."""
    origin.project("big", form="json", body=big_page("big", 8000))
    running = daemon(config_for(origin), fresh=True)
    assert get(f"{running.simple}big/").status == 200
    children = running.children()
    assert len(children) >= 2
    running.kill()
    until(lambda: not any(map(lives, children)), 8)
