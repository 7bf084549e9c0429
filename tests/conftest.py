"""Fixtures that every test may ask for, and the rules of a test run.

An origin, daemons and a clock are made here and ended here. Where nobody looks at skips (PYPICACHE_CI=1), a skip
is a failure, so that a missing tool can't hide half of the suite; tests marked `live` may skip even there.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.clock import ManualClock
from tests.daemon import Daemon
from tests.environment import foreign
from tests.origin import Origin

settings.register_profile("whatever else runs", settings(deadline=None))
settings.load_profile("whatever else runs")


@pytest.fixture(scope="session", autouse=True)
def own_environment() -> Generator[None]:
    """No pip or uv settings of the machine reach a test or what it starts."""
    with pytest.MonkeyPatch.context() as patch:
        for name in foreign(os.environ):
            patch.delenv(name)
        yield


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands still."""
    return ManualClock()


@pytest.fixture
def origin() -> Generator[Origin]:
    """An empty index on loopback."""
    with Origin() as started:
        yield started


@pytest.fixture
def origins() -> Generator[Callable[..., Origin]]:
    """Makes started origins; takes what `Origin` takes, and names them origin, origin2, … unless told."""
    with ExitStack() as stack:
        made: list[Origin] = []

        def make(**options: Any) -> Origin:
            options.setdefault("name", f"origin{len(made) + 1}" if made else "origin")
            made.append(stack.enter_context(Origin(**options)))
            return made[-1]

        yield make


@pytest.fixture
def daemon(tmp_path: Path) -> Generator[Callable[..., Daemon]]:
    """Makes daemons from configurations (see `config_for`), started unless `start=False`, each in its own folder."""
    with ExitStack() as stack:
        made: list[Daemon] = []

        def make(config: Mapping[str, Any], *, start: bool = True, **options: Any) -> Daemon:
            folder = tmp_path / (f"daemon{len(made) + 1}" if made else "daemon")
            made.append(Daemon(folder, config, **options))
            stack.callback(made[-1].close)
            return made[-1].start() if start else made[-1]

        yield make


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None]:
    """Six thousand tests stay until the end: to look for garbage among them, again and again, takes a tenth of all time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def _skips_fail() -> bool:
    return os.environ.get("PYPICACHE_CI") == "1"


def _failed_instead(report: pytest.TestReport | pytest.CollectReport) -> None:
    report.outcome = "failed"
    why = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
    report.longrepr = f"{report.nodeid}: skipped, which is a failure here: {why}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A skipped test fails where skips are not allowed; an expected failure isn't a skip."""
    report = yield
    expected = hasattr(report, "wasxfail") or item.get_closest_marker("live") is not None
    if report.skipped and not expected and _skips_fail():
        _failed_instead(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A module that skips itself as a whole fails where skips are not allowed."""
    report = yield
    if report.skipped and _skips_fail():
        _failed_instead(report)
    return report
