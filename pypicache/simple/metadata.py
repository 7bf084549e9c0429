"""What is read of core metadata: the field that a page can also have, and the names of what is required.

Core metadata (PEP 566) are header lines as in e-mail, an empty line, and a description. Nothing else of them is
looked at, and they are never changed: a sidecar is the member byte for byte.
"""

from __future__ import annotations

import re

from pypicache.simple.model import ProjectName, project_name

MAX_HEADERS = 1 << 20
"""Bytes that are searched; the fields stand before the description."""

MAX_REQUIREMENTS = 200
"""Names that are read; real metadata of applications have fifty."""

MAX_SPECIFIER = 200
"""Characters of a version specifier; real ones have thirty."""

_FIELD = re.compile(
    rb"^Requires-Python[ \t]*:[ \t]*([^\r\n]*)(?:\r?\n(?![ \t])|\Z)", re.IGNORECASE | re.MULTILINE
)
_REQUIREMENT = re.compile(
    rb"^Requires-Dist[ \t]*:[ \t]*([A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?)([^\r\n]*)",
    re.IGNORECASE | re.MULTILINE,
)
_EXTRA = re.compile(rb"\bextra\s*(?:==|in)")
_BESIDE = re.compile(rb"\[[^\]]*\]|[()]")
"""What stands beside a requirement's version specifier: extras, and the parentheses of old."""
_VERSION = re.compile(rb"^Metadata-Version[ \t]*:[ \t]*[0-9]", re.IGNORECASE | re.MULTILINE)
_NAME = re.compile(rb"^Name[ \t]*:[ \t]*([!-~]{1,200})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_EMPTY_LINE = re.compile(rb"\r?\n\r?\n")


def is_metadata_of(metadata: bytes, project: ProjectName) -> bool:
    """Whether these can be core metadata of that project: text, with a Metadata-Version, and its Name.

    It proves nothing; it tells a broken answer, an error page and another project's metadata from what was asked for.
    """
    headers = _headers(metadata)
    try:
        headers.decode()
    except UnicodeDecodeError:
        return False
    named = _NAME.search(headers)
    return (
        _VERSION.search(headers) is not None
        and named is not None
        and project_name(named[1].decode("ascii").strip()) == project
    )


def requires_python(metadata: bytes) -> str | None:
    """The Requires-Python field, if it is there and is a version specifier (PEP 440).

    A bad specifier is as good as none: uv takes a file off the page for one, which the page did not ask for.
    """
    found = _FIELD.search(_headers(metadata))
    if found is None:
        return None
    text = found[1].decode("ascii", "replace").strip()
    if not text or len(text) > MAX_SPECIFIER or not text.isprintable():
        return None
    from packaging.specifiers import InvalidSpecifier, SpecifierSet  # noqa: PLC0415 - a start doesn't wait for it

    try:
        SpecifierSet(text)
    except InvalidSpecifier:
        return None
    return text


def requires(metadata: bytes) -> dict[ProjectName, str]:
    """The names in Requires-Dist (PEP 508) that no extra makes needed, in their order, each with the first specifier it has.

    Other markers aren't weighed: whose environment they are about isn't known. What is required from an address of
    its own (`name @ url`) is no index's business, and what can't be a name is passed over.
    """
    found: dict[ProjectName, str] = {}
    for name, rest in _REQUIREMENT.findall(_headers(metadata))[:MAX_REQUIREMENTS]:
        if rest.lstrip().startswith(b"@") or _EXTRA.search(rest.partition(b";")[2]):
            continue
        if (project := project_name(name.decode("ascii"))) is not None:
            versions = _BESIDE.sub(b"", rest.partition(b";")[0]).decode("ascii", "replace").strip()
            found.setdefault(project, versions[:MAX_SPECIFIER])
    return found


def _headers(metadata: bytes) -> bytes:
    headers = metadata[:MAX_HEADERS]
    end = _EMPTY_LINE.search(headers)
    return headers[: end.start()] if end else headers
