"""supervisord and logrotate run what is written for them; launchd's and docker's files are read as they would be."""

from __future__ import annotations

import json
import os
import plistlib
import pwd
import re
import shlex
import shutil
import stat
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pypicache.config.schema import Listen
from pypicache.generate.quoting import logrotate_word, supervisor_word
from tests.client import get
from tests.environment import REPOSITORY, clean
from tests.generate.deployments import LOOPBACK, NASTY, deployment, files, text
from tests.nginx import free_port
from tests.waiting import until

ME = pwd.getpwuid(os.geteuid()).pw_name


def answers(url: str) -> bool:
    try:
        return get(f"{url}/healthz").status == 200
    except OSError:
        return False


def test_supervisord_runs_it_restarts_it_and_ends_it_in_order(tmp_path: Path) -> None:
    """By the two files, and out of a folder with anything in its name."""
    program = Path(sys.executable).parent / "supervisord"
    if not program.exists():
        pytest.skip("supervisord isn't installed")
    folder, port = tmp_path / NASTY, free_port()
    folder.mkdir()
    configuration = folder / "pypicache.yaml"
    configuration.write_text(f"server: {{listen: '127.0.0.1:{port}'}}\ncache: {{dir: '{tmp_path}/cache'}}\n")
    made = files(
        deployment(
            command=(sys.executable, "-m", "pypicache"),
            configuration=configuration,
            home=folder,
            home_of=ME,
        )
    )
    # Under a path that supervisord itself can be in: its own settings are the administrator's.
    for name in ("supervisord.conf", "supervisor-pypicache.conf"):
        (tmp_path / name).write_text(made[name].text)
    url = f"http://127.0.0.1:{port}"
    with (tmp_path / "out").open("wb") as out:
        process = subprocess.Popen(
            [program, "-n", "-c", "supervisord.conf"],
            cwd=tmp_path,
            env=clean(tmp_path / "home", {"PYTHONPATH": str(REPOSITORY)}),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
    try:
        until(lambda: answers(url))
        (daemon,) = psutil.Process(process.pid).children()
        assert daemon.cmdline()[1:] == ["-m", "pypicache", "serve", "-c", str(configuration)]
        assert daemon.environ()["HOME"] == str(folder)
        daemon.kill()
        daemon.wait(20)
        until(lambda: answers(url))
        log = next(tmp_path.glob("pypicache-stdout*"))
    finally:
        process.terminate()
        process.wait(60)
    assert process.returncode == 0
    assert "listening on" in log.read_text()
    assert "terminated by SIGTERM" not in (tmp_path / "supervisord.log").read_text()
    assert "stopped: pypicache (exit status 0)" in (tmp_path / "supervisord.log").read_text()


WORDS = st.text(st.characters(exclude_categories=["C", "Z"]) | st.sampled_from(" ;#%$\"'\\()"), min_size=1)


@given(WORDS, WORDS)
def test_supervisord_reads_the_words_that_were_written(one: str, other: str) -> None:
    """As INI with comments and `%` first, as a command line then: as supervisor.options does it."""
    reader = ConfigParser(inline_comment_prefixes=(";", "#"), strict=False)
    reader.read_string(f"[program:x]\ncommand={supervisor_word('/' + one)} {supervisor_word(other)}\n")
    assert shlex.split(reader["program:x"]["command"]) == ["/" + one, other]


def test_the_machines_own_service_has_its_user_and_its_cache() -> None:
    """Where systemd would have it, so that one may be changed for the other."""
    lines = text("supervisor-pypicache.conf").splitlines()
    command = "command=/usr/bin/env CACHE_DIRECTORY=/var/cache/pypicache /usr/local/bin/pypicache serve"
    assert {"user=pypicache", command, "stopwaitsecs=75"} <= set(lines)
    assert "command=/usr/bin/env /usr/local/bin/pypicache serve" in text(
        "supervisor-pypicache.conf", movable=False
    )


def test_logrotate_moves_the_log_and_has_it_opened_anew(tmp_path: Path) -> None:
    program = shutil.which("logrotate") or shutil.which("logrotate", path="/usr/sbin")
    if program is None:
        pytest.skip("logrotate isn't installed")
    log = tmp_path / "lo[g]s a*" / 'the "log"'
    log.parent.mkdir(mode=0o755)
    log.write_text("a line\n")
    me, group = psutil.Process().username(), subprocess.check_output(["id", "-gn"], text=True).strip()
    conf = tmp_path / "logrotate-pypicache"
    conf.write_text(text(conf.name, log_file=log, home=tmp_path, home_of=me, group=group))
    conf.chmod(0o644)
    # There is no systemd here to pass the signal on: this notes what it is asked.
    (tmp_path / "systemctl").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n')
    (tmp_path / "systemctl").chmod(0o755)
    for _ in range(2):
        done = subprocess.run(
            [program, "--force", "--state", str(tmp_path / "state"), str(conf)],
            env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        log.write_text("another line\n")
    assert sorted(path.name for path in log.parent.iterdir()) == [
        'the "log"',
        'the "log".1',
        'the "log".2.gz',
    ]
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked == ["kill --kill-who=main --signal=USR1 pypicache.service"] * 2


def test_a_pattern_in_a_name_is_no_pattern() -> None:
    assert logrotate_word('/a*?[b]{c}"\\') == '"/a\\*\\?\\[b\\]\\{c\\}\\"\\\\"'


def test_launchd_reads_what_was_meant() -> None:
    found = plistlib.loads(
        text(
            "pypicache.plist",
            configuration=Path("/Users/me", NASTY + "<&>", "x"),
            caller_home=Path("/Users/me"),
        ).encode()
    )
    assert found["ProgramArguments"] == ["/usr/local/bin/pypicache", "serve", "-c", f"/Users/me/{NASTY}<&>/x"]
    assert (found["Label"], found["RunAtLoad"], found["KeepAlive"]) == (
        "pypicache",
        True,
        {"SuccessfulExit": False},
    )
    assert found["StandardErrorPath"] == "/Users/me/Library/Logs/pypicache.log"
    assert found["ExitTimeOut"] == 75


def compose(**facts: Any) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(text("docker/compose.yaml", **facts))
    service: dict[str, Any] = found["services"]["pypicache"]
    assert set(found["volumes"]) == {"cache"}
    return service


def test_the_container_keeps_its_cache_and_nothing_else() -> None:
    service = compose()
    assert service["ports"] == ["127.0.0.1:3141:3141"]
    assert service["volumes"] == ["cache:/var/cache/pypicache", "./config:/etc/pypicache:ro"]
    assert (service["read_only"], service["cap_drop"], service["user"]) == (True, ["ALL"], "10001:10001")
    assert service["stop_grace_period"] == "75s"
    # Accounts may change the configuration.
    assert "./config:/etc/pypicache" in compose(accounts=True)["volumes"]


@pytest.mark.parametrize(
    ("listen", "ports"),
    [
        ([LOOPBACK, Listen(port=80)], ["127.0.0.1:3141:3141", "80:3141"]),
        ([Listen(host="::1", port=80)], ["[::1]:80:3141"]),
        ([Listen(host="0.0.0.0", port=80)], ["0.0.0.0:80:3141"]),
        # Where it isn't clear which address is meant, or none is published: this machine.
        ([Listen(host="cache.example", port=80)], ["127.0.0.1:80:3141"]),
        ([Listen(unix=Path("/run/s"))], ["127.0.0.1:3141:3141"]),
    ],
)
def test_a_container_is_reached_where_the_daemon_would_be(listen: list[Listen], ports: list[str]) -> None:
    assert compose(listen=tuple(listen))["ports"] == ports


def test_the_image_runs_as_nobody_in_particular_and_tells_its_health() -> None:
    """And its configuration is the one beside it: mounted, where the daemon is told to look."""
    made = text("docker/Dockerfile")
    instructions = dict(
        re.findall(r"^(USER|HEALTHCHECK|ENTRYPOINT|CMD|STOPSIGNAL|ENV) (.*)$", made, re.MULTILINE)
    )
    assert instructions["USER"] == "$OWNER"
    assert "ARG OWNER=10001:10001" in made
    assert json.loads(instructions["ENTRYPOINT"]) == ["pypicache"]
    assert json.loads(instructions["CMD"]) == ["serve", "-c", "/etc/pypicache/pypicache.yaml"]
    assert "CACHE_DIRECTORY=/var/cache/pypicache" in instructions["ENV"]
    assert text("docker/.dockerignore").splitlines()[-2:] == ["*", "!*.whl"]


def test_the_health_check_knows_the_living_from_the_dead(tmp_path: Path) -> None:
    """The very command of the Dockerfile, at a daemon's port."""
    from tests.daemon import Daemon  # noqa: PLC0415 - the only one here

    command = re.search(r"^HEALTHCHECK .* CMD (\[.*\])$", text("docker/Dockerfile"), re.MULTILINE)
    assert command
    with Daemon(tmp_path, {}) as daemon:
        port = daemon.url.rpartition(":")[2]
        check = [sys.executable, *(word.replace("3141", port) for word in json.loads(command[1])[1:])]
        assert subprocess.run(check, timeout=60, check=False, capture_output=True).returncode == 0
    assert subprocess.run(check, timeout=60, check=False, capture_output=True).returncode != 0


def test_root_gives_the_containers_configuration_to_whom_it_runs_as(tmp_path: Path) -> None:
    from pypicache.generate.folder import write_all  # noqa: PLC0415 - used once

    made = files(deployment(container_owner=(os.geteuid() or 10001, os.getegid() or 10001)))
    write_all(tmp_path, made.values(), force=False)
    status = (tmp_path / "docker/config/pypicache.yaml").stat()
    assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (os.geteuid() or 10001, 0o600)
