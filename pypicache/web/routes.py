"""From a request's path to what it means: a pure function over the configured index names.

The path is taken as it came, percent-encoded: a route never sees what a URL library made of it. Index names are
one or two segments, and the longest match wins; then come the aliases of the default index. ::

    /{index}/simple/               ProjectList      also +simple
    /{index}/simple/{name}/        ProjectPage      also +simple
    /{index}/simple/{name}         Redirect to the line above; likewise names that aren't normalised
    /{index}/packages/{path…}      FilePath
    /-/explain/{index}/{name}      Explain
    /-/project/{index}/{name}      ProjectAbout
    /-/status                      Status
    /-/reload                      Reload
    /{index}/+origin/{name}        Origin; without a name, of no project; also /+origin, the default index's
    /simple/… /index/… /packages/…  the default index's
    /{index}/{name}                Redirect to the page; and what `devpi_paths` knows

Legacy JSON has as many addresses as clients have ideas of where an index keeps it; each ends in `/json`. ::

    /{index}/pypi/{name}/json      LegacyJSON; with /{version} before /json, of one version
    /{index}/{name}/json           the same
    /pypi/{name}/json              the default index's, also with a version
    /{name}/json                   the default index's
    /{index}/simple/{name}/json    also +simple, /simple, /index, and all of them with pypi/ before {name}

A name that is a word of its own in the first position (simple, packages, pypi as what comes after an index) keeps that
meaning there, and is reached below `pypi/`: `/pypi/simple/json` is the project simple's.

Anything else, and anything malformed, is NotHere: 404, and nothing of it reaches a mirror or the disk.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import quote, unquote_to_bytes

from pypicache.simple.links import decode_path
from pypicache.simple.model import project_name
from pypicache.web import devpi_paths as devpi
from pypicache.web.places import (
    Asset,
    Explain,
    FilePath,
    FindProject,
    Health,
    LegacyJSON,
    Metrics,
    NotHere,
    Origin,
    ProjectAbout,
    ProjectList,
    ProjectPage,
    Ready,
    Redirect,
    Reload,
    Root,
    Route,
    Status,
)

MAX_PATH = 2048
"""Longer paths are refused: an index name, a 255-byte file name and its directories need less."""

_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.!+_-]{0,99}", re.ASCII)
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


_PAGES = {"simple", "+simple"}
ORIGIN = "+origin"


def route(raw_path: str, indexes: Collection[str], default: str) -> Route:
    """What the path (percent-encoded, without the query) means."""
    if len(raw_path) > MAX_PATH:
        return NotHere(f"a path of {len(raw_path)} characters; at most {MAX_PATH} are read", 414)
    if not raw_path.startswith("/"):
        return NotHere("a path begins with a slash", 400)
    segments = raw_path[1:].split("/")
    first = decode(segments[0])
    if first is None:
        return NotHere("the path is malformed")
    if first in _FIXED and len(segments) == 1:
        return _FIXED[first]
    if first == "-":
        return _own(segments[1:], indexes)
    for count in (2, 1):
        names = [decode(segment) for segment in segments[:count]]
        if len(segments) < count or None in names or "" in names:
            continue
        if (index := devpi.meant("/".join(filter(None, names)), indexes)) is not None:
            return _in_index(index, segments[count:])
    found = _by_default(default, first, segments)
    return found or devpi.elsewhere([decode(segment) for segment in segments], indexes) or _NOTHING


def _by_default(index: str, first: str, segments: list[str]) -> Route | None:
    """What the path means where it names no index: the default one's. None when it is none of its."""
    if first in {"simple", "index"}:
        return _pages(index, segments[1:], first, "")
    if first == "packages":
        return _file(index, segments[1:])
    if first == ORIGIN:
        return _origin(index, segments[1:])
    if first == "pypi" and len(segments) > 2:  # noqa: PLR2004 - /pypi/json is the project pypi's
        return _legacy(index, "", segments[1:])
    if _ends_in_json(segments[1:]):
        return _legacy(index, "", segments)
    return None


_NOTHING = NotHere(
    "nothing is here; pages are at /{index}/simple/{project}/, the default index's at /simple/"
)
_FIXED: dict[str, Route] = {"": Root(), "healthz": Health(), "readyz": Ready(), "metrics": Metrics()}


def _own(segments: list[str], indexes: Collection[str]) -> Route:
    """What stands below `-`: this program's own, of which no index can have the name."""
    texts = [decode(segment) for segment in segments]
    match texts:
        case ["status"]:
            return Status()
        case ["reload"]:
            return Reload()
        case ["project"]:
            return FindProject()
        case ["style.css" | "live.js" | "icon.svg" as asset]:
            return Asset(asset)
        case ["explain" | "project" as what, *index, last] if last is not None:
            name = project_name(last)
            of = "/".join(filter(None, index))
            if name is not None and of in indexes:
                return Explain(of, name) if what == "explain" else ProjectAbout(of, name)
    return NotHere("nothing is here; there are /-/status, /-/explain/ and /-/project/{index}/{project}")


def _origin(index: str, segments: list[str]) -> Route:
    """`+origin`, and what follows it: nothing, or a project."""
    if segments in ([], [""]):
        return Origin(index, None)
    text = decode(segments[0])
    name = project_name(text) if text is not None else None
    if name is None or segments[1:] not in ([], [""]):
        return NotHere(
            f"nothing is here; where a project is at its origin is at /{index}/{ORIGIN}/{{project}}"
        )
    return Origin(index, name)


def _in_index(index: str, segments: list[str]) -> Route:
    if (place := devpi.below_index(index, [decode(segment) for segment in segments])) is not None:
        return place
    kind = decode(segments[0])
    if kind in _PAGES:
        return _pages(index, segments[1:], segments[0], f"{index}/")
    if kind == "packages":
        return _file(index, segments[1:])
    if kind == ORIGIN:
        return _origin(index, segments[1:])
    if kind == "pypi" and len(segments) > 2:  # noqa: PLR2004 - {index}/pypi/json is the project pypi's
        return _legacy(index, f"{index}/", segments[1:])
    if _ends_in_json(segments[1:]) or _ends_in_json(segments[2:]):
        return _legacy(index, f"{index}/", segments)
    name = project_name(kind) if kind is not None else None
    if name not in {None, "json"} and segments[1:] in ([], [""]):
        return Redirect(f"{'../' * (len(segments) - 1)}simple/{name}/")  # as old installers ask devpi
    return NotHere(f"nothing is here; {index} has its pages at /{index}/simple/")


def _pages(index: str, segments: list[str], shown_as: str, root: str) -> Route:
    if not segments:
        return Redirect(f"{shown_as}/")
    if segments == [""]:
        return ProjectList(index)
    text = decode(segments[0])
    name = project_name(text) if text is not None else None
    if name is None:
        return NotHere("no project can have that name")
    if _ends_in_json(segments[1:]):
        return _legacy(index, root, segments)
    if text == "pypi" and _ends_in_json(segments[2:]):
        return _legacy(index, root, segments[1:])
    if segments[1:] not in ([], [""]):
        return NotHere(f"nothing is here; {name} has its page at /{index}/simple/{name}/")
    if segments[1:] == []:
        return Redirect(f"{name}/")
    if text != name:
        return Redirect(f"../{name}/")
    return ProjectPage(index, name)


def _ends_in_json(rest: list[str]) -> bool:
    """Whether this is all that follows a name (or version): `json`, perhaps with a slash too many."""
    return rest in (["json"], ["json", ""])


def _legacy(index: str, root: str, segments: list[str]) -> Route:
    """`{name}/json` or `{name}/{version}/json`."""
    slash = segments[-1] == ""
    parts = [decode(segment) for segment in (segments[:-1] if slash else segments)]
    if len(parts) not in {2, 3} or parts[-1] != "json":
        return NotHere(f"nothing is here; legacy JSON is at /{index}/pypi/{{project}}/json")
    name = project_name(parts[0]) if parts[0] is not None else None
    if name is None:
        return NotHere("no project can have that name")
    version = parts[1] if len(parts) == 3 else None  # noqa: PLR2004 - name, version, json
    if len(parts) == 3 and (version is None or not _VERSION.fullmatch(version)):  # noqa: PLR2004 - as above
        return NotHere("no version can be spelled like that")
    if slash or parts[0] != name:
        ups = "../" * (len(segments) - 1)
        middle = "" if version is None else f"{quote(version, safe='')}/"
        return Redirect(f"{ups}{name}/{middle}json")
    return LegacyJSON(index, name, version, root)


def _file(index: str, segments: list[str]) -> Route:
    path = decode_path("/".join(segments))
    if path is None:
        return NotHere("no file can have that path")
    return FilePath(index, path)


def decode(segment: str) -> str | None:
    """The segment percent-decoded, or None if it is malformed: a bad escape, no UTF-8, a slash or a control character inside."""
    if _BAD_ESCAPE.search(segment):
        return None
    text = segment
    if "%" in segment:
        try:
            text = unquote_to_bytes(segment).decode()
        except UnicodeDecodeError:
            return None
    return text if text.isprintable() and "/" not in text and "\\" not in text else None
