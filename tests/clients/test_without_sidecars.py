"""Resolving against a mirror that offers no sidecars: through the cache no whole wheel is downloaded, by real uv and pip."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.daemon import Daemon, config_for
from tests.installers import Result, pip_dry_run, uv_compile
from tests.origin import Origin
from tests.wheels import wheel

Make = Callable[..., Daemon]

SIZE = 5 << 20
WHEELS = [
    wheel("app", "1.0", requires=["lib>=1", "util<3"], size=SIZE),
    wheel("lib", "1.0", requires=["util"], size=SIZE),
    wheel("lib", "2.0", requires=["util<2"], size=SIZE),
    wheel("lib", "3.0", requires=["util>=4"], size=SIZE),
    wheel("lib", "4.0", requires_python=">=4", size=SIZE),
    wheel("util", "1.0", size=SIZE),
    wheel("util", "2.0", size=SIZE),
    wheel("util", "4.0", size=SIZE),
]


@pytest.fixture
def bare(origin: Origin) -> Origin:
    """A mirror that says of its wheels neither what they require nor for which Pythons."""
    for item in WHEELS:
        origin.add(item, core_metadata=False, extra={"requires-python": None})
    return origin


def pins(result: Result) -> list[str]:
    return sorted(line for line in result.check().out.splitlines() if "==" in line)


def downloaded(origin: Origin) -> int:
    return sum(origin.bytes_sent(item.filename) for item in WHEELS)


@pytest.mark.parametrize("form", ["json", "html"])
def test_uv_resolves_the_same_and_downloads_no_wheel(
    bare: Origin, daemon: Make, tmp_path: Path, form: Literal["json", "html"]
) -> None:
    for name in ("app", "lib", "util"):
        bare.project(name, form=form)
    direct = pins(uv_compile(tmp_path / "direct", "app", index_url=bare.simple, extra_args=["--no-annotate"]))
    assert direct == ["app==1.0", "lib==2.0", "util==1.0"]
    bare.forget()
    running = daemon(config_for(bare))
    arguments: dict[str, Any] = {"index_url": running.simple, "extra_args": ["--no-annotate"]}
    for again in range(2):
        assert pins(uv_compile(tmp_path / f"cached{again}", "app", **arguments)) == direct
    assert downloaded(bare) < len(WHEELS) * (64 << 10)
    assert not [r for r in bare.requests if r.filename.endswith(".whl") and "range" not in r.headers]
    assert "stored" not in running.log.replace("; stored", "")


def test_pip_resolves_the_same_and_downloads_only_what_it_would_install(
    bare: Origin, daemon: Make, tmp_path: Path
) -> None:
    """What a sidecar has is taken for each candidate that pip looks at; the wheels only of those it would install."""
    running = daemon(config_for(bare))
    result = pip_dry_run(tmp_path / "pip", "app", index_url=running.simple).check()
    assert "Would install app-1.0 lib-2.0 util-1.0" in result.out
    assert downloaded(bare) < 4 * SIZE
