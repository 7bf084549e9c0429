"""One origin for all conformance tests, and two daemons in front of it; tests tell each other apart by project names."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.conformance.place import Place
from tests.daemon import Daemon, config_for
from tests.origin import Origin

TRUSTING = {"trusted_proxies": ["127.0.0.0/8", "::1/128"]}
"""As `init` has it: more of a request is looked at then."""


@pytest.fixture(scope="session")
def shared_origin() -> Generator[Origin]:
    with Origin() as started:
        yield started


@pytest.fixture(scope="session")
def place(
    shared_origin: Origin, tmp_path_factory: pytest.TempPathFactory, own_environment: None
) -> Generator[Place]:
    """A daemon that trusts proxies on this machine, as with what `init` writes. At the end, its log holds no traceback."""
    daemon = Daemon(tmp_path_factory.mktemp("place"), config_for(shared_origin, server=TRUSTING))
    with daemon:
        yield Place(shared_origin, daemon)
    assert "Traceback" not in daemon.log, daemon.log
    assert "a bug" not in daemon.log, daemon.log


@pytest.fixture(scope="session")
def eager(
    shared_origin: Origin, tmp_path_factory: pytest.TempPathFactory, own_environment: None
) -> Generator[Place]:
    """A daemon that believes no page longer than it must: each request asks the origin."""
    index = {"ttl": 0, "negative_ttl": 0, "patience": "10s"}
    daemon = Daemon(tmp_path_factory.mktemp("eager"), config_for(shared_origin, index=index))
    with daemon:
        yield Place(shared_origin, daemon)
    assert "Traceback" not in daemon.log, daemon.log
    assert "a bug" not in daemon.log, daemon.log
