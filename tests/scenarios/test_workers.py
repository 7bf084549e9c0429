"""Several workers: one port, one cache, one download; and what becomes of them when one dies, and at the end."""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psutil
import pytest
from rich.console import Console

from pypicache.commands.showing import show
from pypicache.rules.restarts import delay
from tests.client import ByHand, get
from tests.daemon import Daemon, config_for
from tests.environment import REPOSITORY, clean
from tests.origin import Delay, Origin, Rate, StallAt
from tests.waiting import until
from tests.wheels import wheel

Daemons = Callable[..., Daemon]
TWO = {"server": {"workers": 2}}
JSON = "application/vnd.pypi.simple.v1+json"
ONE = {"connections": 1}


def answering(running: Daemon) -> str:
    """Which worker answers a new connection: a request's name begins with its worker's."""
    return get(f"{running.url}/nothing/here").headers["x-request-id"].partition("-")[0]


def both(running: Daemon) -> set[str]:
    """The workers that answer a hundred connections."""
    return {answering(running) for _ in range(100)}


def pids(running: Daemon) -> dict[int, int]:
    """Process ids by the worker's number, of those that serve now."""
    return {
        int(number): int(pid) for number, pid in re.findall(r"worker (\d) serves, process (\d+)", running.log)
    }


def test_two_workers_share_one_port_and_one_download(daemon: Daemons, origin: Origin) -> None:
    item = wheel("alpha", "1.0", size=2 << 20)
    origin.add(item)
    origin.script(item.filename, Rate(4 << 20), repeat=True)
    running = daemon(config_for(origin, mirror=ONE, **TWO))
    assert len(both(running)) == 2
    link = running.link(item)
    with ThreadPoolExecutor(16) as pool:
        bodies = set(pool.map(lambda _: hashlib.sha256(get(link).body).hexdigest(), range(16)))
    assert bodies == {item.sha256}
    assert len(origin.gets(item.filename)) == 1
    assert running.stop() == 0


def test_a_worker_that_is_killed_in_a_download_is_replaced_and_the_other_goes_on(
    daemon: Daemons, origin: Origin
) -> None:
    """Whoever was connected to the other one notices nothing, and the bytes that had come are kept."""
    item = wheel("alpha", "1.0", size=4 << 20)
    origin.add(item)
    gate = origin.gate()
    origin.script(item.filename, StallAt(2 << 20, gate))
    running = daemon(config_for(origin, mirror=ONE, **TWO))
    first = pids(running)
    link = running.link(item)
    clients = [ByHand(link) for _ in range(16)]
    begun = []
    for client in clients:
        assert b"200 OK" in client.head()
        begun.append(client.read(1000))
    psutil.Process(first[1]).kill()
    running.wait_log(r"worker 1 \(process \d+\) was ended by SIGKILL")
    running.wait_log(rf"worker 1 serves, process (?!{first[1]}\b)")
    gate.open()
    whole = 0
    for client, start in zip(clients, begun, strict=True):
        try:
            whole += start + client.read(len(item.data) - 1000) == item.data
        except ConnectionError:
            continue
        finally:
            client.close()
    assert 0 < whole < len(clients)
    assert get(link).body == item.data
    assert len(both(running)) == 2
    assert running.stop() == 0


def test_a_reload_reaches_every_worker(daemon: Daemons, origin: Origin) -> None:
    origin.add(wheel("alpha", "1.0"))
    running = daemon(config_for(origin, **TWO))
    running.config_file.write_text("indexes: [")
    running.send(signal.SIGHUP)
    running.wait_log("ERROR not reloaded")
    running.config["indexes"]["corp"] = {"mirrors": [origin.simple]}
    running.write_config()
    running.send(signal.SIGHUP)
    running.wait_log(r"INFO reloaded [\s\S]*INFO reloaded ")
    for _ in range(20):
        assert get(f"{running.url}/corp/simple/alpha/").status == 200
    assert running.log.count("ERROR not reloaded") == 1


def test_what_one_worker_learns_of_a_page_the_other_serves(daemon: Daemons, origin: Origin) -> None:
    """A page that one has asked for anew is the same everywhere, although the other one held an older one, still fresh."""
    origin.add(wheel("alpha", "1.0"))
    running = daemon(config_for(origin, **TWO))
    url, form = f"{running.simple}alpha/", {"Accept": "application/vnd.pypi.simple.v1+json"}
    for _ in range(40):
        assert len(get(url, form).json()["files"]) == 1
    origin.add(wheel("alpha", "2.0"))
    assert len(get(url, {**form, "Cache-Control": "no-cache"}).json()["files"]) in {1, 2}
    deadline = time.monotonic() + 20
    while len(get(url, {**form, "Cache-Control": "no-cache"}).json()["files"]) == 1:
        assert time.monotonic() < deadline
    while {len(get(url, form).json()["files"]) for _ in range(40)} != {2}:
        assert time.monotonic() < deadline
    assert running.stop() == 0


def test_what_one_worker_learns_of_a_page_ends_what_is_hot_in_the_other(
    daemon: Daemons, origin: Origin
) -> None:
    """On connections that stay, where a page that was given twice is given again without a thought."""
    origin.add(wheel("alpha", "1.0"))
    running = daemon(config_for(origin, **TWO))
    with closing(connected(running, 1)) as first, closing(connected(running, 2)) as second:
        for _ in range(5):
            assert {page(each) for each in (first, second)} == {1}
        origin.add(wheel("alpha", "2.0"))
        until(lambda: page(first, **{"Cache-Control": "no-cache"}) == 2)
        until(lambda: page(second) == 2)
    assert running.stop() == 0


def page(connection: http.client.HTTPConnection, **headers: str) -> int:
    """How many files the page has there."""
    connection.request("GET", "/root/pypi/simple/alpha/", headers={"Accept": JSON, **headers})
    return len(json.loads(connection.getresponse().read())["files"])


def fetched(url: str, clients: int = 20) -> tuple[set[tuple[int, bytes]], list[str]]:
    """What so many clients get at the same time, and how each came by it."""
    with ThreadPoolExecutor(clients) as pool:
        answers = list(pool.map(lambda _: get(url), range(clients)))
    ways = [each.headers.get("cache-status", "") for each in answers]
    return {(each.status, each.body) for each in answers}, ways


def test_two_workers_ask_for_one_page_once(daemon: Daemons, origin: Origin) -> None:
    """Promise 2 with workers: one question at a time for a page, cold, absent and grown old."""
    origin.add(wheel("alpha", "1.0"))
    origin.script(lambda _: True, Delay(0.3), repeat=True)
    running = daemon(config_for(origin, index={"ttl": "1s", "patience": "5s"}, **TWO))
    assert len(both(running)) == 2
    ((status, body),), ways = fetched(f"{running.simple}alpha/")
    assert (status, b"alpha-1.0" in body) == (200, True)
    assert len([way for way in ways if "fwd=miss" in way and "collapsed" not in way]) == 1, ways
    ((status, _),), _ = fetched(f"{running.simple}nothing/")
    assert status == 404
    assert [origin.count(f"/simple/{name}/") for name in ("alpha", "nothing")] == [1, 1]
    until(lambda: "hit" not in get(f"{running.simple}alpha/").headers["cache-status"])
    asked = origin.count("/simple/alpha/")
    assert len(fetched(f"{running.simple}alpha/")[0]) == 1
    assert origin.count("/simple/alpha/") <= asked + 1
    assert running.stop() == 0


def question_in_one(running: Daemon, origin: Origin) -> list[http.client.HTTPConnection]:
    """The first worker asks for a page, and gets no answer; a client of the second one wants it, too."""
    origin.add(wheel("alpha", "1.0"))
    origin.script("/simple/alpha/", StallAt(0, origin.gate()))
    connections = [connected(running, number) for number in (1, 2)]
    connections[0].request("GET", "/simple/alpha/")
    until(lambda: origin.count("/simple/alpha/") == 1)
    connections[1].request("GET", "/simple/alpha/")
    until(lambda: get(f"{running.url}/-/status").json()["in_flight"] == 3)
    assert origin.count("/simple/alpha/") == 1
    return connections


def test_a_worker_that_is_killed_in_a_question_leaves_it_to_the_other(
    daemon: Daemons, origin: Origin
) -> None:
    running = daemon(config_for(origin, **TWO))
    connections = question_in_one(running, origin)
    psutil.Process(pids(running)[1]).kill()
    assert connections[1].getresponse().status == 200
    assert origin.count("/simple/alpha/") == 2
    for connection in connections:
        connection.close()
    assert running.stop() == 0


@pytest.mark.soak
def test_a_worker_that_hangs_in_a_question_holds_the_other_up_for_a_while(
    daemon: Daemons, origin: Origin
) -> None:
    """As long as a question may take; the client is answered all the same before it gives up."""
    running = daemon(config_for(origin, **TWO))
    connections = question_in_one(running, origin)
    hanging = psutil.Process(pids(running)[1])
    hanging.suspend()
    try:
        began = time.monotonic()
        assert connections[1].getresponse().status == 200
        assert 8 < time.monotonic() - began < 12
    finally:
        hanging.resume()
    for connection in connections:
        connection.close()


def test_metrics_are_those_of_all_workers(daemon: Daemons, origin: Origin) -> None:
    """Whichever is asked, and counters never go back."""
    running = daemon(config_for(origin, **TWO))
    assert len(both(running)) == 2
    last = 100.0
    for _ in range(10):
        text = get(f"{running.url}/metrics").text
        count = sum(
            float(n)
            for n in re.findall(r'^pypicache_requests_total\{.*status="404".*\} (\S+)$', text, re.MULTILINE)
        )
        assert count >= last
        last = count
    assert running.stop() == 0


def connected(running: Daemon, number: int) -> http.client.HTTPConnection:
    """An open connection to the worker with that number."""
    while True:
        connection = http.client.HTTPConnection(running.url.removeprefix("http://"), timeout=15)
        connection.request("GET", "/healthz")
        connection.getresponse().read()
        port = connection.sock.getsockname()[1]
        peers = psutil.Process(pids(running)[number]).net_connections()
        if port in {each.raddr.port for each in peers if len(each.raddr)}:
            return connection
        connection.close()


def asked(connection: http.client.HTTPConnection, path: str) -> str:
    """What it answers to a browser."""
    connection.request("GET", path, headers={"Accept": "text/html"})
    answer = connection.getresponse()
    assert answer.status == 200
    return answer.read().decode()


def test_status_is_that_of_all_workers_whichever_is_asked(daemon: Daemons, origin: Origin) -> None:
    """Requests, traffic, mirrors, downloads and their readers: added up, on every way to them."""
    small, item = wheel("alpha", "1.0"), wheel("beta", "1.0", size=2 << 20)
    origin.add(small)
    origin.add(item)
    gate = origin.gate()
    origin.script(item.filename, StallAt(1 << 20, gate))
    running = daemon(config_for(origin, mirror=ONE, **TWO))
    for _ in range(40):
        get(f"{running.simple}alpha/")
    link = running.link(item)
    clients = [ByHand(link) for _ in range(12)]
    for client in clients:
        assert b"200 OK" in client.head()
    for number in (1, 2):
        connection = connected(running, number)
        said, page = json.loads(asked(connection, "/-/status")), asked(connection, "/")
        connection.close()
        assert "2 workers" in page
        assert [(each["number"], each["answers"]) for each in said["workers"]] == [(1, True), (2, True)]
        parts = [each["requests"] for each in said["workers"]]
        assert min(parts) > 0
        assert said["totals"]["requests"] == sum(parts) == said["indexes"][0]["requests"] == 41
        assert said["totals"]["page_hits"] + said["totals"]["page_misses"] == 41
        assert sum(minute["requests"] for minute in said["traffic"]) == 41
        assert said["in_flight"] == 13
        (told,) = said["downloads"]
        assert (said["transfers"], said["readers"], told["readers"]) == (1, 12, 12)
        assert (told["filename"], told["mirrors"]) == (item.filename, ["origin"])
        (mirror,) = said["indexes"][0]["mirrors"]
        assert (mirror["health"], mirror["requests"]) == ("up", 3)
        assert said["totals"]["received"] == mirror["received"] >= 1 << 20
    gate.open()
    for client in clients:
        assert client.read(len(item.data)) == item.data
        client.close()
    command = [sys.executable, "-m", "pypicache", "status", "-c", str(running.config_file)]
    env = clean(running.folder / "home", {"PYTHONPATH": str(REPOSITORY)})
    shown = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout
    assert ", 2 workers" in shown
    assert re.search(r"requests +53, 0 failed", shown)
    assert running.stop() == 0


def test_a_worker_that_does_not_answer_is_named_and_left_out(daemon: Daemons, origin: Origin) -> None:
    """Within a second or so, and the rest is told."""
    running = daemon(config_for(origin, **TWO))
    connection = connected(running, 1)
    hanging = psutil.Process(pids(running)[2])
    hanging.suspend()
    try:
        said = json.loads(asked(connection, "/-/status"))
        page, metrics = asked(connection, "/"), asked(connection, "/metrics")
    finally:
        hanging.resume()
        connection.close()
    assert [(each["number"], each["answers"]) for each in said["workers"]] == [(1, True), (2, False)]
    assert "<strong>Worker 2 doesn" in page
    console = Console(file=io.StringIO(), width=200)
    show(said, console)
    assert "worker 2 doesn't answer" in console.file.getvalue()  # type: ignore[attr-defined]
    assert "pypicache_requests_total" in metrics
    assert running.stop() == 0


def test_all_workers_drain(daemon: Daemons, origin: Origin) -> None:
    """Promise 9 with workers: what is on its way is finished, whoever sends it; exit 0."""
    item = wheel("alpha", "1.0", size=3 << 20)
    origin.add(item)
    origin.script(item.filename, Rate(2 << 20))
    running = daemon(config_for(origin, mirror=ONE, **TWO), fresh=True)
    link = running.link(item)
    clients = [ByHand(link) for _ in range(8)]
    for client in clients:
        assert b"200 OK" in client.head()
    for pid in (
        running.pid,
        *pids(running).values(),
    ):  # as a terminal or a service manager may: to all of them
        psutil.Process(pid).send_signal(signal.SIGTERM)
    running.wait_log("stopping: running responses")
    for client in clients:
        assert client.read(len(item.data)) == item.data
        client.close()
    assert running.stop() == 0


@pytest.mark.soak
def test_a_worker_that_hangs_is_killed_and_replaced(
    daemon: Daemons, origin: Origin, tmp_path_factory: pytest.TempPathFactory
) -> None:
    address = str(tmp_path_factory.mktemp("n") / "s")
    running = daemon(config_for(origin, **TWO), env={"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "3000000"})
    first = pids(running)
    psutil.Process(first[2]).suspend()
    running.wait_log(r"worker 2 \(process \d+\) hangs and is killed")
    running.wait_log(rf"worker 2 serves, process (?!{first[2]}\b)")


@pytest.mark.soak
def test_a_worker_that_the_system_has_no_room_for_is_tried_again(daemon: Daemons, origin: Origin) -> None:
    """It may have been killed for want of memory: then its successor finds none either, and the other serves on."""
    fork = "clone,fork,vfork"
    prefix = ["strace", "-D", "-f", "-qq", "-o", os.devnull, "-e", f"trace={fork}"]
    prefix += ["-e", f"inject={fork}:error=ENOMEM:when=3"]
    if shutil.which("strace") is None or subprocess.run([*prefix, "true"], check=False).returncode:
        pytest.skip("strace isn't installed, or can't trace here")
    running = daemon(config_for(origin, **TWO), wrapper=prefix)
    first = pids(running)
    psutil.Process(first[2]).kill()
    running.wait_log("worker 2 can't be started: Cannot allocate memory")
    assert get(f"{running.url}/healthz").status == 200
    running.wait_log(rf"worker 2 serves, process (?!{first[2]}\b)")
    assert running.stop() == 0


@pytest.mark.soak
def test_a_daemon_that_was_stopped_as_a_whole_goes_on_as_it_was(
    daemon: Daemons, origin: Origin, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A paused container, or Ctrl-Z and fg: the workers were silent, and so was who would have heard them."""
    address = str(tmp_path_factory.mktemp("n") / "s")
    running = daemon(config_for(origin, **TWO), env={"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "3000000"})
    all_of_it = [psutil.Process(running.pid), *running.children()]
    for process in all_of_it:
        process.suspend()
    over = time.monotonic() + 7
    until(lambda: time.monotonic() > over)
    for process in all_of_it:
        process.resume()
    running.send(signal.SIGHUP)
    until(lambda: running.log.count("INFO reloaded") == 2)
    assert "hangs" not in running.log
    assert len(both(running)) == 2
    assert running.stop() == 0


def test_workers_do_not_outlive_their_supervisor(daemon: Daemons, origin: Origin) -> None:
    running = daemon(config_for(origin, **TWO), fresh=True)
    workers = [psutil.Process(pid) for pid in pids(running).values()]
    running.kill()
    gone, alive = psutil.wait_procs(workers, timeout=20)
    assert len(gone) == 2
    assert not alive


def test_a_start_that_fails_is_one_error_and_exit_1(daemon: Daemons, origin: Origin) -> None:
    running = daemon(config_for(origin, **TWO))
    config = config_for(origin, server={"workers": 2, "listen": running.url.removeprefix("http://")})
    failing = daemon(config, start=False)
    with pytest.raises(AssertionError, match="ended with 1:"):
        failing.start()
    assert failing.log.count("CRITICAL") == 1
    assert "can't listen on" in failing.log


@pytest.mark.parametrize(
    ("lived", "deaths", "wait", "count"),
    [
        (0.1, 1, 0, 1),
        (0.1, 2, 0.5, 2),
        (0.1, 3, 1, 3),
        (0.1, 5, 4, 5),
        (0.1, 100, 30, 100),
        (31, 100, 0, 1),
    ],
)
def test_when_a_worker_starts_again(lived: float, deaths: int, wait: float, count: int) -> None:
    """At once, and later and later if it dies again and again."""
    assert (wait, count) == delay(lived, deaths)
