"""What a daemon writes down, and what never gets there."""

from __future__ import annotations

import base64
import json
import re
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.client import get, raw
from tests.daemon import Daemon, config_for
from tests.origin import Origin
from tests.waiting import until
from tests.wheels import wheel

Daemons = Callable[..., Daemon]
PROXIED = {"server": {"trusted_proxies": ["127.0.0.0/8"]}}


def test_the_access_log_in_json(daemon: Daemons, origin: Origin) -> None:
    """Index, project or file, status, bytes, time, how the cache did, mirror, client, and what the request is called."""
    item = wheel("alpha", "1.0", size=100_000)
    origin.add(item)
    running = daemon(config_for(origin, log={"format": "json"}, **PROXIED))
    link = running.link(item)
    headers = {"X-Forwarded-For": "203.0.113.9, 198.51.100.7, 127.0.0.2", "X-Request-Id": "from-the-proxy"}
    get(link, headers)
    running.wait_log('"from-the-proxy"')
    (told,) = [json.loads(line) for line in running.log.splitlines() if "from-the-proxy" in line]
    assert told["seconds"] > 0
    assert {name: value for name, value in told.items() if name not in {"time", "seconds"}} == {
        "level": "info",
        "logger": "access",
        "client": "198.51.100.7",
        "method": "GET",
        "path": link.removeprefix(running.url),
        "status": 200,
        "bytes": len(item.data),
        "cache": "miss",
        "index": "root/pypi",
        "kind": "file",
        "subject": item.filename,
        "mirror": "origin",
        "id": "from-the-proxy",
    }
    assert all(json.loads(line)["time"] for line in running.log.splitlines())


def test_who_a_client_says_it_is_counts_only_from_a_trusted_proxy(daemon: Daemons, origin: Origin) -> None:
    running = daemon(config_for(origin))
    get(f"{running.url}/healthz", {"X-Forwarded-For": "203.0.113.9"})
    assert running.wait_log(r'access (\S+) "GET /healthz"')[1] == "127.0.0.1"


def test_a_page_that_is_repeated_has_the_same_line(daemon: Daemons, origin: Origin) -> None:
    """The shortcut names each request anew, and believes the proxy as the ordinary way does."""
    origin.add(wheel("alpha", "1.0"))
    running = daemon(config_for(origin, **PROXIED))
    for _ in range(4):
        assert get(f"{running.simple}alpha/", {"X-Forwarded-For": "203.0.113.9"}).status == 200
    ask = b"GET /simple/alpha/ HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n"
    host, port = running.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as client:
        for _ in range(4):
            client.sendall(ask)
            assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
    running.stop()
    told = re.findall(
        r'access (\S+) "GET [^"]*" 200 \d+ [\d.]+ms "hit" index=root/pypi page=alpha id=(\S+)', running.log
    )
    assert len(told) == 7
    assert {client for client, _ in told} == {"203.0.113.9"}
    assert len({name for _, name in told}) == 7


def test_an_error_says_what_it_is_called_in_the_log(daemon: Daemons, origin: Origin) -> None:
    running = daemon(config_for(origin))
    failed = get(f"{running.url}/nothing/here")
    running.wait_log(f"/nothing/here.* 404 .* id={re.escape(failed.headers['x-request-id'])}\n")
    sane = get(f"{running.url}/nothing/here", {"X-Request-Id": "7f3a-42"})
    assert sane.headers["x-request-id"] == "7f3a-42"


@pytest.mark.parametrize("form", ["text", "json"])
def test_neither_control_characters_nor_secrets_reach_the_log(
    daemon: Daemons, origin: Origin, form: str
) -> None:
    """A9, threat 9: paths and methods as they come, queries, credentials, and what breaks the parser."""
    running = daemon(config_for(origin, log={"format": form, "level": "debug"}, **PROXIED))
    host, port = running.url.removeprefix("http://").split(":")
    basic = base64.b64encode(b"me:s3cret").decode()
    for request in (
        b"GET /simple/a%0d%0aGET%20/b%1b[31m/?token=s3cret HTTP/1.1\r\nHost: x\r\n",
        b"GET http://me:s3cret@x/simple/a/ HTTP/1.1\r\nHost: x\r\n",
        b"GET /simple/\x1b[31m/ HTTP/1.1\r\nHost: x\r\n",
        b"GET /simple/\xe2\x80\xa8\xff/ HTTP/1.1\r\nHost: x\r\n",
        b"GET /s3cret\x00 HTTP/1.1\r\nHost: x\r\n".replace(b"s3cret", b"x"),
        b"GET /simple/a/ HTTP/1.1\r\nHost: x\x1b\r\nX-Forwarded-For: \x1b[31m\r\n",
        b"GET /simple/a/ HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: a b\r\nX-Request-Id: \x85 b\r\n",
        f"GET /simple/b/ HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {basic}\r\n".encode(),
    ):
        raw(host, int(port), request + b"Connection: close\r\n\r\n")
    get(f"{running.url}/last")
    running.wait_log("/last")
    assert "s3cret" not in running.log
    assert basic not in running.log
    assert all(line.isprintable() for line in running.log.split("\n"))


def test_the_log_file_is_opened_again_on_sigusr1(daemon: Daemons, origin: Origin, tmp_path: Path) -> None:
    """As logrotate wants it: every line is in the old file or in the new one. A reload moves the log as well."""
    file, rotated = tmp_path / "log", tmp_path / "log.1"
    running = daemon(config_for(origin))
    running.config["log"] = {"file": str(file)}
    running.write_config()
    running.send(signal.SIGHUP)
    until(file.exists)
    for number in range(200):
        get(f"{running.url}/request/{number}")
        if number == 100:
            file.rename(rotated)
            running.send(signal.SIGUSR1)
    until(file.exists)
    assert running.stop() == 0
    first, second = rotated.read_text(), file.read_text()
    assert second
    told = re.findall(r"/request/(\d+)\"", first + second)
    assert told == [str(number) for number in range(200)]
    assert "/request/" not in running.log


def test_what_keeps_it_from_starting_is_told_on_the_terminal_too(
    daemon: Daemons, origin: Origin, tmp_path: Path
) -> None:
    """Whoever starts it with a log file looks at the terminal first."""
    config = config_for(origin, log={"file": str(tmp_path / "log")}, server={"listen": "unix:/proc/none/s"})
    failing = daemon(config, start=False)
    with pytest.raises(AssertionError, match="can't listen on unix:/proc/none/s"):
        failing.start()
    assert "can't listen on unix:/proc/none/s" in (tmp_path / "log").read_text()
