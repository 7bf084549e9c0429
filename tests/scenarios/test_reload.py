"""SIGHUP: the configuration is read again, without a request being dropped; one with errors changes nothing."""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pypicache.config import schema
from pypicache.config.load import load
from pypicache.reloading import settle
from tests.client import ByHand, get
from tests.daemon import Daemon, config_for
from tests.installers import Result, uv_install
from tests.origin import Delay, Origin, StallAt
from tests.wheels import wheel

Daemons = Callable[..., Daemon]


def reload(running: Daemon, **changes: Mapping[str, Any]) -> None:
    """Write the configuration with the changed sections, send SIGHUP and wait until it is in force."""
    running.config.update(changes)
    running.write_config()
    seen = len(running.log)
    running.send(signal.SIGHUP)
    running.wait_log(r"INFO reloaded ", since=seen)


def test_an_index_that_is_added_is_served_without_a_restart(daemon: Daemons, origin: Origin) -> None:
    origin.add(wheel("alpha", "1.0"))
    running = daemon(config_for(origin))
    assert get(f"{running.url}/corp/simple/alpha/").status == 404
    mirrors = {"mirrors": [origin.simple]}
    reload(running, indexes={**running.config["indexes"], "corp": mirrors})
    assert get(f"{running.url}/corp/simple/alpha/").status == 200
    assert get(f"{running.simple}alpha/").status == 200


def test_a_mirror_that_is_replaced_is_not_asked_any_more(
    daemon: Daemons, origins: Callable[..., Origin]
) -> None:
    first, second = origins(), origins()
    second.add(wheel("alpha", "1.0"))
    running = daemon(config_for(first))
    assert get(f"{running.simple}alpha/").status == 404
    reload(running, **config_for(second, index={"negative_ttl": "0s"}))
    asked = first.count()
    assert get(f"{running.simple}alpha/").status == 200
    assert first.count() == asked


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("indexes: [", r"ERROR {file}:\d+:\d+: "),
        (
            "indexes: {root/pypi: {mirors: [pypi]}}",
            r"ERROR {file}:1:\d+: indexes\.root/pypi\.mirors: .*mirrors",
        ),
        ("auth: {anonymous: none}", r"ERROR {file}:1:7: auth: nobody could read"),
        (None, r"ERROR {file}.*No such file"),
    ],
    ids=["yaml", "unknown-key", "closed", "gone"],
)
def test_a_file_with_errors_changes_nothing_and_says_why(
    daemon: Daemons, origin: Origin, text: str | None, says: str
) -> None:
    """Which file, line and column, as `pypicache check` would."""
    origin.add(wheel("alpha", "1.0"))
    running = daemon(config_for(origin))
    running.config_file.unlink()
    if text is not None:
        running.config_file.write_text(text)
    running.send(signal.SIGHUP)
    running.wait_log(r"ERROR not reloaded: .* stays in force")
    running.wait_log(says.format(file=running.config_file))
    assert get(f"{running.simple}alpha/").status == 200
    running.write_config()
    reload(running)


def test_what_a_reload_cannot_change_is_named(daemon: Daemons, origin: Origin, tmp_path: Path) -> None:
    running = daemon(config_for(origin))
    running.config["server"] = {"listen": "127.0.0.1:1", "workers": 3}
    reload(running, cache={"dir": str(tmp_path / "elsewhere")})
    for name in ("server.listen", "server.workers", "cache.dir"):
        running.wait_log(rf"WARNING {name} has changed in the configuration: that takes a restart")
    assert not (tmp_path / "elsewhere").exists()
    assert get(f"{running.url}/healthz").status == 200


def test_a_response_that_is_on_its_way_is_finished_by_what_it_began_with(
    daemon: Daemons, origins: Callable[..., Origin]
) -> None:
    """The mirror that it comes from isn't configured any more."""
    first, second = origins(), origins()
    item = wheel("alpha", "1.0", size=1 << 20)
    first.add(item)
    gate = first.gate()
    first.script(item.filename, StallAt(500_000, gate))
    running = daemon(config_for(first))
    client = ByHand(running.link(item))
    assert b"200 OK" in client.head()
    begun = client.read(1000)
    reload(running, **config_for(second))
    gate.open()
    assert begun + client.read(len(item.data) - 1000) == item.data
    client.close()


def test_an_index_that_a_reload_kept_is_kept_for_requests_from_before_it(
    daemon: Daemons, origins: Callable[..., Origin]
) -> None:
    """A reload that changes nothing, then one that drops the index: its first requests are still answered from it."""
    first, second = origins(), origins()
    item = wheel("alpha", "1.0", size=1 << 20)
    first.add(item)
    gate = first.gate()
    first.script("/simple/alpha/", Delay(gate))
    running = daemon(config_for(first))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(get, f"{running.simple}alpha/")
        first.wait_for(lambda: first.stalled == 1)
        reload(running)
        reload(running, **config_for(second))
        gate.open()
        assert waiting.result().status == 200


def test_a_download_that_others_have_joined_since_is_finished(
    daemon: Daemons, origins: Callable[..., Origin]
) -> None:
    """It began before the reload, and the client that caused it has left; the mirror isn't configured any more."""
    first, second = origins(name="first"), origins(name="second")
    item = wheel("alpha", "1.0", size=1 << 20)
    first.add(item)
    second.add(item)
    gate = first.gate()
    first.script(item.filename, StallAt(500_000, gate))
    running = daemon(config_for(first))
    link = running.link(item)
    leaving = ByHand(link)
    assert b"200 OK" in leaving.head()
    reload(running, **config_for(second))
    joining = ByHand(link)
    assert b"200 OK" in joining.head()
    begun = joining.read(1000)
    leaving.close()
    running.wait_log(rf'{item.filename}" 499 ')
    gate.open()
    assert begun + joining.read(len(item.data) - 1000) == item.data
    joining.close()


def test_a_reload_settles_on_what_a_running_process_can_be(tmp_path: Path) -> None:
    file = tmp_path / "pypicache.yaml"
    file.write_text("server: {listen: '127.0.0.1:1', workers: 2, accel_group: web, max_connections: 7}\n")
    running = schema.Config(path=file)
    config, fixed = settle(running, load(file, {"HOME": str(tmp_path)}))
    assert config.server.listen == running.server.listen
    assert config.server.workers == 1
    assert config.server.max_connections == 7
    assert set(fixed) == {"server.listen", "server.workers", "cache.dir"}


def under_load(daemon: Daemons, origins: Callable[..., Origin], folder: Path, times: int) -> None:
    """Reload so many times, every third time with errors, while uv installs again and again without a cache of its own."""
    first, second = origins(name="first"), origins(name="second")
    names = [f"load{number}" for number in range(12)]
    for name in names:
        for origin in (first, second):
            origin.add(wheel(name, "1.0", size=50_000))
    orders = [config_for(*each, index={"ttl": "0s"}) for each in ((first, second), (second, first))]
    running = daemon(orders[0])
    done, installs = threading.Event(), 0
    failures: list[Result] = []

    def install() -> None:
        nonlocal installs
        while not done.is_set():
            result = uv_install(folder / f"uv{installs}", *names, index_url=running.simple)
            if result.code:
                failures.append(result)
            installs += 1

    load = threading.Thread(target=install)
    load.start()
    try:
        for number in range(times):
            seen = len(running.log)
            if number % 3 == 2:
                running.config_file.write_text(
                    "indexes: {root/pypi: {mirrors: [https://x.example/], ttl: soon}}\n"
                )
                running.send(signal.SIGHUP)
                running.wait_log("ERROR not reloaded", since=seen)
            else:
                reload(running, **orders[number % 2])
    finally:
        done.set()
        load.join()
    assert installs
    assert not failures
    assert running.stop() == 0
    told = re.findall(r'.*" (\d{3}) \d+ [\d.]+ms .*', running.log)
    assert told
    # uv leaves (499) when it has what it needs.
    assert set(told) <= {"200", "206", "304", "404", "499"}, "\n".join(
        line
        for line in running.log.splitlines()
        if '" 5' in line or ("INFO" not in line and " access " not in line)
    )


def test_uv_notices_nothing_of_reloads(
    daemon: Daemons, origins: Callable[..., Origin], tmp_path: Path
) -> None:
    under_load(daemon, origins, tmp_path, 9)


@pytest.mark.soak
def test_uv_notices_nothing_of_a_hundred_reloads(
    daemon: Daemons, origins: Callable[..., Origin], tmp_path: Path
) -> None:
    under_load(daemon, origins, tmp_path, 100)
