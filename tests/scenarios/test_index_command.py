"""`pypicache index` and `pypicache passwd`: the configuration changed by hand, with and without a daemon that serves it."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from pypicache.commands.index import FLAGS, TEXTS, index
from pypicache.commands.passwd import passwd
from pypicache.config.edit import DEFAULTS
from pypicache.config.schema import Index
from pypicache.rules.passwords import parse
from tests.client import get
from tests.daemon import Daemon, config_for
from tests.origin import Origin
from tests.program import run
from tests.wheels import wheel

Daemons = Callable[..., Daemon]
SECRET = "hidden-word"
JSON = {"Accept": "application/vnd.pypi.simple.v1+json"}

TEXT = f"""\
# ours
auth: {{tokens: [{SECRET}], anonymous: none}}
indexes:
  root/pypi:
    mirrors:
    - https://me:{SECRET}@one.example/simple/   # near
    - pypi
  dev: {{layers: [{{index: corp, owns: ["acme-*"]}}, root/pypi], auth: none}}
  corp: {{mirrors: [tuna]}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "pypicache.yaml"
    path.write_text(TEXT + "server: {listen: 'unix:nobody.sock'}\n")
    path.chmod(0o600)
    return path


def test_list(file: Path) -> None:
    done = run(file.parent, "index", "list")
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "  index      made of                    ttl   open to",
        "* root/pypi  mirrors one.example, pypi  600s  accounts",
        "  dev        layers corp, root/pypi     -     everyone",
        "  corp       mirrors tuna               600s  accounts",
    ]


def test_list_for_programs(file: Path) -> None:
    done = run(file.parent, "index", "list", "--json")
    first, dev, _ = json.loads(done.stdout)
    assert first["mirrors"][0] == {
        "name": "one.example",
        "url": "https://one.example/simple/",
        "serves": "both",
    }
    assert (first["name"], first["default"], first["ttl"], first["offline"]) == (
        "root/pypi",
        True,
        600.0,
        False,
    )
    assert dev["layers"] == [{"index": "corp", "owns": ["acme-*"]}, {"index": "root/pypi", "owns": []}]
    assert SECRET not in done.stdout + done.stderr


def test_set_changes_the_file_and_keeps_the_rest(file: Path) -> None:
    done = run(
        file.parent,
        "index",
        "set",
        "root/pypi",
        "--mirror",
        "aliyun",
        "--mirror",
        "pypi",
        "--ttl",
        "90",
        "--offline",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"{file.name}: changed root/pypi",
        "no daemon runs there: it holds from the next start on",
    ]
    text = file.read_text()
    assert "    offline: true\n    ttl: 90\n    mirrors:\n    - aliyun\n    - pypi\n" in text
    assert text.startswith("# ours\n")
    assert SECRET not in done.stdout
    again = run(
        file.parent, "index", "set", "root/pypi", "--mirror", "aliyun", "--mirror", "pypi", "--no-reload"
    )
    assert again.stdout == f"{file.name}: root/pypi is like that already\n"
    unset = run(
        file.parent, "index", "set", "root/pypi", "--unset", "ttl", "--unset", "offline", "--no-reload"
    )
    assert (unset.returncode, "ttl" in file.read_text()) == (0, False)


def test_set_makes_an_index_only_when_told_to(file: Path) -> None:
    before = file.read_text()
    refused = run(file.parent, "index", "set", "team/new", "--mirror", "pypi")
    assert (refused.returncode, "--create makes it" in refused.stderr) == (2, True)
    assert file.read_text() == before
    made = run(file.parent, "index", "set", "team/new", "--create", "--mirror", "pypi", "--no-reload")
    assert made.returncode == 0
    assert "  team/new:\n    mirrors:\n    - pypi\n" in file.read_text()
    assert run(file.parent, "index", "set", "root/corp", "--mirror", "pypi", "--no-reload").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["root/pip", "--ttl", "1s"], 'there is no index root/pip; did you mean "root/pypi"?'),
        (["root/pypi", "--ttl", "soon"], "indexes.root/pypi.ttl: a duration is due"),
        (["root/pypi", "--mirror", "nonsense"], "no well-known mirror is called"),
        (["root/pypi", "--web-url", "https://x.example/"], "a link with {name} in it is due"),
        (["root/pypi", "--auth", "all"], "none is due"),
        (["root/pypi", "--unset", "nonsense"], "there is no setting nonsense"),
        (["dev", "--mirror", "pypi"], "is made of other indexes"),
        (["simple", "--create", "--mirror", "pypi"], 'can\'t begin with "simple"'),
        (["-x"], "No such option"),
        ([], "Missing argument"),
    ],
)
def test_what_makes_no_sense_is_told_and_not_written(file: Path, arguments: list[str], says: str) -> None:
    before = file.read_text()
    done = CliRunner().invoke(index, ["set", "-c", str(file), *arguments])
    assert (done.exit_code, says in done.output) == (2, True), done.output
    assert file.read_text() == before


def test_without_a_file_there_is_nothing_to_change(tmp_path: Path) -> None:
    done = run(tmp_path, "index", "set", "root/pypi", "--ttl", "1s")
    assert (done.returncode, "`pypicache init` writes one" in done.stderr) == (2, True)


def test_every_setting_of_an_index_can_be_set() -> None:
    names = {field.name for field in dataclasses.fields(Index)}
    assert names - {"name", "mirrors", "layers"} == {*TEXTS, *FLAGS} == set(DEFAULTS)


def command(daemon: Daemon, *arguments: str, file: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The program, with the daemon's own configuration and environment."""
    home = str(daemon.folder / "home")
    return run(daemon.folder, *arguments, "-c", file or daemon.config_file, HOME=home, COLUMNS="200")


def test_a_running_daemon_serves_the_change_at_once(daemon: Daemons, origins: Callable[..., Origin]) -> None:
    """Also one that is closed, and without an account: whoever can read its key may tell it."""
    first, second = origins(), origins()
    second.add(wheel("demo", "1.0"))
    auth = {"tokens": [SECRET], "anonymous": "none"}
    running = daemon(config_for(first, auth=auth, index={"negative_ttl": 0}))
    running.config["server"]["listen"] = running.url.removeprefix("http://")
    running.write_config()
    bearer = {**JSON, "Authorization": f"Bearer {SECRET}"}
    assert get(f"{running.simple}demo/", bearer).status == 404
    done = command(running, "index", "set", "root/pypi", "--mirror", second.simple)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "the daemon serves it"), done
    assert get(f"{running.simple}demo/", bearer).status == 200
    explained = command(running, "explain", "demo", "--json")
    assert (explained.returncode, json.loads(explained.stdout)["project"]) == (0, "demo")
    assert "whoever has the cache's key asks for a reload" in running.log
    # Without the key there is no way in, and a way out is told.
    (running.cache / "key").unlink()
    done = command(running, "index", "set", "root/pypi", "--ttl", "1s")
    assert (done.returncode, "systemctl reload pypicache" in done.stderr) == (1, True)
    assert command(running, "explain", "demo").returncode == 1


def test_a_token_of_the_key_is_for_one_request_only(daemon: Daemons, origin: Origin) -> None:
    import base64  # noqa: PLC0415 - here and nowhere else
    import time  # noqa: PLC0415 - as above

    from pypicache.rules import tokens  # noqa: PLC0415 - as above

    running = daemon(config_for(origin))
    key = (running.cache / "key").read_bytes()

    def status(signed: str, expires: float) -> int:
        token = tokens.make(key, user="", secret=signed, expires=int(expires))
        header = {"X-Devpi-Auth": base64.b64encode(f":{token}".encode()).decode()}
        return get(f"{running.url}/-/reload", header, method="POST").status

    now = time.time()
    assert status("POST /-/reload", now + 60) == 200
    assert status("POST /-/reload", now - 1) == 401
    assert status("GET /-/status", now + 60) == 401
    assert status("", now + 60) == 401
    assert get(f"{running.url}/-/reload").status == 405


def test_a_daemon_of_another_configuration_is_told_apart(
    daemon: Daemons, origin: Origin, tmp_path: Path
) -> None:
    running = daemon(config_for(origin))
    running.config["server"]["listen"] = running.url.removeprefix("http://")
    running.write_config()
    other = tmp_path / "other.yaml"
    other.write_bytes(running.config_file.read_bytes())
    done = command(running, "index", "set", "root/pypi", "--ttl", "1s", file=other)
    assert (done.returncode, f"another configuration: {running.config_file}" in done.stderr) == (1, True)


@pytest.mark.parametrize(
    ("given", "code"), [("open sesame\n", 0), ("open sesame", 0), ("", 2), ("\n", 2), ("a\tb\n", 2)]
)
def test_passwd(given: str, code: int) -> None:
    done = CliRunner().invoke(passwd, input=given)
    assert done.exit_code == code
    assert "sesame" not in done.output
    if code == 0:
        assert parse(done.output.strip().strip("'")).matches("open sesame")
