"""Loading a configuration from text, in an environment that the test chooses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pypicache.config.load import load
from pypicache.config.schema import Config
from pypicache.errors import ConfigError

LoadText = Callable[..., Config]
ProblemsOf = Callable[..., list[str]]


@pytest.fixture
def load_text(tmp_path: Path) -> LoadText:
    """Load this text as `c.yaml`; the home directory is `/home/me`, unless `env` says otherwise."""

    def run(text: str | bytes, env: Mapping[str, str] | None = None) -> Config:
        path = tmp_path / "c.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(0o600)
        return load(path, {"HOME": "/home/me"} if env is None else env)

    return run


@pytest.fixture
def problems_of(load_text: LoadText, tmp_path: Path) -> ProblemsOf:
    """What is wrong with this text: its problems without the file's name, none if it's fine."""

    def run(text: str | bytes, env: Mapping[str, str] | None = None) -> list[str]:
        try:
            load_text(text, env)
        except ConfigError as error:
            return [problem.removeprefix(f"{tmp_path / 'c.yaml'}:") for problem in error.problems]
        return []

    return run
