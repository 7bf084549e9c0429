"""Real pip and real uv against the public index, through a daemon that a newcomer would have started."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.daemon import Daemon
from tests.installers import Result, pip_dry_run, pip_install, uv_compile
from tests.live import public

pytestmark = [pytest.mark.live, pytest.mark.timeout(240)]

Make = Callable[..., Daemon]

REQUIREMENTS = ["requests>=2.30", "flask", "ruamel.yaml", "zope.interface"]


def test_requests_is_installed_and_then_again_from_the_cache_alone(daemon: Make, tmp_path: Path) -> None:
    """*Once cached, always served*: the second time the mirror is a closed port."""
    public.needed()
    config: dict[str, Any] = {"indexes": {"root/pypi": {"mirrors": ["pypi"]}}}
    running = daemon(config)
    pip_install(tmp_path / "first", "requests", index_url=running.simple).check()
    running.stop()
    closed = {"url": "http://127.0.0.1:9/simple/", "name": "pypi"}
    alone = daemon(
        {"cache": {"dir": str(running.cache)}, "indexes": {"root/pypi": {"mirrors": [closed], "ttl": 0}}}
    )
    pip_install(tmp_path / "second", "requests", index_url=alone.simple).check()
    assert names(tmp_path / "first") == names(tmp_path / "second")
    assert any(name.startswith("requests-") for name in names(tmp_path / "second"))


def names(target: Path) -> set[str]:
    return {path.name for path in target.glob("*.dist-info")}


def test_uv_resolves_the_same(daemon: Make, tmp_path: Path) -> None:
    public.needed()
    running = daemon({})
    pins = [
        sorted(re.findall(r"^[a-z0-9.-]+==\S+", compiled(tmp_path / str(n), url), re.MULTILINE))
        for n, url in enumerate((public.SIMPLE, running.simple))
    ]
    assert pins[0] == pins[1]
    assert len(pins[0]) > 8


def compiled(folder: Path, index_url: str) -> str:
    return (
        uv_compile(
            folder, *REQUIREMENTS, index_url=index_url, extra_args=["-q", "--no-annotate"], env=public.TRUST
        )
        .check()
        .out
    )


def test_pip_resolves_the_same(daemon: Make, tmp_path: Path) -> None:
    public.needed()
    running = daemon({})
    said = [
        would(pip_dry_run(tmp_path / str(n), *REQUIREMENTS, index_url=url, env=public.TRUST))
        for n, url in enumerate((public.SIMPLE, running.simple))
    ]
    assert said[0] == said[1]


def would(result: Result) -> set[str]:
    line = next(line for line in result.check().out.splitlines() if line.startswith("Would install"))
    return set(line.removeprefix("Would install").split())
