"""The daemon's own file URLs: made from an origin's, and taken apart again.

A file stands below `packages/` at the path that it has at its origin after the first `packages/`
there, so a link maps to and from the origin by prefix alone. Where the origin has no such segment, or
its path isn't safe to repeat, or the file's name doesn't tell its project, it stands at `-/{project}/{filename}`.

Nothing here knows which index a link belongs to, nor whether the file exists.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote_to_bytes

from pypicache.simple.filenames import project_candidates, version_of
from pypicache.simple.model import Digest, ProjectName

__all__ = ["decode_path", "packages_path", "project_candidates", "relative_href", "same_path", "version_of"]

MAX_PATH = 2000
"""Longer paths below `packages/` are refused, in characters as they stand in the URL."""

OWN = "-"
"""The first segment of paths that no origin gave."""

LIKELY = 6
"""Projects that a file name without more to go by is looked for in: each may cost a question upstream."""

_PLAIN = re.compile(r"(?:(?!\.\.?/)[A-Za-z0-9._~!$&'()*+,;=:@-]+/)*(?!\.\.?\Z)[A-Za-z0-9._~!$&'()*+,;=:@-]+")
_URL_PATH = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@%/-]+")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_SEPARATORS = re.compile(r"[-_.]+")
_TAILS = tuple(f"-{digit}" for digit in range(10))  # a hyphen and a version: by far the most names
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f/\\]")


def packages_path(project: ProjectName, file_url: str, filename: str) -> str:
    """Where a file stands below `packages/`, percent-encoded; its last segment always decodes to `filename`."""
    path = _origin_path(file_url)
    # An origin that has a directory of our own name must not name another project's files.
    if path is not None and not path.startswith(f"{OWN}/"):
        if _PLAIN.fullmatch(path):
            last: str | None = path.rpartition("/")[2]
        else:
            segments = decode_path(path) if _URL_PATH.fullmatch(path) else None
            last = segments[-1] if segments and segments[0] != OWN else None
        if last == filename and len(path) <= MAX_PATH and _tells(filename, project):
            return path
    return f"{OWN}/{project}/{quote(filename, safe='')}"


def _tells(filename: str, project: ProjectName) -> bool:
    """Whether the file's name leads to its project again: a link is all that a lock file keeps."""
    size = len(project)
    if _SEPARATORS.sub("-", filename[:size]).lower() == project and filename[size : size + 2].startswith(
        _TAILS
    ):
        return True
    return project in project_candidates(filename)[:LIKELY]


def _origin_path(file_url: str) -> str | None:
    """What follows the first `packages/` segment of a URL's path; None without one, or with a query.

    A query is part of what names the file at such an origin, and a path can't carry it.
    """
    if "?" in file_url:
        return None
    start = file_url.find("/", file_url.find("//") + 2)
    found = file_url.find("/packages/", start) if start >= 0 else -1
    return file_url[found + len("/packages/") :] if found >= 0 else None


def relative_href(path: str, digest: Digest | None = None) -> str:
    """The link from a project's page to a path below `packages/`: the same for every Host.

    The digest is for HTML, which has its hash in the fragment (PEP 503).
    """
    href = f"../../packages/{path}"
    return href if digest is None else f"{href}#{digest.algorithm}={digest.value}"


def decode_path(raw: str) -> tuple[str, ...] | None:
    """The decoded segments of a path below `packages/`, as it stood in a request; None when it must be refused.

    Refused are empty segments, `.` and `..`, slashes, backslashes and control characters inside a segment,
    escapes that aren't, what isn't UTF-8, and paths over `MAX_PATH`: however they are encoded. It is decoded
    once; a plus stays a plus.
    """
    if len(raw) > MAX_PATH or _BAD_ESCAPE.search(raw):
        return None
    segments = tuple(raw.split("/"))
    if "%" in raw or not raw.isascii():
        try:
            segments = tuple(unquote_to_bytes(segment).decode() for segment in segments)
        except UnicodeError:
            return None
    if any(segment in {"", ".", ".."} or _UNSAFE.search(segment) for segment in segments):
        return None
    return segments


def same_path(a: str, b: str) -> bool:
    """Whether two paths name one file: `+` and `%2B`, `!` and `%21` are the same, as clients differ in quoting."""
    segments = decode_path(a)
    return segments is not None and segments == decode_path(b)
