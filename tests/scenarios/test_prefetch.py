"""`pypicache prefetch`: what it fetches is there when the mirrors are gone."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import subprocess
import sys
import sysconfig
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.client import get
from tests.daemon import Daemon, config_for
from tests.environment import REPOSITORY, clean
from tests.installers import uv_install
from tests.origin import Origin, Rate
from tests.program import run, run_here
from tests.wheels import sdist, wheel

MakeDaemon = Callable[..., Daemon]

LINUX = wheel("native", "1.0", tag="cp312-cp312-manylinux_2_17_x86_64")
MAC = wheel("native", "1.0", tag="cp312-cp312-macosx_11_0_arm64")


@pytest.fixture
def made(origin: Origin, daemon: MakeDaemon) -> Daemon:
    """A configuration whose cache is empty; nothing runs."""
    for item in (
        wheel("demo", "1.0", requires=["dep>=1"]),
        sdist("demo", "1.0"),
        wheel("demo", "2.0rc1"),
        wheel("dep", "1.5"),
        wheel("dep", "1.0"),
        LINUX,
        MAC,
        sdist("native", "1.0"),
    ):
        origin.add(item, core_metadata=item.name != "dep")
    made = daemon(config_for(origin), start=False)
    made.write_config()
    return made


def prefetched(made: Daemon, *arguments: str | Path, code: int = 0) -> Any:
    done = run_here("prefetch", *arguments, "--json", "-c", made.config_file)
    assert done.returncode == code, done.stderr + done.stdout
    return json.loads(done.stdout)


@pytest.mark.parametrize("running", [False, True], ids=["bare", "daemon"])
def test_requirements_are_resolved_and_installed_without_a_network(
    origin: Origin, made: Daemon, tmp_path: Path, *, running: bool
) -> None:
    """By uv, with what is required in turn; again, nothing is fetched."""
    if running:
        made.start()
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("demo\n")
    said = prefetched(made, "-r", requirements)
    assert (said["fetched"], said["held"], said["missing"]) == (2, 0, {})
    assert prefetched(made, "demo")["held"] == 2
    origin.close()
    made.restart()
    uv_install(tmp_path / "t" / "t", "demo", index_url=made.simple).check()


def test_a_lock_file_is_fetched_for_the_platforms_that_were_named(
    origin: Origin, made: Daemon, tmp_path: Path
) -> None:
    """One wheel for each that has one, the sdist for the others; all files where that is asked for."""
    lock = tmp_path / "requirements.txt"
    lock.write_text("native==1.0\n")
    for_linux = ("--python", "3.12", "--platform", "linux-x86_64")
    assert prefetched(made, lock, *for_linux)["fetched"] == 1
    assert [len(origin.gets(item.filename)) for item in (LINUX, MAC)] == [1, 0]
    said = prefetched(made, lock, *for_linux, "--platform", "macos-arm64", "--platform", "windows-amd64")
    assert (said["fetched"], said["held"]) == (2, 1)
    assert prefetched(made, lock, "--all-files")["held"] == 3


def test_what_cannot_be_had_is_named(origin: Origin, made: Daemon, tmp_path: Path) -> None:
    lock = tmp_path / "requirements.txt"
    lock.write_text(f"demo==9.0\nnever==1.0\ndep==1.5\nnative==1.0 --hash=sha256:{LINUX.sha256}\n")
    said = prefetched(made, lock, "--python", "3.12", "--platform", "windows-amd64", code=1)
    assert said["missing"] == {
        "demo 9.0": "the page lists no file of 9.0",
        "never": "root/pypi has no project never",
        "native 1.0": "no wheel for Python 3.12 on windows-amd64, and no sdist",
    }
    assert said["fetched"] == 1
    done = run(made.folder, "prefetch", "never", "-c", made.config_file)
    assert done.returncode == 1
    assert "never" in done.stderr


@pytest.mark.parametrize("running", [False, True], ids=["bare", "daemon"])
def test_what_the_cache_has_no_room_for_is_named(
    origin: Origin, made: Daemon, tmp_path: Path, *, running: bool
) -> None:
    """A file larger than the cache, and the first of two that push each other out."""
    items = [wheel("big", "1.0", size=6_000_000), *(wheel(f"mid{n}", "1.0", size=3_000_000) for n in (1, 2))]
    for item in items:
        origin.add(item)
    made.config["cache"] |= {"max_size": 5_000_000, "min_free": 0}
    made.write_config()
    if running:
        made.start()
    lock = tmp_path / "requirements.txt"
    lock.write_text("".join(f"{item.name}==1.0\n" for item in items))
    said = prefetched(made, lock, "--at-a-time", "1", code=1)
    big, first, _ = (item.filename for item in items)
    assert set(said["missing"]) == {big, first}
    assert "max_size" in said["missing"][big]
    assert "max_size" in said["missing"][first]
    assert said["fetched"] == 2


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("uv.lock", 'version = 1\n[[package]]\nname = "dep"\nversion = "1.0"\nsource = { registry = "x" }\n'),
        ("pylock.app.toml", 'lock-version = "1.0"\n[[packages]]\nname = "dep"\nversion = "1.0"\n'),
        ("poetry.lock", '[[package]]\nname = "dep"\nversion = "1.0"\n[metadata]\nlock-version = "2.1"\n'),
        ("pdm.lock", '[metadata]\nlock_version = "4.5"\n[[package]]\nname = "dep"\nversion = "1.0"\n'),
    ],
)
def test_lock_files_are_taken_by_r_too(
    origin: Origin, made: Daemon, tmp_path: Path, name: str, text: str
) -> None:
    """As they are pinned, and not resolved: the newest version isn't asked for."""
    lock = tmp_path / name
    lock.write_text(text)
    assert prefetched(made, "-r", lock)["fetched"] == 1
    assert len(origin.gets(wheel("dep", "1.0").filename)) == 1
    assert not origin.gets(wheel("dep", "1.5").filename)


@pytest.mark.parametrize("command", ["prefetch", "export"])
def test_a_lock_file_that_cannot_be_read_is_told_in_a_line(
    made: Daemon, tmp_path: Path, command: str
) -> None:
    made.cache.mkdir(parents=True, mode=0o700)
    lock = tmp_path / "uv.lock"
    lock.write_bytes(b"\xff\xfe")
    words = [lock] if command == "prefetch" else [tmp_path / "a.tar", "--lock", lock]
    done = run_here(command, *words, "-c", made.config_file)
    assert (done.returncode, done.stderr) == (1, f"{lock}: it isn't text in UTF-8\n")


def test_a_requirements_file_as_editors_on_windows_begin_it(made: Daemon, tmp_path: Path) -> None:
    lock = tmp_path / "requirements.txt"
    lock.write_bytes("dep==1.5\r\n".encode("utf-8-sig"))
    assert prefetched(made, lock)["fetched"] == 1


def test_the_newest_of_what_was_used_most(origin: Origin, made: Daemon) -> None:
    """Not of what happened to be used last."""
    made.start()
    for item in [wheel("dep", "1.0")] * 3 + [sdist("demo", "1.0")]:
        assert get(made.link(item)).status == 200
    made.restart()  # what is written behind is written
    said = prefetched(made, "--top", "1")
    assert (said["fetched"], len(origin.gets(wheel("dep", "1.5").filename))) == (1, 1)


@pytest.mark.parametrize("running", [False, True], ids=["bare", "daemon"])
def test_on_a_terminal_one_sees_how_far_it_is(
    origin: Origin, made: Daemon, tmp_path: Path, *, running: bool
) -> None:
    """How much of a large file has come, at which rate, and the time left; pages are counted."""
    big = wheel("big", "1.0", size=6 << 20)
    origin.add(big)
    origin.script(big.filename, Rate(8 << 20))
    lock = tmp_path / "requirements.txt"
    lock.write_text("big==1.0\n")
    if running:
        made.start()
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 120))
    env = clean(tmp_path / "home", {"PYTHONPATH": str(REPOSITORY), "TERM": "xterm"})
    command = [sys.executable, "-m", "pypicache", "prefetch", str(lock), "-c", str(made.config_file)]
    with subprocess.Popen(command, stderr=theirs, stdout=subprocess.DEVNULL, env=env) as process:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # EIO is a terminal's end
            while piece := os.read(ours, 1 << 16):
                shown += piece
        os.close(ours)
    assert process.returncode == 0
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode())
    assert not re.search(r"/[\d?]+ bytes", text), text
    between = re.findall(r"files \W+(\d\.\d)/6\.0 MiB +[\d.]+ .?B/s +\d:\d\d:\d\d", text)
    assert any(0 < float(amount) < 6 for amount in between), text


def test_pip_resolves_where_there_is_no_uv(made: Daemon, tmp_path: Path) -> None:
    """Looked for beside the running Python, then on PATH."""
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.symlink_to(Path(sys.executable).resolve())
    paths = [str(REPOSITORY), sysconfig.get_path("purelib")]
    env = clean(tmp_path / "home", {"PYTHONPATH": os.pathsep.join(paths), "PATH": str(python.parent)})
    command = [str(python), "-m", "pypicache", "prefetch", "demo", "--json", "-c", str(made.config_file)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["fetched"] == 2


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], 2),
        (["x", "--index", "none"], 2),
        (["none.lock"], 1),
        (["x", "--platform", "amiga"], 1),
        (["--top", "0"], 2),
    ],
)
def test_a_prefetch_that_means_nothing_is_refused(tmp_path: Path, arguments: list[str], code: int) -> None:
    done = run(tmp_path, "prefetch", *arguments)
    assert (done.returncode, bool(done.stderr)) == (code, True)
