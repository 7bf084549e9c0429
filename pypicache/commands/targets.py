"""What a prefetch is for: Pythons and platforms, by the names that people give them, and the tags of wheels that fit.

A platform is `linux-x86_64`, `linux-aarch64`, `musl-x86_64`, `macos-arm64`, `windows-amd64` and so on, or a tag as pip takes it
(`manylinux_2_28_x86_64`, `macosx_12_0_arm64`, `win_amd64`). A Python is `3.12`: CPython.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from packaging import tags

from pypicache.care.orders import Target
from pypicache.errors import PypicacheError, one_line

_PYTHON = re.compile(r"(\d)\.(\d{1,2})(?:\.\d+)?")
_LINUX = re.compile(r"(linux|musl)-([a-z0-9_]+)")
_MAC = re.compile(r"macos-(arm64|x86_64)")
_WINDOWS = re.compile(r"windows-(amd64|arm64|x86)")
_MANYLINUX = re.compile(r"manylinux_2_(\d+)_([a-z0-9_]+)")
_MACOSX = re.compile(r"macosx_(\d+)_(\d+)_(arm64|x86_64)")
_TAG = re.compile(r"[a-z0-9_]{3,60}")
_OLD = {5: "manylinux1", 12: "manylinux2010", 17: "manylinux2014"}
_GLIBC = 42
_MUSL = 2
_MACOS = (15, 0)
_UV = {
    "linux-x86_64": "x86_64-unknown-linux-gnu",
    "linux-aarch64": "aarch64-unknown-linux-gnu",
    "musl-x86_64": "x86_64-unknown-linux-musl",
    "musl-aarch64": "aarch64-unknown-linux-musl",
    "macos-arm64": "aarch64-apple-darwin",
    "macos-x86_64": "x86_64-apple-darwin",
    "windows-amd64": "x86_64-pc-windows-msvc",
    "windows-arm64": "aarch64-pc-windows-msvc",
}


@dataclass(frozen=True, slots=True)
class Place:
    """One Python on one platform; None is what this program runs on."""

    python: str | None
    platform: str | None

    @property
    def name(self) -> str:
        """For people."""
        return f"Python {self.python or _own_python()} on {self.platform or 'this platform'}"

    @property
    def target(self) -> Target:
        """The tags of wheels that fit. Raises PypicacheError for a name that isn't known."""
        if self.python is None and self.platform is None:
            return Target(name=self.name, tags=tuple(map(str, tags.sys_tags())))
        match = _PYTHON.fullmatch(self.python or _own_python())
        if match is None:
            raise PypicacheError(f"no Python is called {one_line(self.python or '', 40)}: 3.12 is one")
        version = (int(match[1]), int(match[2]))
        platforms = list(tags.platform_tags() if self.platform is None else _platforms(self.platform))
        found = [*tags.cpython_tags(version, platforms=platforms)]
        found += tags.compatible_tags(version, f"cp{match[1]}{match[2]}", platforms)
        return Target(name=self.name, tags=tuple(map(str, found)))

    @property
    def uv_options(self) -> list[str]:
        """How uv is told."""
        options = [] if self.python is None else ["--python-version", self.python]
        if self.platform is not None:
            options += ["--python-platform", _UV.get(self.platform, self._uv_tag())]
        return options

    def _uv_tag(self) -> str:
        match = _MANYLINUX.fullmatch(self.platform or "")
        return f"{match[2]}-manylinux_2_{match[1]}" if match else self.platform or ""

    @property
    def pip_options(self) -> list[str]:
        """How pip is told."""
        options = [] if self.python is None else ["--python-version", self.python]
        if self.platform is not None:
            options += [word for each in _platforms(self.platform) for word in ("--platform", each)]
        return [*options, "--only-binary", ":all:"] if options else []


def places(pythons: Sequence[str], platforms: Sequence[str]) -> list[Place]:
    """Every one of the Pythons on every one of the platforms."""
    return [Place(python, platform) for python in pythons or (None,) for platform in platforms or (None,)]


def _own_python() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _platforms(name: str) -> Iterator[str]:
    """The platform's tags, the best first. Raises PypicacheError."""
    if match := _LINUX.fullmatch(name):
        if match[1] == "linux":
            yield from _manylinux(_GLIBC, match[2])
        else:
            yield from (f"musllinux_1_{minor}_{match[2]}" for minor in range(_MUSL, -1, -1))
            yield f"linux_{match[2]}"
    elif match := _MANYLINUX.fullmatch(name):
        yield from _manylinux(int(match[1]), match[2])
    elif match := _MAC.fullmatch(name):
        yield from tags.mac_platforms(_MACOS, match[1])
    elif match := _MACOSX.fullmatch(name):
        yield from tags.mac_platforms((int(match[1]), int(match[2])), match[3])
    elif match := _WINDOWS.fullmatch(name):
        yield {"amd64": "win_amd64", "arm64": "win_arm64", "x86": "win32"}[match[1]]
    elif _TAG.fullmatch(name) and ("_" in name or name == "win32"):
        yield name
    else:
        raise PypicacheError(
            f"no platform is called {one_line(name, 60)}: linux-x86_64, linux-aarch64, musl-x86_64, macos-arm64 "
            f"and windows-amd64 are, and tags such as manylinux_2_28_x86_64"
        )


def _manylinux(glibc: int, machine: str) -> Iterator[str]:
    for minor in range(min(glibc, 99), 4, -1):
        yield f"manylinux_2_{minor}_{machine}"
        if minor in _OLD:
            yield f"{_OLD[minor]}_{machine}"
    yield f"linux_{machine}"
