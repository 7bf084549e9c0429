"""Lock files with other links: `uv.lock`, `pylock.toml`, `poetry.lock`, `pdm.lock`, and requirements files.

A lock file isn't written anew, which would lose its comments, order and spaces: the texts of its links are
exchanged where they stand, and what comes out is read again and compared, value by value, with what was wanted. In TOML a
link is a text under one of the keys `url`, `index` and `registry`, wherever it is. In a requirements file it is the value of
an option that names an index, or what follows ` @ ` (PEP 508). Comments stay as they are.

Pure: text in, text out. What becomes of a link is for the caller's `Map` to say.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from pypicache.errors import PypicacheError, one_line
from pypicache.simple.model import ProjectName, project_name

KEYS = frozenset({"url", "index", "registry"})
"""The keys under which TOML lock files have their links."""

_TOKEN = re.compile(
    r"""
    # Comments, and the texts that aren't links:
    \#[^\n]* | \"{3}(?:[^\\]|\\.)*?\"{3} | '{3}.*?'{3} | "(?:[^"\\\n]|\\.)*" | '[^'\n]*'
    # The header of a table:
    | ^[ \t]*\[\[?[ \t]*(?P<key>[A-Za-z0-9_-]+)(?P<sub>[ \t]*\.)?
    # A link:
    | (?<![A-Za-z0-9_-])(?:url|index|registry)[ \t]*=[ \t]*(?P<quote>["'])(?P<url>[^"'\\\n]*)(?P=quote)
    """,
    re.VERBOSE | re.MULTILINE | re.DOTALL,
)
_PACKAGES = ("package", "packages")
_OPTION = re.compile(
    r"(?:(?<=\s)|^)(?:(?:-i|-f|--index-url|--extra-index-url|--find-links|--pypi-url)(?:[ \t]+|[ \t]*=[ \t]*))(?P<url>[^\s#]\S*)"
)
_DIRECT = re.compile(
    r"^[ \t]*(?:(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)[ \t]*(?:\[[^\]]*\])?[ \t]*@[ \t]*)?(?P<url>https?://[^\s;]+)"
)
_COMMENT = re.compile(r"(?:^|\s)#.*$")


class Unreadable(PypicacheError):
    """Not a lock file of a kind that is known, or it has a form that can't be rewritten safely."""


@dataclass(frozen=True, slots=True)
class Package:
    """What a link belongs to, as the lock file says; both None where it doesn't."""

    project: ProjectName | None = None
    index: str | None = None
    """The index that the package is from."""


class Map(Protocol):
    """Says what becomes of a link."""

    def __call__(self, url: str, package: Package) -> str:
        """The other link, or the same one."""
        ...


def rewrite(text: str, name: str, change: Map) -> tuple[str, int]:
    """The text with its links changed, and how many were; `name` is the file's.

    Raises Unreadable, and whatever `change` raises.
    """
    data = parsed(text, name)
    counted = _Counted(change)
    done = _requirements(text, counted) if data is None else _toml(text, data, counted)
    if data is not None and _parsed(done) != _wanted(data, change):
        raise Unreadable("it has links in a form that can't be rewritten safely; nothing was changed")
    return done, counted.count


class _Counted:
    """A Map that counts what it changes."""

    def __init__(self, change: Map) -> None:
        self._change = change
        self.count = 0

    def __call__(self, url: str, package: Package) -> str:
        changed = self._change(url, package)
        self.count += changed != url
        return changed


def parsed(text: str, name: str) -> Mapping[str, Any] | None:
    """What is in a TOML lock file; None when it is a requirements file. Raises Unreadable."""
    try:
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        if name.endswith((".lock", ".toml")):
            raise Unreadable(f"{one_line(name)} isn't TOML: {one_line(str(error))}") from None
        return None
    if not name.endswith((".lock", ".toml")) and not any(
        isinstance(data.get(key), list) for key in _PACKAGES
    ):
        return None  # an empty file, or one of comments only, is TOML too
    return data


def packages_of(data: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The packages in a TOML lock file."""
    lists: Iterator[list[Any]] = (data[key] for key in _PACKAGES if isinstance(data.get(key), list))
    found = next(lists, [])
    return found if all(isinstance(each, dict) for each in found) else []


def package_of(table: Mapping[str, Any]) -> Package:
    """Which project that is, and the index that it is from: `index` in pylock.toml, `source` in others."""
    source = table.get("source")
    place: object = table.get("index")
    if isinstance(source, dict):
        legacy = source.get("url") if source.get("type") == "legacy" else None
        place = source.get("registry") or legacy or place
    name = table.get("name")
    return Package(
        project_name(name) if isinstance(name, str) else None, place if isinstance(place, str) else None
    )


def _toml(text: str, data: Mapping[str, Any], change: Map) -> str:
    packages = [package_of(each) for each in packages_of(data)]
    number, inside = -1, False

    def exchange(match: re.Match[str]) -> str:
        nonlocal number, inside
        if match["key"] is not None:
            mine = match["key"] in _PACKAGES
            if not (mine and match["sub"] and inside):  # that would be a table of the package
                inside = mine and match["sub"] is None
                number += inside
        if match["url"] is None:
            return match[0]
        package = packages[number] if inside and number < len(packages) else Package()
        return _with(match, change(match["url"], package))

    return _TOKEN.sub(exchange, text)


def _parsed(text: str) -> Mapping[str, Any] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def _wanted(data: Mapping[str, Any], change: Map) -> Mapping[str, Any]:
    """What the rewritten file must hold."""
    packages = packages_of(data)
    return {
        key: [_exchanged(table, key, package_of(table), change) for table in value]
        if value is packages
        else _exchanged(value, key, Package(), change)
        for key, value in data.items()
    }


def _exchanged(value: object, key: str, package: Package, change: Map) -> object:
    match value:
        case dict():
            return {name: _exchanged(inner, name, package, change) for name, inner in value.items()}
        case list():
            return [_exchanged(inner, key, package, change) for inner in value]
        case str() if key in KEYS:
            return change(value, package)
    return value


def _with(match: re.Match[str], url: str) -> str:
    """The text that was matched, with another link in it."""
    start, stop = (place - match.start() for place in match.span("url"))
    return match[0][:start] + url + match[0][stop:]


def _requirements(text: str, change: Map) -> str:
    return "".join(_line(line, change) for line in text.splitlines(keepends=True))


def _line(line: str, change: Map) -> str:
    found = _COMMENT.search(line)
    code, comment = (line[: found.start()], line[found.start() :]) if found else (line, "")
    code = _OPTION.sub(lambda match: _with(match, change(match["url"], Package())), code)
    return (
        _DIRECT.sub(lambda match: _with(match, change(match["url"], _named(match["name"]))), code) + comment
    )


def _named(name: str | None) -> Package:
    return Package(None if name is None else project_name(name))
