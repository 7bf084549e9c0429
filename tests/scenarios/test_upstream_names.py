"""Names of mirrors that lead nowhere, hang, or lead to several addresses: real daemons that ask a resolver of the test's."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.client import Response, get
from tests.daemon import Daemon
from tests.origin import BlackHole, Origin
from tests.wheels import wheel

JSON = {"Accept": "application/vnd.pypi.simple.v1+json"}
DEMO, OTHER = wheel("demo", "1.0", size=3000), wheel("other", "1.0", size=1000)
Answer = list[str] | str
SetNames = Callable[..., None]


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SetNames:
    """Sets what each name leads to."""
    file = tmp_path / "names.json"

    def lead(**to: Answer) -> None:
        file.write_text(json.dumps({f"{name}.example.org": answer for name, answer in to.items()}))

    lead()
    return lead


def config(port: int, **mirror: Any) -> dict[str, Any]:
    """A mirror that is known by name, and beside it an index whose mirror is known by address."""
    entry = {"url": f"http://mirror.example.org:{port}/simple/", "name": "mirror", **mirror}
    plain = {"url": f"http://127.0.0.1:{port}/simple/", "name": "plain"}
    return {"indexes": {"root/pypi": {"mirrors": [entry], "ttl": 0}, "root/plain": {"mirrors": [plain]}}}


@pytest.fixture
def daemon(daemon: Callable[..., Daemon], tmp_path: Path, names: SetNames) -> Callable[..., Daemon]:
    """As everywhere, with these names."""

    def make(settings: dict[str, Any]) -> Daemon:
        return daemon(settings, module="tests.names", env={"NAMES": str(tmp_path / "names.json")})

    return make


def page(daemon: Daemon, project: str = "demo", index: str = "root/pypi") -> tuple[Response, float]:
    began = time.monotonic()
    answer = get(f"{daemon.url}/{index}/simple/{project}/", JSON)
    return answer, time.monotonic() - began


@pytest.mark.parametrize(
    ("number", "fault", "reason"),
    [
        ("u1", "unknown", "mirror: the host name mirror.example.org can't be resolved"),
        ("u2", "hang", "mirror: no connection within 1 s"),
    ],
)
def test_u1_u2_a_name_that_cannot_be_resolved(
    origin: Origin,
    daemon: Callable[..., Daemon],
    names: SetNames,
    number: str,
    fault: Answer,
    reason: str,
) -> None:
    """What is held goes out, a cold page is a 503 in time, and others don't notice; nor does the end of the daemon."""
    for each in (DEMO, OTHER):
        origin.add(each)
    names(mirror=["127.0.0.1"])
    running = daemon(config(origin.port, timeout={"connect": "1s"}))
    link = running.link(DEMO)
    assert get(link).body == DEMO.data
    held, _ = page(running)
    names(mirror=fault)
    running.restart()
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(page, running, "other")
        assert page(running, "other", "root/plain")[0].status == 200
        again, seconds = page(running)
        assert (again.status, again.body, seconds < 5) == (200, held.body, True)
        assert "stale" in again.headers["cache-status"]
        assert get(link).body == DEMO.data
        cold, seconds = waiting.result()
    assert (cold.status, seconds < 15) == (503, True)
    assert reason in cold.text
    assert 1 <= int(cold.headers["retry-after"]) <= 60
    began = time.monotonic()
    assert running.stop() == 0
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("dead", ["::1", "127.0.0.2"])
def test_u4_the_next_address_of_a_name_is_tried_while_one_is_silent(
    origin: Origin, daemon: Callable[..., Daemon], names: SetNames, dead: str
) -> None:
    """Happy eyeballs (RFC 8305): an address of the other family, or of the same, costs a moment and no timeout."""
    if dead == "::1" and not _has_ipv6():
        pytest.skip("no IPv6 on loopback")
    origin.add(DEMO)
    names(mirror=[dead, "127.0.0.1"])
    with BlackHole(dead, origin.port):
        answer, seconds = page(daemon(config(origin.port)))
    assert answer.status == 200
    assert seconds < 2


def _has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True
