"""What a distribution's file name says: its kind, and how it splits into project and version.

Wheels say it plainly (binary distribution format, file name convention). Older names don't: in
`foo-bar-1.0-beta.zip` each hyphen may end the project's name, so every split is offered, the likeliest
first. Nothing here knows of URLs or pages.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence

from packaging.utils import canonicalize_version
from packaging.version import InvalidVersion, Version

from pypicache.simple.model import ProjectName, project_name

MAX_CANDIDATES = 12
"""Splits offered for one name: a hostile name has a hundred hyphens, and each split may cost a look-up."""

_SUFFIX = re.compile(
    r"\.(whl|egg|exe|msi|rpm|deb|dmg|zip|tar(?:\.(?:gz|bz2|xz|z|lzma|lz|zst))?|tgz|tbz2?|txz|tlz)\Z",
    re.IGNORECASE,
)
_TAILS = {
    "egg": re.compile(r"-py[0-9](?:\.[0-9]+)?(?:-[^/]*)?\Z"),
    "rpm": re.compile(r"(?:-[0-9][A-Za-z0-9.]*)?\.(?:noarch|src|x86_64|aarch64|i[3-6]86)\Z"),
}
_PLATFORM = re.compile(
    r"\.(?:win32|win-[a-z0-9]+|linux-[a-z0-9_]+|macosx-[0-9.]+-[a-z0-9_]+)(?:-py[0-9](?:\.[0-9]+)?)?\Z",
    re.IGNORECASE,
)
_VERSION_LIKE = re.compile(r"v?[0-9][A-Za-z0-9.!+_-]*", re.IGNORECASE)
_SEPARATORS = str.maketrans("_.", "--")
_DOTTED = re.compile(r"[0-9]+\.[0-9.]*")


def is_distribution(filename: str) -> bool:
    """Whether the name ends as the files of an index do; signatures, sidecars, icons and pages don't."""
    return _SUFFIX.search(filename) is not None


@functools.lru_cache(maxsize=1024)
def project_candidates(filename: str) -> tuple[ProjectName, ...]:
    """Every project that the file may belong to, the likeliest first; at most `MAX_CANDIDATES`."""
    stem, kind = _stem(filename)
    parts = stem.split("-")
    splits = [("-".join(parts[:i]), "-".join(parts[i:])) for i in range(len(parts) - 1, 0, -1)]
    ranked = [name for name, _ in sorted(splits, key=_unlikelihood)]
    if kind in {"whl", "egg"}:  # their names have no hyphens, unless the tool that made them was at fault
        ranked.insert(0, parts[0])
    if kind == "deb":
        ranked.extend(name.removeprefix("python3-").removeprefix("python-") for name in tuple(ranked))
    ranked.append(stem)
    names = (project_name(text) for text in ranked)
    return tuple(dict.fromkeys(name for name in names if name is not None))[:MAX_CANDIDATES]


def version_of(filename: str, project: ProjectName) -> str | None:
    """The version in the name of that project's file, as it is spelled there; None when it can't be told."""
    return _version(filename, project)


def all_versions(filenames: Iterable[str], project: ProjectName, stated: Sequence[str]) -> tuple[str, ...]:
    """The versions that the page states, and those of its files that it forgot (PEP 700), each once.

    Versions are the same when PEP 440 says so: `1.0` in a file name adds nothing to a stated `1.0.0`.
    What no version can be made of is left out, unless the page states it.
    """
    versions = dict.fromkeys(stated)
    derived = dict.fromkeys(_version(filename, project) for filename in filenames)
    missing = [version for version in derived if version is not None and version not in versions]
    known = {canonicalize_version(version) for version in versions} if missing else set()
    for text in missing:
        try:
            same = canonicalize_version(Version(text))
        except InvalidVersion:
            continue
        if same not in known:
            known.add(same)
            versions[text] = None
    return tuple(versions)


def _stem(filename: str) -> tuple[str, str]:
    """The name without suffix and platform, so that project and version are left; and the kind of file."""
    match = _SUFFIX.search(filename)
    if match is None:
        return filename, ""
    stem, kind = filename[: match.start()], match[1].lower()
    if kind == "whl":
        # name-version(-build)?-python-abi-platform
        return "-".join(stem.split("-")[:-3]) if stem.count("-") >= 4 else stem, kind  # noqa: PLR2004 - five fields
    if kind == "deb":
        return "-".join(stem.split("_")[:2]), kind
    tail = _TAILS.get(kind)
    return (tail or _PLATFORM).sub("", stem), kind


def _behind(project: ProjectName, stem: str) -> str | None:
    """What follows the project's name, in any spelling (PEP 503), and a hyphen; None where that isn't how it begins."""
    size = len(project)
    # As good as all files spell it with single separators; to make a pattern takes longer than to read a page of ten.
    if (
        stem[:size].lower().translate(_SEPARATORS) == project
        and stem[size : size + 1] == "-"
        and "\n" not in stem
    ):
        return stem[size + 1 :] or None
    match = _spelled(project).fullmatch(stem)
    return None if match is None else match[1]


@functools.lru_cache(maxsize=64)
def _spelled(project: ProjectName) -> re.Pattern[str]:
    name = "[-_.]+".join(re.escape(part) for part in project.split("-"))
    return re.compile(rf"{name}-(.+)", re.IGNORECASE)


def _version(filename: str, project: ProjectName) -> str | None:
    stem, kind = _stem(filename)
    version = _behind(project, stem)
    if version is None:
        return None
    if kind == "whl":  # a build tag may follow; a hyphen in the version is written as an underscore
        version = version.partition("-")[0].replace("_", "-")
    return version if _VERSION_LIKE.fullmatch(version) else None


def _unlikelihood(split: tuple[str, str]) -> int:
    """How little a split looks like project and version; equals stay in order, the longest name first."""
    name, version = split
    if _VERSION_LIKE.fullmatch(version) is None:
        return 3
    try:
        Version(version)
    except InvalidVersion:
        return 2
    # `foo-1.0 | 1`: the version began earlier, and the 1 is its post-release.
    return 1 if _DOTTED.fullmatch(name.rpartition("-")[2]) else 0


_PACKAGETYPES = {
    "whl": "bdist_wheel",
    "egg": "bdist_egg",
    "exe": "bdist_wininst",
    "msi": "bdist_msi",
    "rpm": "bdist_rpm",
    "dmg": "bdist_dmg",
}
_PYTHON = re.compile(r"-py([0-9](?:\.[0-9]+)?)(?=[-.]|\Z)")


def packagetype(filename: str) -> str | None:
    """What legacy JSON calls that kind of file (`sdist`, `bdist_wheel`); None for one that it has no word for."""
    match = _SUFFIX.search(filename)
    if match is None or match[1].lower() == "deb":
        return None
    binary = "bdist_dumb" if _PLATFORM.search(filename[: match.start()]) else "sdist"
    return _PACKAGETYPES.get(match[1].lower(), binary)


def python_version(filename: str) -> str | None:
    """What legacy JSON says of a file's Python: a wheel's tag, an egg's or installer's version, `source` of an sdist."""
    kind = packagetype(filename)
    if kind == "sdist":
        return "source"
    if kind == "bdist_wheel":
        fields = filename.rsplit("-", 3)
        return fields[1] if len(fields) == 4 else None  # noqa: PLR2004 - the last three are tags
    match = _PYTHON.search(filename)
    return match[1] if match else None
