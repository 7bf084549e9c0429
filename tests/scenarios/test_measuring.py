"""`pypicache mirrors`: the real command, and mirrors that are fast, slow, behind, half-hearted, hostile or dead."""

from __future__ import annotations

import json
import pty
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from pypicache.commands.comparing import others
from pypicache.config.schema import Mirror
from pypicache.config.wellknown import NAMES, address
from pypicache.measuring import compare
from pypicache.simple.model import ProjectName
from tests.environment import REPOSITORY, clean
from tests.origin import Action, IgnoreRange, Origin, Rate, Redirect, Request, Status
from tests.program import run
from tests.wheels import wheel

MakeOrigin = Callable[..., Origin]
DEMO = ProjectName("demo")
SECRET = "hunter2"
NOW = datetime.now(tz=UTC)
OLD, NEW = (f"{NOW - timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}" for hours in (500, 5))
FIRST, SECOND = wheel("demo", "1.0", size=400_000), wheel("demo", "2.0", size=300_000)


def command(folder: Path, config: Mapping[str, Any], *arguments: str) -> subprocess.CompletedProcess[str]:
    """`pypicache mirrors` with that configuration."""
    file = folder / "pypicache.yaml"
    file.write_text(yaml.safe_dump(dict(config), sort_keys=False))
    home = str(folder / "home")
    return run(folder, "mirrors", "-c", file, "--project", "demo", *arguments, HOME=home, COLUMNS="200")


def mirrors(*origins: Origin, **settings: Any) -> dict[str, Any]:
    entries = [{"url": origin.simple, "name": origin.name, **settings} for origin in origins]
    return {"mirrors": entries}


def file(request: Request) -> bool:
    return request.path.endswith(".whl")


def not_as_curl(request: Request) -> bool:
    return not request.headers["user-agent"].startswith("curl/")


SCRIPTS: dict[str, tuple[Callable[[Request], bool], Action] | None] = {
    "slow": (lambda request: True, Rate(500_000)),
    "fast": None,
    "behind": None,
    "rangeless": (file, IgnoreRange()),
    "bare": None,
    "forgetful": (lambda request: request.path.endswith(".metadata"), Status(404)),
    "firewall": (not_as_curl, Status(403)),
    "broken": (file, Status(500)),
    "inward": (lambda request: True, Redirect("http://169.254.169.254/simple/demo/")),
    "dead": None,
}


def test_mirrors_are_told_apart_and_put_in_order(origins: MakeOrigin, tmp_path: Path) -> None:
    made = {name: origins(name=name, latency=0.2 if name == "slow" else 0.0) for name in SCRIPTS}
    for name, one in made.items():
        one.add(FIRST, upload_time=OLD, core_metadata=name != "bare")
        if name != "behind":
            one.add(SECOND, upload_time=NEW, core_metadata=name != "bare")
        if (script := SCRIPTS[name]) is not None:
            one.script(*script, repeat=True)
    made["dead"].close()
    done = command(tmp_path, mirrors(*made.values()), "--json")
    assert (done.returncode, done.stderr) == (0, "")
    said = json.loads(done.stdout)
    rows = {mirror["name"]: mirror for mirror in said["mirrors"]}

    assert {name for name, row in rows.items() if not row["reachable"]} == {"dead"}
    assert {name for name, row in rows.items() if not row["usable"]} == {"firewall", "inward", "dead"}
    assert {name for name, row in rows.items() if row["ranges"] is False} == {"rangeless"}
    assert {name for name, row in rows.items() if row["sidecars"] == "no"} == {"bare"}
    assert {name for name, row in rows.items() if row["sidecars"] == "broken"} == {"forgetful"}
    assert {name for name, row in rows.items() if row["missing"]} == {"behind"}
    assert 4.9 * 3600 < rows["behind"]["behind"] < 5.9 * 3600  # it grows while other tests run
    assert rows["slow"]["first_byte"] > 0.2
    assert rows["slow"]["bytes_per_second"] < 1e6 < rows["fast"]["bytes_per_second"]
    assert rows["firewall"]["errors"][0].startswith("403 Forbidden")
    assert "User-Agent" in rows["firewall"]["errors"][0]
    assert rows["broken"]["errors"] == [f"{FIRST.filename}: 500 Internal Server Error"]
    assert "refused" in rows["inward"]["errors"][0]
    assert rows["dead"]["errors"] == ["connection refused"]

    order = [place["name"] for place in said["suggested"]]
    serves = {place["name"]: place["serves"] for place in said["suggested"]}
    assert sorted(order) == sorted(SCRIPTS.keys() - {"firewall", "inward", "dead"})
    assert order.index("slow") == len(order) - 1
    assert (serves["behind"], serves["broken"], serves["fast"]) == ("files", "pages", "both")
    suggestion = yaml.safe_load(said["yaml"])
    assert {entry["name"] for entry in suggestion["mirrors"]} == set(order)
    check = [sys.executable, "-m", "pypicache", "check", "-c", str(tmp_path / "new.yaml")]
    (tmp_path / "new.yaml").write_text(said["yaml"])
    assert subprocess.run(check, cwd=REPOSITORY, capture_output=True, check=False).returncode == 0


def test_for_people(origins: MakeOrigin, tmp_path: Path) -> None:
    """A table, what went wrong a line each, a line for the configuration; no bar where nobody looks, and no secret."""
    good, bad = origins(name="good"), origins(name="bad")
    good.add(FIRST)
    bad.script(lambda request: True, Status(403, {"X": "y"}, f"{SECRET}\x1b[31m\n".encode()), repeat=True)
    config = mirrors(good, bad, username="me", password=SECRET, proxy=None)
    done = command(tmp_path, config)
    assert (done.returncode, done.stderr) == (0, "")
    assert good.requests[0].headers["authorization"].startswith("Basic ")
    assert done.stdout.splitlines()[0].split() == [
        *("mirror", "first", "byte", "throughput", "behind", "sidecars", "ranges"),
    ]
    assert "bad: 403 Forbidden" in done.stdout
    assert f"    mirrors: [{{url: '{good.simple}', name: good}}]\n" in done.stdout
    assert "with the other settings that good, bad has now" in done.stdout
    assert done.stdout.endswith("Left out: bad\n")
    assert SECRET not in done.stdout + done.stderr
    assert "\x1b" not in done.stdout


async def test_a_mirror_that_drips_is_not_waited_for(origin: Origin) -> None:
    """What comes within some seconds is enough to tell."""
    origin.add(wheel("demo", "1.0", size=20_000_000))
    origin.script(file, Rate(1_000_000), repeat=True)
    steps: list[str] = []
    mirror = Mirror(name="origin", url=origin.simple)
    compared = await compare([mirror], [DEMO], step=steps.append, file_seconds=0.5)
    [measured] = compared.mirrors
    assert measured.findings.rate is not None
    assert 3e5 < measured.findings.rate < 3e6
    assert origin.gets(FIRST.filename)[0].bytes_sent < 5e6
    assert steps == ["origin", "origin"]


def test_a_bar_is_for_terminals(origin: Origin, tmp_path: Path) -> None:
    origin.add(FIRST)
    (tmp_path / "pypicache.yaml").write_text(yaml.safe_dump(mirrors(origin)))
    ours, theirs = pty.openpty()
    with open(ours, "rb", buffering=0) as terminal, open(theirs, "wb", buffering=0) as error:  # noqa: PTH123 - descriptors
        done = subprocess.run(
            [sys.executable, "-m", "pypicache", "mirrors", "-c", "pypicache.yaml", "--project", "demo"],
            env=clean(tmp_path / "home", {"PYTHONPATH": str(REPOSITORY), "TERM": "xterm"}),
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=error,
            timeout=60,
            check=False,
        )
        shown = terminal.read(65536)
    assert done.returncode == 0
    assert b"2/2" in shown
    assert b"2/2" not in done.stdout


def test_nobody_answers(origin: Origin, tmp_path: Path) -> None:
    origin.close()
    done = command(tmp_path, mirrors(origin))
    assert done.returncode == 1
    assert "origin: connection refused" in done.stdout
    assert "Left out: origin" in done.stdout


def test_its_settings_count_as_the_daemons_do(origins: MakeOrigin, tmp_path: Path) -> None:
    """A User-Agent of the mirror's own, and its egress proxy."""
    careful = origins(name="careful")
    careful.add(FIRST)
    careful.script(not_as_curl, Status(403), repeat=True)
    entry = {"url": careful.simple, "name": "careful", "headers": {"User-Agent": "curl/8.0"}}
    away = {"url": careful.simple, "name": "away", "proxy": "http://127.0.0.1:1"}
    said = json.loads(command(tmp_path, {"mirrors": [entry, away]}, "--json").stdout)
    assert [row["usable"] for row in said["mirrors"]] == [True, False]
    assert said["keep_settings_of"] == ["careful", "away"]


def test_all_means_the_well_known_ones_that_are_not_configured() -> None:
    """Neither by name nor by address; nobody is asked here."""
    known = list(NAMES)
    taken = (Mirror(name="tuna", url="https://m.example.org/"), Mirror(name="mine", url=address("aliyun")))
    assert [mirror.name for mirror in others(taken)] == [n for n in known if n not in {"tuna", "aliyun"}]


@pytest.mark.parametrize(
    ("config", "arguments", "message"),
    [
        ({"mirrors": ["tuna"]}, ["--index", "nowhere"], "there is no index nowhere in the configuration\n"),
        ({"mirrors": ["tuna"]}, ["--project", "-"], "--project takes at most 20 project names\n"),
        (
            {"indexes": {"dev": {"layers": ["a"]}, "a": {"mirrors": ["tuna"]}}},
            [],
            "dev has no mirrors of its own: give one of its layers with --index (a)\n",
        ),
        (
            {"indexes": {"a": {"mirrors": ["tuna"], "offline": True}}},
            [],
            "a is offline: its mirrors are never asked\n",
        ),
    ],
)
def test_what_cannot_be_measured(
    tmp_path: Path, config: dict[str, Any], arguments: list[str], message: str
) -> None:
    done = command(tmp_path, config, *arguments)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", message)
