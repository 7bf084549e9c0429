"""Why an answer is what it is: `/-/explain/…` and `pypicache explain` over real daemons."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from tests.client import get
from tests.daemon import Daemon, config_for
from tests.environment import REPOSITORY
from tests.origin import Body, Both, Origin, Status
from tests.program import run
from tests.waiting import until
from tests.wheels import wheel

MakeDaemon = Callable[..., Daemon]
MakeOrigin = Callable[..., Origin]

SECRET = "hidden-word"


def told(daemon: Daemon, name: str = "demo", index: str = "root/pypi") -> Any:
    answer = get(f"{daemon.url}/-/explain/{index}/{name}")
    assert (answer.status, answer.headers["cache-control"]) == (200, "no-store")
    assert SECRET not in answer.text
    return answer.json()


def command(
    daemon: Daemon, *arguments: str, listen: list[str] | None = None
) -> subprocess.CompletedProcess[str]:
    """`pypicache explain`, with the daemon's own configuration, which may say that it listens elsewhere."""
    daemon.config["server"]["listen"] = listen or daemon.url.removeprefix("http://")
    daemon.write_config()
    home = str(daemon.folder / "home")
    return run(REPOSITORY, "explain", "-c", daemon.config_file, *arguments, HOME=home, COLUMNS="200")


@pytest.fixture
def made(origin: Origin, daemon: MakeDaemon) -> Daemon:
    origin.add(wheel("demo", "1.0"))
    mirror = {"username": "me", "password": SECRET}
    return daemon(config_for(origin, mirror=mirror, index={"ttl": "10m", "negative_ttl": 0}))


def test_a_page_from_before_it_is_asked_for_until_the_mirror_is_gone(origin: Origin, made: Daemon) -> None:
    asked = origin.count()
    before = told(made)
    assert (before["standing"], origin.count()) == ("unknown", asked)
    assert get(made.simple + "demo/").status == 200
    held = told(made)
    assert (held["standing"], held["freshness"], held["mirror"], held["files"]) == (
        "held",
        "fresh",
        "origin",
        1,
    )
    assert held["fresh_until"] - held["checked_at"] == 600
    assert held["usable_until"] > held["fresh_until"]
    assert held["etag"]
    assert held["mirrors"][0]["pages"] == {"state": "closed", "errors": 0, "wait": 0.0}
    origin.close()
    assert get(made.simple + "other/").status == 503
    down = told(made)["mirrors"][0]["pages"]
    assert (down["state"], down["wait"] > 0) == ("open", True)


def test_why_a_404(origin: Origin, made: Daemon) -> None:
    assert get(made.simple + "other/").status == 404
    said = told(made, "other")
    assert (said["standing"], said["denied_by"], said["denied_at"]) == (
        "denied",
        ["origin"],
        said["checked_at"],
    )
    assert "503 if none answers" in said["answer"]


def test_why_files_are_hidden(origin: Origin, made: Daemon) -> None:
    status = {"project-status": {"status": "quarantined", "reason": "malware"}}
    origin.project("demo", extra=status, api_version="1.4")
    get(made.simple + "demo/")
    assert told(made)["hidden"] == "demo is quarantined by its index: malware"


def about(daemon: Daemon, filename: str) -> Any:
    return told(daemon, f"demo?file={filename}")["file"]


def test_why_a_file_is_handed_out_or_not(origin: Origin, daemon: MakeDaemon) -> None:
    """Listed, taken away, never heard of; also when its project or the mirror is gone."""
    kept, gone = wheel("demo", "1.0"), wheel("demo", "2.0")
    for each in (kept, gone):
        origin.add(each)
    running = daemon(config_for(origin, index={"ttl": 0, "patience": "10s"}))
    before = about(running, kept.filename)
    assert before == {"filename": kept.filename, "answer": "the page is asked for, which decides"}
    link = running.link(gone)
    assert get(link).status == 200
    until(lambda: "links" in about(running, gone.filename))  # a link is remembered behind the answer
    listed = about(running, gone.filename)
    assert (listed["listed_by"], listed["size"], listed["links"]) == ("origin", len(gone.data), 1)
    assert listed["digests"] == [f"sha256:{gone.sha256}"]
    origin.remove_file(gone.filename)
    get(running.simple + "demo/")
    assert get(link).status == 404
    removed = about(running, gone.filename)
    assert removed["answer"] == f"no: {gone.filename} is no longer listed by root/pypi"
    assert removed["digests"] == [f"sha256:{gone.sha256}"]
    assert "listed_by" not in removed
    assert about(running, "demo-9.tar.gz")["answer"].startswith("the held page doesn't list it")
    assert get(f"{running.url}/-/explain/root/pypi/demo?file=a/b").status == 400
    shown = command(running, "demo", "--file", gone.filename)
    assert shown.returncode == 0, shown.stderr
    assert f"{gone.filename}: no: {gone.filename} is no longer listed by root/pypi" in shown.stdout


def test_who_took_a_file_away(origins: MakeOrigin, daemon: MakeDaemon) -> None:
    """While a replica that lags still lists it."""
    first, lagging = origins(name="first"), origins(name="lagging")
    kept, gone = wheel("demo", "1.0"), wheel("demo", "2.0")
    for each in (first, lagging):
        each.add(kept)
        each.add(gone)
    running = daemon(config_for(first, lagging, index={"ttl": 0, "patience": "10s"}))
    get(running.simple + "demo/")
    first.remove_file(gone.filename)
    get(running.simple + "demo/")
    assert told(running)["withdrawn"] == {gone.filename: "first"}
    assert about(running, gone.filename)["answer"] == "404: first took it off the project's page"
    assert f"{gone.filename}, by first" in command(running, "demo").stdout


def test_which_layer_answers(origins: MakeOrigin, daemon: MakeDaemon) -> None:
    corp, public = origins(name="corp"), origins(name="public")
    public.add(wheel("demo", "1.0"))
    config = config_for(public)
    config["indexes"]["corp"] = {"mirrors": [corp.simple]}
    config["indexes"]["dev"] = {"layers": [{"index": "corp", "owns": ["acme-*"]}, "root/pypi"]}
    config["indexes"]["both"] = {"layers": ["corp", "root/pypi"]}
    made = daemon(config)
    assert get(f"{made.url}/both/simple/demo/").status == 200
    said = told(made, index="both")
    assert [(layer["index"], layer["standing"]) for layer in said["layers"]] == [
        ("corp", "denied"),
        ("root/pypi", "held"),
    ]
    assert said["answer"].startswith("root/pypi decides: the held page")
    owned = told(made, "acme-app", "dev")
    assert [layer["may_be_asked"] for layer in owned["layers"]] == [True, False]
    assert [each["index"] for each in owned["below"]] == ["corp"]
    shown = command(made, "acme-app", "--index", "dev")
    assert shown.returncode == 0, shown.stderr
    assert "acme-app on dev" in shown.stdout
    assert "never" in shown.stdout


def test_the_command(origin: Origin, made: Daemon) -> None:
    """For people, for programs, and without a daemon."""
    origin.script("/simple/other/", Status(404))
    get(made.simple + "demo/")
    get(made.simple + "other/")
    shown = command(made, "demo")
    assert (shown.returncode, shown.stderr) == (0, "")
    for part in ("demo on root/pypi: the held page, without asking", "answered by", "closed"):
        assert part in shown.stdout
    assert "no such project, said origin at" in command(made, "other").stdout
    assert json.loads(command(made, "demo", "--json").stdout)["standing"] == "held"
    assert SECRET not in shown.stdout
    assert command(made, "demo", "--index", "nowhere").returncode == 2
    refused = command(made, "-x-", "--index", "root/pypi")
    assert refused.returncode != 0
    made.stop()
    alone = command(made, "demo")
    assert (alone.returncode, alone.stdout) == (1, "")
    assert alone.stderr.startswith("no daemon answers at 127.0.0.1:")


def test_the_command_tries_each_address(origin: Origin, made: Daemon) -> None:
    """A socket that isn't there, a port where nobody is, one where somebody else is; all are told when none will do."""
    get(made.simple + "demo/")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = f"127.0.0.1:{closed.getsockname()[1]}"
    origin.script("/-/explain/root/pypi/demo", Both(Status(200), Body(b"<html>")), repeat=True)
    wrong = [f"unix:{made.folder}/none.sock", nobody, origin.url.removeprefix("http://")]
    found = command(made, "demo", "--json", listen=[*wrong, made.url.removeprefix("http://")])
    assert (found.returncode, json.loads(found.stdout)["standing"]) == (0, "held")
    lost = command(made, "demo", listen=wrong)
    assert (lost.returncode, lost.stdout) == (1, "")
    assert lost.stderr.splitlines() == [
        f"no daemon answers at {wrong[0]}: No such file or directory",
        f"no daemon answers at {wrong[1]}: Connection refused",
        f"what answers at {wrong[2]} isn't pypicache",
    ]
