"""From start to end: sockets, signals, what the service manager is told, and who may share what."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path

import pytest

from tests.client import ByHand, get
from tests.daemon import Daemon, config_for
from tests.environment import REPOSITORY, clean
from tests.origin import Origin, Rate, StallAt
from tests.wheels import wheel

Daemons = Callable[..., Daemon]


@pytest.fixture
def daemon(daemon: Callable[..., Daemon]) -> Callable[..., Daemon]:
    """Started as users start it, since the process itself is what this is about."""
    return partial(daemon, fresh=True)


class Manager:
    """The service manager's end of sd_notify(3)."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.settimeout(20)

    def hear(self, key: str) -> dict[str, str]:
        """The next datagram that says something of `key`."""
        while True:
            said = dict(line.split("=", 1) for line in self._socket.recv(4096).decode().splitlines())
            if key in said:
                return said

    def drain(self) -> None:
        """Hear all there is, to the silence after it, which is a TimeoutError."""
        while True:
            self._socket.recv(4096)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[tuple[Manager, str]]:
    address = str(tmp_path / "notify") if request.param == "path" else f"@pypicache-{os.getpid()}"
    listening = Manager(address)
    yield listening, address
    listening.close()


def test_the_service_manager_is_told_of_start_reload_and_end(
    daemon: Daemons, origin: Origin, manager: tuple[Manager, str]
) -> None:
    """READY only when it listens; RELOADING with the monotonic time, which Type=notify-reload asks for."""
    heard, address = manager
    running = daemon(config_for(origin), env={"NOTIFY_SOCKET": address})
    assert heard.hear("READY")["STATUS"].startswith("1 index, ")
    began = time.monotonic()
    running.send(signal.SIGHUP)
    reloading = heard.hear("RELOADING")
    assert began <= int(reloading["MONOTONIC_USEC"]) / 1e6 <= time.monotonic()
    assert heard.hear("READY")["READY"] == "1"
    running.send(signal.SIGTERM)
    assert heard.hear("STOPPING")["STOPPING"] == "1"
    assert running.stop() == 0


def test_the_watchdog_is_fed_by_the_loop(daemon: Daemons, origin: Origin, tmp_path: Path) -> None:
    """A loop that stands still feeds nobody, and the service manager restarts the daemon."""
    heard = Manager(str(tmp_path / "notify"))
    env = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "100000"}
    running = daemon(config_for(origin), env=env)
    for _ in range(3):
        assert heard.hear("WATCHDOG")["WATCHDOG"] == "1"
    running.send(signal.SIGSTOP)
    heard._socket.settimeout(0.5)
    with pytest.raises(TimeoutError):
        heard.drain()
    running.send(signal.SIGCONT)
    heard.close()


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX], ids=["tcp", "unix"])
def test_sockets_that_systemd_hands_over_win(
    tmp_path: Path, origin: Origin, family: socket.AddressFamily
) -> None:
    """LISTEN_FDS (sd_listen_fds(3)): the configured address is left alone."""
    with socket.socket(family) as passed, socket.create_server(("127.0.0.1", 0)) as other:
        passed.bind(("127.0.0.1", 0) if family == socket.AF_INET else str(tmp_path / "passed"))
        passed.listen()
        taken = other.getsockname()[1]
        file = tmp_path / "pypicache.yaml"
        file.write_text(f"server: {{listen: '127.0.0.1:{taken}'}}\ncache: {{dir: {tmp_path / 'cache'}}}\n")
        serve = [sys.executable, "-m", "pypicache", "serve", "-c", str(file)]
        script = (
            f"import os; os.dup2({passed.fileno()}, 3); os.environ['LISTEN_PID'] = str(os.getpid());"
            f"os.execv({sys.executable!r}, {serve!r})"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", script],
            env=clean(tmp_path / "home", {"PYTHONPATH": str(REPOSITORY), "LISTEN_FDS": "1"}),
            pass_fds=[passed.fileno()],
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            with socket.socket(family) as client:
                client.settimeout(20)
                client.connect(passed.getsockname())
                client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                assert client.recv(100).startswith(b"HTTP/1.1 200 ")
        finally:
            process.terminate()
            _, log = process.communicate(timeout=20)
        assert process.returncode == 0
    assert "listening on " in log
    assert str(taken) not in log


def test_it_listens_on_several_addresses_at_once(daemon: Daemons, origin: Origin, tmp_path: Path) -> None:
    path = tmp_path / "d" / "s"
    path.parent.mkdir()
    addresses = ["127.0.0.1:0", "[::1]:0", f"unix:{path}"]
    running = daemon(config_for(origin, server={"listen": addresses}))
    running.wait_log("listening on unix:")
    found = re.findall(r"listening on (\S+)", running.log)
    assert [name.rpartition(":")[0] for name in found] == ["http://127.0.0.1", "http://[::1]", "unix"]
    for url in found[:2]:
        assert get(f"{url}/healthz").status == 200
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert client.recv(100).split()[1] == b"200"
    assert stat.S_IMODE(path.stat().st_mode) == 0o666
    assert running.stop() == 0
    assert not path.exists()


def test_a_unix_socket_that_nobody_answers_at_is_replaced(
    daemon: Daemons, origin: Origin, tmp_path: Path
) -> None:
    path = tmp_path / "s"
    running = daemon(config_for(origin, server={"listen": ["127.0.0.1:0", f"unix:{path}"]}))
    running.kill()
    assert path.exists()
    running.start()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def refused(config: dict[str, object], folder: Path) -> str:
    """What a daemon says that ends with exit code 1: one line of an error."""
    second = Daemon(folder, config)
    try:
        with pytest.raises(AssertionError, match="ended with 1:"):
            second.start()
    finally:
        second.close()
    errors = [line for line in second.log.splitlines() if " CRITICAL " in line]
    assert len(errors) == 1
    assert "Traceback" not in second.log
    return errors[0]


def test_a_second_daemon_on_a_port_a_socket_or_a_directory_is_refused(
    daemon: Daemons, origin: Origin, tmp_path: Path
) -> None:
    """L25: one clear line, exit 1, and the first one goes on."""
    path, file = tmp_path / "s", tmp_path / "file"
    file.touch()
    running = daemon(config_for(origin, server={"listen": ["127.0.0.1:0", f"unix:{path}"]}))
    port = running.url.rpartition(":")[2]
    first = config_for(origin, server={"listen": f"127.0.0.1:{port}"})
    assert f"can't listen on 127.0.0.1:{port}: " in refused(first, tmp_path / "a")
    second = config_for(origin, server={"listen": f"unix:{path}"})
    assert f"can't listen on unix:{path}: another program answers there" in refused(second, tmp_path / "b")
    third = config_for(origin, cache={"dir": str(running.cache)})
    assert f"{running.cache} is in use by another pypicache (process {running.pid}): " in refused(
        third, tmp_path / "c"
    )
    fourth = config_for(origin, server={"listen": f"unix:{file}"})
    assert "something that isn't a socket is there" in refused(fourth, tmp_path / "d")
    assert file.exists()
    assert path.exists()
    assert get(f"{running.url}/healthz").status == 200


def test_sigterm_drains_and_the_next_daemon_may_start_meanwhile(
    daemon: Daemons, origin: Origin, tmp_path: Path
) -> None:
    """Promise 9, *SIGTERM drains*: a download that is on its way is finished; port and directory are free at once; exit 0."""
    item = wheel("alpha", "1.0", size=3 << 20)
    origin.add(item)
    origin.script(item.filename, Rate(1 << 20))
    running = daemon(config_for(origin, mirror={"connections": 1}))
    client = ByHand(running.link(item))
    assert b"200 OK" in client.head()
    begun = client.read(1000)
    running.send(signal.SIGTERM)
    running.wait_log("stopping: running responses")
    with pytest.raises(ConnectionRefusedError):
        get(f"{running.url}/healthz")
    address = running.url.removeprefix("http://")
    config = config_for(origin, server={"listen": address}, cache={"dir": str(running.cache)})
    with Daemon(tmp_path / "next", config) as following:
        assert get(f"{following.url}/healthz").status == 200
        assert begun + client.read(len(item.data) - 1000) == item.data
        assert running.stop() == 0
    client.close()


@pytest.mark.soak
def test_sigterm_in_a_download_of_thirty_seconds_lets_it_finish(daemon: Daemons, origin: Origin) -> None:
    item = wheel("alpha", "1.0", size=28 << 18)
    origin.add(item)
    origin.script(item.filename, Rate(1 << 18))
    running = daemon(config_for(origin, mirror={"connections": 1}))
    client = ByHand(running.link(item))
    assert b"200 OK" in client.head()
    running.send(signal.SIGTERM)
    assert client.read(len(item.data)) == item.data
    assert running.stop() == 0
    client.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_l18_a_second_signal_ends_it_at_once(daemon: Daemons, origin: Origin, number: signal.Signals) -> None:
    item = wheel("alpha", "1.0", size=3 << 20)
    origin.add(item)
    origin.script(item.filename, StallAt(1 << 20))
    running = daemon(config_for(origin, mirror={"connections": 1}))
    client = ByHand(running.link(item))
    assert b"200 OK" in client.head()
    running.send(number)
    running.wait_log("stopping: running responses")
    began = time.monotonic()
    running.stop(number, timeout=10)
    assert time.monotonic() - began < 5
    client.close()


def test_what_starts_is_in_the_log(daemon: Daemons, origin: Origin) -> None:
    """Version, process, configuration: without secrets."""
    secret = "t0p-s3cret"
    running = daemon(config_for(origin, mirror={"username": "me", "password": secret}))
    log = running.log
    assert re.search(
        rf"pypicache \S+ on Python \S+, process {running.pid}, configured by {running.config_file}", log
    )
    assert f"cache in {running.cache}" in log
    assert "index root/pypi (the default): mirrors origin" in log
    assert secret not in log
