"""The environment that tests and their subprocesses get: nothing of the machine's own settings.

A developer's pip or uv configuration, proxies or index would otherwise decide what a test measures.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import pypicache

REPOSITORY = Path(pypicache.__file__).parent.parent
"""Where `import pypicache` comes from."""

KEPT = {"PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "COVERAGE_PROCESS_START"}
"""What is left of the machine's own."""

_FOREIGN = ("PIP_", "UV_")


def foreign(names: Iterable[str]) -> list[str]:
    """Those of the variable names that configure pip or uv."""
    return [name for name in names if name.startswith(_FOREIGN)]


def clean(home: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """A subprocess's whole environment, with `home` as its home directory, which is made."""
    home.mkdir(parents=True, exist_ok=True)
    return {
        **{name: value for name, value in os.environ.items() if name in KEPT},
        "HOME": str(home),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "UV_NO_CONFIG": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "PYTHONUNBUFFERED": "1",
        **(extra or {}),
    }
