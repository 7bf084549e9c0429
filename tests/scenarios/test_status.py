"""What a daemon says of itself while real requests come: `/healthz`, `/readyz`, `/-/status`."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.client import ByHand, get
from tests.daemon import Daemon, config_for
from tests.environment import REPOSITORY
from tests.origin import Action, Gate, Origin, ResetAt, StallAt, Status
from tests.program import run
from tests.wheels import wheel

MakeDaemon = Callable[..., Daemon]
MakeOrigin = Callable[..., Origin]

SECRET = "hidden-word"


def status(daemon: Daemon) -> Any:
    answer = get(f"{daemon.url}/-/status")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.headers["cache-control"] == "no-store"
    assert SECRET not in answer.text
    return answer.json()


def test_what_requests_come_to(origin: Origin, daemon: MakeDaemon) -> None:
    """Counted by page and file, held or not; and what a mirror sent is told from what clients got."""
    item = wheel("demo", "1.0", size=100_000)
    origin.add(item)
    mirror = {"username": "me", "password": SECRET}
    made = daemon(config_for(origin, mirror=mirror, index={"web_url": "https://example.org/{name}/"}))
    for _ in range(3):
        get(made.simple + "demo/")
    link = made.link(item)
    get(link)
    get(link)
    get(made.simple + "nope/")
    said = status(made)
    totals = said["totals"]
    assert (totals["page_hits"], totals["page_misses"]) == (3, 2)
    assert (totals["file_hits"], totals["file_misses"]) == (1, 1)
    assert totals["hit_rate"] == round(4 / 7, 4)
    assert len(item.data) < totals["received"] < len(item.data) + 20_000
    assert totals["saved"] > len(item.data)
    assert totals["sent"] > 2 * len(item.data)
    assert sum(minute["requests"] for minute in said["traffic"]) >= totals["requests"]
    assert said["wanted"] == [{"index": "root/pypi", "project": "demo", "requests": 4}]
    (index,) = said["indexes"]
    assert (index["name"], index["default"], index["web_url"]) == (
        "root/pypi",
        True,
        "https://example.org/{name}/",
    )
    (mirror_said,) = index["mirrors"]
    assert mirror_said["url"] == origin.simple
    assert (mirror_said["health"], mirror_said["failures"]) == ("up", 0)
    assert mirror_said["latency"] > 0
    disk = said["disk"]
    assert disk["free"] > 0
    assert (disk["files"], disk["used"] > len(item.data)) == (1, True)
    assert said["unusable"] is None
    assert said["version"]


def test_a_download_in_flight_is_told_with_its_readers(origin: Origin, daemon: MakeDaemon) -> None:
    item = wheel("demo", "1.0", size=2_000_000)
    origin.add(item)
    made = daemon(config_for(origin))
    link = made.link(item)
    gate = Gate()
    origin.script(item.filename, StallAt(1_000_000, gate))
    first, second = ByHand(link), ByHand(link)
    first.head()
    second.head()
    first.read(500_000)
    (download,) = status(made)["downloads"]
    assert (download["filename"], download["size"], download["readers"]) == (
        item.filename,
        len(item.data),
        2,
    )
    assert 500_000 < download["bytes"] < len(item.data)
    assert (download["mirrors"], download["state"]) == (["origin"], "fill")
    gate.open()
    first.read(len(item.data) - 500_000)
    assert status(made)["downloads"] == []
    first.close()
    second.close()


def test_a_mirror_that_is_down_and_how_it_failed(origins: MakeOrigin, daemon: MakeDaemon) -> None:
    first, second = origins(), origins()
    first.add(wheel("demo", "1.0"))
    second.add(wheel("demo", "1.0"))
    made = daemon(config_for(first, second))
    first.close()
    assert get(made.simple + "demo/").status == 200
    said = status(made)
    down, up = said["indexes"][0]["mirrors"]
    assert (down["health"], down["pages"]["state"], down["failures"] > 0) == ("down", "open", True)
    assert down["last_error"]
    assert abs(down["last_error_at"] - said["now"]) < 30
    assert (up["health"], up["last_error"]) == ("up", "")
    (error,) = said["errors"]
    assert (error["what"], error["where"], error["subject"]) == ("MirrorFailed", "origin", "demo")


@pytest.mark.parametrize("fault", [Status(500), Status(404), ResetAt(0)], ids=["refused", "absent", "reset"])
def test_a_failure_over_a_file_is_one_event(origins: MakeOrigin, daemon: MakeDaemon, fault: Action) -> None:
    """As many as there were requests that failed, in the metrics, under the last errors and in the log."""
    first, second = origins(), origins()
    item = wheel("demo", "1.0")
    for each in (first, second):
        each.add(item)
    first.script(item.filename, fault, repeat=True)
    made = daemon(config_for(first, second))
    assert get(made.link(item)).body == item.data
    asked = len(first.gets(item.filename))
    assert asked
    counted = re.search(r'pypicache_events_total{event="MirrorFailed"} (.*)', get(f"{made.url}/metrics").text)
    assert counted is not None
    assert asked == float(counted[1]) == sum(each["count"] for each in status(made)["errors"])
    assert made.log.count(f"mirror failed for {item.filename}") == asked


def test_metrics_of_real_requests(origin: Origin, daemon: MakeDaemon) -> None:
    """No name that a client made up is in them, nor any secret."""
    item = wheel("demo", "1.0", size=50_000)
    origin.add(item)
    made = daemon(config_for(origin, mirror={"username": "me", "password": SECRET}))
    link = made.link(item)
    get(link)
    get(link)
    for number in range(20):
        assert get(f"{made.simple}made-up-{number}/").status == 404
        assert get(f"{made.url}/made-up-{number}").status == 404
    told = get(f"{made.url}/metrics")
    assert told.status == 200
    assert told.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert told.headers["cache-control"] == "no-store"
    assert "made-up" not in told.text
    assert SECRET not in told.text
    for line in (
        'pypicache_requests_total{cache="hit",index="root/pypi",kind="file",status="200"} 1.0',
        'pypicache_requests_total{cache="absent",index="root/pypi",kind="page",status="404"} 20.0',
        f'pypicache_sent_bytes_total{{index="root/pypi",source="cache"}} {len(item.data)}.0',
        f'pypicache_mirror_received_bytes_total{{index="root/pypi",lane="files",mirror="origin"}} {len(item.data)}.0',
        'pypicache_mirror_requests_total{index="root/pypi",lane="pages",mirror="origin",outcome="absent"} 20.0',
        'pypicache_mirror_breaker{index="root/pypi",lane="pages",mirror="origin"} 0.0',
        f"pypicache_stored_bytes_total {len(item.data)}.0",
        "pypicache_ready 1.0",
    ):
        assert line in told.text.splitlines()


def test_layers_and_what_they_hide(origins: MakeOrigin, daemon: MakeDaemon) -> None:
    corp, public = origins(name="corp"), origins(name="public")
    corp.add(wheel("demo", "1.0"))
    public.add(wheel("demo", "1.0"))
    config = config_for(public)
    config["indexes"]["corp"] = {"mirrors": [corp.simple]}
    config["indexes"]["dev"] = {"layers": ["corp", "root/pypi"]}
    config["indexes"]["corp"]["ttl"] = 0
    made = daemon(config)
    for index in ("root/pypi", "dev", "dev"):
        get(f"{made.url}/{index}/simple/demo/")
    said = status(made)
    dev = next(index for index in said["indexes"] if index["name"] == "dev")
    assert dev["layers"] == [{"index": "corp", "owns": []}, {"index": "root/pypi", "owns": []}]
    assert said["shadowed"] == [{"index": "dev", "project": "demo", "hidden": ["root/pypi"]}]


def command(daemon: Daemon, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`pypicache status`, with the daemon's own configuration."""
    home = str(daemon.folder / "home")
    return run(REPOSITORY, "status", "-c", daemon.config_file, *arguments, HOME=home, COLUMNS="220")


def test_the_command(origins: MakeOrigin, daemon: MakeDaemon, tmp_path: Path) -> None:
    """For people and for programs, over whichever address answers; and without a daemon."""
    first, second = origins(), origins()
    item = wheel("demo", "1.0", size=2_000_000)
    for origin in (first, second):
        origin.add(item)
    gate = Gate()
    second.script(item.filename, StallAt(1_000_000, gate))
    made = daemon(config_for(first, second, mirror={"username": "me", "password": SECRET}), start=False)
    path = tmp_path / "s"
    made.config["server"]["listen"] = ["127.0.0.1:0", f"unix:{path}"]
    made.start()
    first.close()
    link = made.link(item)
    get(made.simple + "demo/")
    reader = ByHand(link)
    reader.head()
    reader.read(500_000)
    shown = command(made)  # nobody can connect to port 0, so it is the Unix socket that answers
    assert (shown.returncode, shown.stderr) == (0, "")
    for part in (
        "up for",
        "50.0 % from the cache (1 of 2)",
        "root/pypi (default)",
        "down",
        item.filename,
        "demo",
        "free of",
    ):
        assert part in shown.stdout, shown.stdout
    as_json = command(made, "--json")
    assert json.loads(as_json.stdout)["downloads"][0]["filename"] == item.filename
    assert SECRET not in shown.stdout + as_json.stdout
    gate.open()
    reader.close()
    made.stop()
    alone = command(made)
    assert (alone.returncode, alone.stdout) == (1, "")
    assert alone.stderr.startswith("no daemon answers at 127.0.0.1:0: ")
    assert f"no daemon answers at unix:{path}: " in alone.stderr


def test_ready_until_the_cache_is_gone(origin: Origin, daemon: MakeDaemon) -> None:
    """`/healthz` looks at no disk, and mirrors count for neither."""
    made = daemon(config_for(origin))
    origin.close()
    ready = get(f"{made.url}/readyz")
    assert (ready.status, ready.text, ready.headers["cache-control"]) == (200, "ok\n", "no-store")
    shutil.rmtree(made.cache)
    while (gone := get(f"{made.url}/readyz")).status == 200:
        pass  # it was looked at within the last second
    assert (gone.status, gone.text) == (
        503,
        "not ready: the cache directory can't be written to: No such file or directory\n",
    )
    assert int(gone.headers["retry-after"]) > 0
    assert get(f"{made.url}/healthz").status == 200
    assert status(made)["unusable"]
