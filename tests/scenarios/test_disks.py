"""A cache directory that is full, read-only, out of inodes or failing: clients get their files all the same."""

from __future__ import annotations

import contextlib
import hashlib
import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.client import get
from tests.daemon import Daemon, config_for
from tests.installers import uv_install
from tests.origin import Origin
from tests.origin_faults import Rate, ResetAt, WrongBytes
from tests.wheels import wheel

Make = Callable[..., Daemon]
MIB = 1 << 20

BIG = wheel("big", "1.0", size=8 * MIB)


@contextlib.contextmanager
def mounted(place: Path, options: str) -> Iterator[Path]:
    """A tmpfs there. Where mounting isn't allowed the test can't be, and says so."""
    place.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"{options},mode=0700", "tmpfs", str(place)],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "small", "size=4m") as place:
        yield place


def on(place: Path, origin: Origin, **options: object) -> dict[str, object]:
    return config_for(origin, mirror={"connections": 1}, cache={"dir": str(place / "cache")}, **options)  # type: ignore[arg-type]


def test_l1_a_full_disk_streams_the_file_through(origin: Origin, daemon: Make, small: Path) -> None:
    """The client gets all of it, it isn't stored, and what does fit is stored as before."""
    little = wheel("little", "1.0", size=100_000)
    for item in (BIG, little):
        origin.add(item)
    running = daemon(on(small, origin))
    for _ in range(2):
        answer = get(running.link(BIG))
        assert (answer.status, hashlib.sha256(answer.body).hexdigest()) == (200, BIG.sha256)
    assert not list(running.cache.glob("spool/*"))
    assert get(running.link(little)).body == little.data
    running.wait_log(f"stored {little.filename}")
    assert "Traceback" not in running.log


def test_l1_wrong_bytes_are_not_completed_past_a_full_disk(origin: Origin, daemon: Make, small: Path) -> None:
    """*Nothing unverified is committed*, with no store either."""
    origin.add(BIG)
    origin.script(BIG.filename, WrongBytes(), repeat=True)
    running = daemon(on(small, origin))
    with pytest.raises(Exception, match="IncompleteRead"):
        get(running.link(BIG))


def test_l1_a_break_past_a_full_disk_goes_on(origin: Origin, daemon: Make, small: Path) -> None:
    origin.add(BIG)
    origin.script(BIG.filename, ResetAt(3 * MIB))
    running = daemon(on(small, origin))
    assert hashlib.sha256(get(running.link(BIG)).body).hexdigest() == BIG.sha256


def test_l1_ranges_past_a_full_disk(origin: Origin, daemon: Make, small: Path) -> None:
    origin.add(BIG)
    url = (daemon(on(small, origin))).link(BIG)
    size = len(BIG.data)
    for start, stop in [(0, 100), (5 * MIB, 5 * MIB + 1000), (size - 1000, size), (2 * MIB, size)]:
        answer = get(url, {"Range": f"bytes={start}-{stop - 1}"})
        assert (answer.status, answer.body == BIG.data[start:stop]) == (206, True), (start, stop)


def test_l1_space_that_comes_back_is_used(origin: Origin, daemon: Make, small: Path) -> None:
    origin.add(wheel("fits", "1.0", size=2 * MIB))
    item = wheel("fits", "1.0", size=2 * MIB)
    ballast = small / "ballast"
    running = daemon(on(small, origin))
    url = running.link(item)
    ballast.write_bytes(b"x" * (2 * MIB + MIB // 2))
    assert get(url).body == item.data
    assert not list(running.cache.glob("blobs/sha256/*/*/*"))
    ballast.unlink()
    assert get(url).body == item.data
    running.wait_log(f"stored {item.filename}")


def test_a_disk_of_4_mb_serves_20_mb_of_wheels(
    origin: Origin, daemon: Make, small: Path, tmp_path: Path
) -> None:
    items = [wheel(f"part-{n}", "1.0", size=2 * MIB + MIB // 2) for n in range(8)]
    for item in items:
        origin.add(item)
    running = daemon(on(small, origin))
    uv_install(tmp_path / "target", *(item.name for item in items), index_url=running.simple).check()
    assert len(list((tmp_path / "target").glob("*.dist-info"))) == 8


def test_l4_out_of_inodes(origin: Origin, daemon: Make, tmp_path: Path) -> None:
    items = [wheel(f"inode-{n}", "1.0", size=10_000) for n in range(12)]
    for item in items:
        origin.add(item)
    with mounted(tmp_path / "few", "size=64m,nr_inodes=40") as place:
        running = daemon(on(place, origin))
        for item in items:
            assert get(running.link(item)).body == item.data
        running.stop()


@contextlib.contextmanager
def read_only(*places: Path) -> Iterator[None]:
    """These directories, for everyone who opens something in them from now on."""
    with contextlib.ExitStack() as stack:
        for place in places:
            subprocess.run(["mount", "--bind", str(place), str(place)], check=True)
            stack.callback(subprocess.run, ["umount", "-l", str(place)], check=True)
            subprocess.run(["mount", "-o", "remount,bind,ro", str(place)], check=True)
        yield


def test_l3_a_disk_that_turns_read_only(origin: Origin, daemon: Make, tmp_path: Path) -> None:
    """What is stored is served, what isn't is streamed through, the daemon doesn't spin, and it recovers by itself."""
    kept = wheel("kept", "1.0", size=300_000)
    for item in (kept, BIG):
        origin.add(item)
    with mounted(tmp_path / "turning", "size=64m") as place:
        running = daemon(on(place, origin))
        urls = {item.name: running.link(item) for item in (kept, BIG)}
        get(urls["kept"])
        running.wait_log(f"stored {kept.filename}")
        with read_only(*(running.cache / name for name in ("spool", "blobs", "links"))):
            with pytest.raises(OSError, match="Read-only"):
                (running.cache / "spool" / "x").touch()
            busy = running.cpu()
            for _ in range(2):
                assert get(urls["kept"]).body == kept.data
                assert hashlib.sha256(get(urls["big"]).body).hexdigest() == BIG.sha256
            assert running.cpu() - busy < 2.0
        assert hashlib.sha256(get(urls["big"]).body).hexdigest() == BIG.sha256
        running.wait_log(f"stored {BIG.filename}")
        assert "Traceback" not in running.log
        running.stop()


def test_l2_writes_that_fail(origin: Origin, daemon: Make) -> None:
    """A limit on the size of files fails writes as a bad disk does: the client notices nothing."""
    origin.add(BIG)
    origin.script(BIG.filename, Rate(40 * MIB), repeat=True)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4 * MIB, hard))
    try:
        running = daemon(config_for(origin, mirror={"connections": 1}))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    url = running.link(BIG)
    with ThreadPoolExecutor(3) as pool:
        bodies = list(pool.map(lambda _: get(url, timeout=60).body, range(3)))
    assert {hashlib.sha256(body).hexdigest() for body in bodies} == {BIG.sha256}


def test_l1_a_disk_that_is_full_at_the_start(origin: Origin, daemon: Make, small: Path) -> None:
    """To the last byte: it starts, serves what it has, streams what it hasn't, and stores again when there is room."""
    kept = wheel("kept", "1.0", size=300_000)
    for item in (kept, BIG, wheel("late", "1.0", size=300_000)):
        origin.add(item)
    running = daemon(on(small, origin))
    get(running.link(kept))
    running.wait_log(f"stored {kept.filename}")
    running.kill()
    ballast = small / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    running.start()
    late = wheel("late", "1.0", size=300_000)
    for item in (kept, BIG, late):
        assert get(running.link(item)).body == item.data
    ballast.unlink()
    assert get(running.link(late)).body == late.data
    running.wait_log(f"stored {late.filename}")
    assert "Traceback" not in running.log
