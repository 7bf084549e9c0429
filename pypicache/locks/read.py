"""What lock files pin: projects, versions and files, whichever tool wrote them.

::

    uv.lock           packages whose source is a registry      files by URL, one hash each
    pylock.toml       PEP 751: packages with wheels or sdist   files by name or URL, any hashes
    poetry.lock       packages without a source of their own   files by name, one hash each
    pdm.lock          as poetry's                              files by name or URL
    requirements.txt  lines that pin a version (==)            hashes only, of no file in particular

What isn't from an index (a path, a repository, a URL) is left out: an index has nothing to say of it. Markers are left
out too, so that what a lock file pins is what it pins for every platform. Pure: text in, values out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

from pypicache.errors import one_line
from pypicache.locks.rewrite import Unreadable, package_of, packages_of, parsed
from pypicache.simple.model import Digest, ProjectName, digest, project_name, valid_filename

_HASH = re.compile(r"\s--hash[= ]\s*(?P<algorithm>[a-z0-9_]+):(?P<value>[0-9A-Fa-f]+)")
_OPTIONS = re.compile(r"\s--[a-z].*$")
_COMMENT = re.compile(r"(^|\s)#.*$")
_CONTINUED = re.compile(r"\\\r?\n")


@dataclass(frozen=True, slots=True)
class PinnedFile:
    """One file that may be installed; `filename` or `digest` is known."""

    filename: str | None
    digest: Digest | None


@dataclass(frozen=True, slots=True)
class Pin:
    """One version of a project."""

    project: ProjectName
    version: str | None
    """None where the lock file doesn't pin one (PEP 751 allows it)."""
    files: tuple[PinnedFile, ...] = ()
    """Those that may be installed; empty where any file of the version may."""
    index: str | None = None
    """The address of the index that it is from, if the file says."""


def read(text: str, name: str) -> tuple[Pin, ...]:
    """What the lock file called `name` pins. Raises Unreadable, naming what can't be read."""
    data = parsed(text, name)
    if data is None:
        return tuple(_requirements(text, name))
    if not packages_of(data) and not isinstance(data.get("lock-version"), str) and "version" not in data:
        raise Unreadable(f"{one_line(name)} isn't a lock file: it has no packages and no version")
    return tuple(pin for table in packages_of(data) if (pin := _pin(table, data)) is not None)


def _pin(table: Mapping[str, Any], data: Mapping[str, Any]) -> Pin | None:
    package = package_of(table)
    if package.project is None or _is_elsewhere(table):
        return None
    version = table.get("version")
    files = tuple(_files(table)) or tuple(_shared_files(table, data))
    return Pin(package.project, version if isinstance(version, str) else None, files, package.index)


def _is_elsewhere(table: Mapping[str, Any]) -> bool:
    """Whether the package isn't from an index."""
    source = table.get("source")
    if isinstance(source, dict):
        return "registry" not in source and source.get("type") != "legacy"
    return any(key in table for key in ("vcs", "directory", "archive", "git", "path", "url"))


def _files(table: Mapping[str, Any]) -> Iterator[PinnedFile]:
    for key in ("sdist", "wheels", "files"):
        found = table.get(key)
        for each in found if isinstance(found, list) else [found]:
            if isinstance(each, dict) and (file := _file(each)) is not None:
                yield file


def _shared_files(table: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[PinnedFile]:
    """The files as older versions of poetry and PDM have them: in one table for all packages."""
    metadata = data.get("metadata")
    files = metadata.get("files") if isinstance(metadata, dict) else None
    for key in (table.get("name"), f"{table.get('name')} {table.get('version')}"):
        found = files.get(key) if isinstance(files, dict) else None
        yield from _files({"files": found})


def _file(table: Mapping[str, Any]) -> PinnedFile | None:
    name = next((table[key] for key in ("name", "file", "filename") if isinstance(table.get(key), str)), None)
    place = next((table[key] for key in ("url", "path") if isinstance(table.get(key), str)), None)
    if name is None and place is not None:
        name = unquote(place.partition("#")[0].partition("?")[0].rpartition("/")[2])
    if name is not None and not valid_filename(name):
        raise Unreadable(f"no file is called {one_line(name, 80)}")
    hashes = table.get("hashes")
    pairs = list(hashes.items()) if isinstance(hashes, dict) else []
    if isinstance(table.get("hash"), str):
        pairs.append(table["hash"].partition(":")[::2])
    made = [found for algorithm, value in pairs if (found := digest(str(algorithm), str(value)))]
    best = next((each for each in made if each.algorithm == "sha256"), made[0] if made else None)
    return None if name is None and best is None else PinnedFile(name, best)


def _requirements(text: str, name: str) -> Iterator[Pin]:
    joined = _CONTINUED.sub(" ", text)
    for number, line in enumerate(joined.splitlines(), 1):
        line = _COMMENT.sub("", line).strip()  # noqa: PLW2901 - the line, without what isn't one
        if not line or line.startswith("-"):
            _refuse_inclusion(line, name)
            continue
        hashes = [digest(match["algorithm"], match["value"]) for match in _HASH.finditer(line)]
        try:
            requirement = Requirement(_OPTIONS.sub("", line))
        except InvalidRequirement:
            raise Unreadable(
                f"{one_line(name)}: line {number} isn't a requirement: {one_line(line, 80)}"
            ) from None
        project = project_name(requirement.name)
        if requirement.url is not None or project is None:
            continue
        files = tuple(PinnedFile(None, each) for each in hashes if each is not None)
        yield Pin(project, _exact(requirement, name, number), files)


def _refuse_inclusion(line: str, name: str) -> None:
    if line.startswith(("-r", "--requirement")):
        raise Unreadable(
            f"{one_line(name)} includes another file ({one_line(line, 80)}): compile it into one, with uv pip compile or pip-compile"
        )


def _exact(requirement: Requirement, name: str, number: int) -> str:
    """The version that the requirement pins. Raises Unreadable for one that pins none."""
    specifiers = list(requirement.specifier)
    if len(specifiers) == 1 and specifiers[0].operator in {"==", "==="}:
        version = specifiers[0].version
        try:
            Version(version)
        except InvalidVersion:
            pass  # ==1.*, or === of something older: no version by itself
        else:
            return version
    raise Unreadable(
        f"{one_line(name)}: line {number} doesn't pin {one_line(requirement.name)} to a version (==): "
        f"compile it first, with uv pip compile or pip-compile"
    )
