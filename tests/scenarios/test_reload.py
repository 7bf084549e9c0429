"""SIGHUP: the configuration is read again, without a request being dropped; one with errors changes nothing."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from pypicache.config import schema
from pypicache.config.load import load
from pypicache.reloading import settle
from tests.client import ByHand, get
from tests.daemon import Daemon, config_for
from tests.origin import Origin, StallAt
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


def test_a_reload_settles_on_what_a_running_process_can_be(tmp_path: Path) -> None:
    file = tmp_path / "pypicache.yaml"
    file.write_text("server: {listen: '127.0.0.1:1', workers: 2, accel_group: web, max_connections: 7}\n")
    running = schema.Config(path=file)
    config, fixed = settle(running, load(file, {"HOME": str(tmp_path)}))
    assert config.server.listen == running.server.listen
    assert config.server.workers == 1
    assert config.server.max_connections == 7
    assert set(fixed) == {"server.listen", "server.workers", "cache.dir"}
