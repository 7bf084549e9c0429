"""The units, read by systemd itself. No manager runs: `systemd --test` and `systemd-analyze` read units as it would."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pypicache.config.schema import Listen
from tests.environment import REPOSITORY
from tests.generate.deployments import LOOPBACK, NASTY, deployment, files, text, write_text

UNITS = ("pypicache.service", "pypicache.socket")


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze isn't installed")
    return subprocess.run(
        [program, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def exposure(service: Path) -> float:
    """What `systemd-analyze security` makes of the unit: 0 is the best, 10 the worst."""
    done = analyze("security", "--offline=true", "--no-pager", str(service))
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    return float(found[1])


def understood(unit: Path) -> list[tuple[str, str]]:
    """What systemd understands of the unit: its dump, name and value a line. The folder has all of the units there are."""
    (unit.parent / "basic.target").write_text("[Unit]\nDefaultDependencies=no\n")
    program = "/lib/systemd/systemd"
    if not Path(program).exists():
        pytest.skip("systemd isn't installed")
    done = subprocess.run(
        [program, "--test", "--user", f"--unit={unit.name}", "--no-pager"],
        env={name: str(unit.parent) for name in ("SYSTEMD_UNIT_PATH", "XDG_RUNTIME_DIR", "HOME")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        # It refuses to be root's.
        user="nobody" if os.geteuid() == 0 else None,
        cwd="/",
    )
    _, found, dump = done.stdout.partition(f"-> Unit {unit.name}:")
    assert found, done.stdout + done.stderr
    dump = dump.partition("-> Unit ")[0]
    return [(name.strip(), value) for line in dump.splitlines() for name, _, value in [line.partition(": ")]]


VARIANTS: dict[str, dict[str, Any]] = {
    "the machine's own": {},
    "with a file and accounts": {"configuration": Path("/etc/pypicache/pypicache.yaml"), "accounts": True},
    "with everything": {
        "configuration": Path("/etc/pypicache/pypicache.yaml"),
        "accel_group": "www-data",
        "movable": False,
        "cache": Path("/srv/cache"),
        "log_file": Path("/var/log/pypicache/log"),
        "listen": (LOOPBACK, Listen(host="::1", port=80), Listen(port=8080), Listen(unix=Path("/run/p/s"))),
    },
}


@pytest.mark.parametrize("facts", VARIANTS.values(), ids=VARIANTS)
def test_systemd_accepts_the_units_and_finds_little_exposed(tmp_path: Path, facts: dict[str, Any]) -> None:
    program = tmp_path / "pypicache"
    program.symlink_to(sys.executable)
    for unit in UNITS:
        write_text(tmp_path, unit, command=(str(program),), **facts)
    done = analyze("verify", "--man=no", *(str(tmp_path / unit) for unit in UNITS))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert exposure(tmp_path / "pypicache.service") <= 1.5


def test_the_units_of_the_repository_are_those_of_the_defaults() -> None:
    for unit in UNITS:
        assert (REPOSITORY / "systemd" / unit).read_text() == text(unit)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can use."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        yield folder


@pytest.mark.parametrize(("name", "before"), [("a b%h;c", ""), (NASTY, "/usr/bin/env ")])
def test_paths_arrive_as_they_are_whatever_is_in_them(open_folder: Path, name: str, before: str) -> None:
    """Spaces, per cent and dollar signs; quotes, which systemd doesn't take in the name of a program."""
    path = Path("/srv", name)
    service = write_text(
        open_folder,
        "pypicache.service",
        command=(str(path / "bin"), "-m", "pypicache"),
        configuration=path / "pypicache.yaml",
        accounts=True,
        movable=False,
        cache=path / "cache",
        log_file=path / "logs" / "log",
    )
    facts = understood(service)
    command = next(value for name, value in facts if name == "Command Line")
    assert (
        re.sub(r'\\([\\"$`])', r"\1", command)
        # Variables are looked for when it's started: `$$` is what an argument still needs then.
        == f'{before}"{path}/bin" -m pypicache serve -c "{path}/pypicache.yaml"'.replace("$", "$$")
    )
    writable = [value for name, value in facts if name == "ReadWritePaths"]
    assert writable == [f"-{path}/cache {path} {path}/logs"]


def test_the_service_notifies_is_watched_and_is_given_its_socket(tmp_path: Path) -> None:
    unit = text("pypicache.service").splitlines()
    assert {
        "Type=notify",
        "WatchdogSec=30",
        "ExecReload=/bin/kill -HUP $MAINPID",
        "Sockets=pypicache.socket",
    } <= {*unit}
    assert "TimeoutStopSec=75" in unit
    assert "TimeoutStopSec=136" in text("pypicache.service", shutdown_timeout=60.5).splitlines()


def test_a_home_is_seen_by_its_owner_read_only() -> None:
    """After `uv tool install`, the program is in somebody's home, and nobody else can be sure to get there."""
    cache = Path("/home/me/.cache/pypicache")
    own = text("pypicache.service", home=Path("/home/me"), home_of="me", cache=cache).splitlines()
    assert {"User=me", "ProtectHome=read-only", f"ReadWritePaths=-{cache}"} <= set(own)
    assert not any(line.startswith("CacheDirectory=") for line in own)
    assert not any(line.startswith("ConfigurationDirectory=") for line in own)
    system = text("pypicache.service").splitlines()
    assert {"User=pypicache", "ProtectHome=yes", "ConfigurationDirectory=pypicache"} <= set(system)


def test_only_what_must_be_written_can_be() -> None:
    path = Path("/etc/pypicache/pypicache.yaml")

    def writable(**facts: Any) -> list[str]:
        lines = text("pypicache.service", configuration=path, **facts).splitlines()
        return [line for line in lines if re.match(r"(ReadWritePaths|CacheDirectory|LogsDirectory)=", line)]

    assert writable() == ["CacheDirectory=pypicache"]
    assert writable(accounts=True) == ["CacheDirectory=pypicache", "ReadWritePaths=/etc/pypicache"]
    assert writable(movable=False, cache=Path("/srv/c")) == ["ReadWritePaths=-/srv/c"]
    assert writable(movable=False, cache=Path("/var/cache/p/q")) == ["CacheDirectory=p/q"]
    assert writable(log_file=Path("/var/log/p/x")) == ["CacheDirectory=pypicache", "LogsDirectory=p"]
    assert writable(log_file=Path("/var/log/x")) == ["CacheDirectory=pypicache", "ReadWritePaths=/var/log"]


@pytest.mark.parametrize(
    ("workers", "tasks"), [(1, 256), (8, 2048), (0, 16384)], ids=["one", "eight", "auto"]
)
def test_every_worker_has_room_for_its_threads(workers: int, tasks: int) -> None:
    assert f"\nTasksMax={tasks}\n" in text("pypicache.service", workers=workers)


def test_stored_files_can_be_given_to_the_group_that_sends_them() -> None:
    unit = text("pypicache.service", accel_group="web").splitlines()
    assert {"Group=web", "CacheDirectoryMode=0710", "SystemCallFilter=@chown"} <= set(unit)
    assert not {"Group=web", "SystemCallFilter=@chown"} & set(text("pypicache.service").splitlines())


@pytest.mark.parametrize(
    ("listen", "streams"),
    [
        ([LOOPBACK], ["127.0.0.1:3141"]),
        ([Listen(port=80), Listen(host="::1", port=81)], ["80", "[::1]:81"]),
        ([Listen(host="localhost", port=80)], ["127.0.0.1:80"]),
        ([Listen(unix=Path("/run/a b%/s"))], ["/run/a b%%/s"]),
        ([Listen(host="cache.example", port=80)], None),
    ],
)
def test_the_socket_has_every_address(listen: list[Listen], streams: list[str] | None) -> None:
    """Systemd takes no host names; then there is no socket unit, and the service doesn't name one."""
    found = files(deployment(listen=tuple(listen)))
    if streams is None:
        assert "pypicache.socket" not in found
        assert "pypicache.socket" not in found["pypicache.service"].text
        return
    lines = found["pypicache.socket"].text.splitlines()
    assert [
        line.removeprefix("ListenStream=") for line in lines if line.startswith("ListenStream=")
    ] == streams


def test_the_user_is_one_that_systemd_makes(tmp_path: Path) -> None:
    program = shutil.which("systemd-sysusers")
    if program is None:
        pytest.skip("systemd-sysusers isn't installed")
    (tmp_path / "etc").mkdir()
    conf = write_text(tmp_path, "pypicache.sysusers")
    subprocess.run([program, f"--root={tmp_path}", str(conf)], check=True, timeout=60, capture_output=True)
    entry = (tmp_path / "etc" / "passwd").read_text().strip().split(":")
    assert (entry[0], entry[5]) == ("pypicache", "/var/cache/pypicache")
    assert entry[6].endswith("nologin")
