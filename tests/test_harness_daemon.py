"""Daemons are started, watched and ended as they should be, and a skip can't hide."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.client import get
from tests.daemon import Daemon, config_for
from tests.environment import REPOSITORY, clean
from tests.origin import Origin


def test_a_configuration_names_each_mirror(origins: Callable[..., Origin]) -> None:
    first, second = origins(), origins()
    config = config_for(first, second, mirror={"connections": 1}, index={"ttl": "1s"}, log={"level": "debug"})
    assert config == {
        "log": {"level": "debug"},
        "indexes": {
            "root/pypi": {
                "mirrors": [
                    {"url": first.simple, "name": "origin", "connections": 1},
                    {"url": second.simple, "name": "origin2", "connections": 1},
                ],
                "ttl": "1s",
            }
        },
    }


STAND_IN = """
import http.server, os, signal, sys
class Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/healthz" else 404)
        self.end_headers()
server = http.server.HTTPServer(("127.0.0.1", int(os.environ["STAND_IN_PORT"])), Healthy)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(int(os.environ["STAND_IN_EXIT"])))
print("listening on http://127.0.0.1:%d" % server.server_port, file=sys.stderr, flush=True)
server.serve_forever()
"""


@pytest.fixture
def stand_in(tmp_path: Path) -> list[str]:
    """A wrapper that runs a program which only listens, in place of the daemon: what is tested here is the harness."""
    script = tmp_path / "stand_in.py"
    script.write_text(STAND_IN)
    return [sys.executable, str(script)]


def test_a_daemon_starts_stops_and_starts_again(daemon: Callable[..., Daemon], stand_in: list[str]) -> None:
    one = daemon(config_for(), wrapper=stand_in, env={"STAND_IN_PORT": "0", "STAND_IN_EXIT": "7"})
    assert get(f"{one.url}/healthz").status == 200
    assert one.wait_log(r"listening on (\S+)").group(1) == one.url
    assert one.rss().own > 1_000_000
    assert one.rss().children == {}
    assert one.stop() == 7
    with pytest.raises(ConnectionRefusedError):
        get(f"{one.url}/healthz")
    with pytest.raises(RuntimeError, match="doesn't run"):
        _ = one.pid
    one.start()
    assert one.log.count("listening on") == 2
    assert one.kill() == -9


def test_a_daemon_that_does_not_start_shows_its_log(daemon: Callable[..., Daemon], tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; print('the reason'); sys.exit(3)"]
    with pytest.raises(AssertionError, match=r"ended with 3:\nthe reason"):
        daemon(config_for(), wrapper=command)


def test_a_silent_daemon_is_ended(daemon: Callable[..., Daemon]) -> None:
    silent = daemon(
        config_for(), start=False, wrapper=[sys.executable, "-c", "import signal; signal.pause()"]
    )
    with pytest.raises(AssertionError, match="doesn't say that it listens"):
        silent.start(timeout=0.5)
    with pytest.raises(RuntimeError, match="doesn't run"):
        _ = silent.pid


def test_a_daemons_children_do_not_outlive_its_fixture(tmp_path: Path) -> None:
    script = "import subprocess, sys; print(subprocess.Popen(['sleep', '99']).pid, flush=True)\n" + STAND_IN
    (tmp_path / "parent.py").write_text(script)
    parent = Daemon(
        tmp_path / "d",
        config_for(),
        wrapper=[sys.executable, str(tmp_path / "parent.py")],
        env={"STAND_IN_PORT": "0", "STAND_IN_EXIT": "0"},
    ).start()
    (child,) = parent.children()
    assert list(parent.rss().children) == [child.pid]
    parent.kill()
    assert child.is_running()
    parent.close()
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


SKIPPING = """
import pytest

def test_skips():
    pytest.skip("no tool")

@pytest.mark.live
def test_live_may_skip():
    pytest.skip("no network")

@pytest.mark.xfail(reason="known", strict=True)
def test_expected_failure():
    raise AssertionError
"""


@pytest.mark.parametrize(
    ("ci", "code", "summary"), [("1", 1, "1 failed, 1 skipped, 1 xfailed"), ("", 0, "2 skipped")]
)
def test_a_skip_is_a_failure_where_nobody_looks(tmp_path: Path, ci: str, code: int, summary: str) -> None:
    (tmp_path / "test_one.py").write_text(SKIPPING)
    outcome = run_pytest(tmp_path, ci)
    assert (outcome.returncode, summary in outcome.stdout) == (code, True), outcome.stdout


def test_a_module_that_skips_itself_is_a_failure_where_nobody_looks(tmp_path: Path) -> None:
    (tmp_path / "test_one.py").write_text("import pytest\npytest.skip('no tool', allow_module_level=True)\n")
    outcome = run_pytest(tmp_path, "1")
    assert outcome.returncode != 0
    assert "no tool" in outcome.stdout
    assert "1 error" in outcome.stdout


def run_pytest(folder: Path, ci: str) -> subprocess.CompletedProcess[str]:
    """A run of its own under this suite's conftest."""
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = live: asks\nasyncio_mode = auto\n")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "-p", "no:cacheprovider", "."],
        cwd=folder,
        env=clean(folder / "home", {"PYTHONPATH": str(REPOSITORY), "PYPICACHE_CI": ci}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
