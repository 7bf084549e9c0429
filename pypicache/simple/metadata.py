"""What is read of core metadata: the one field that a page can also have.

Core metadata (PEP 566) are header lines as in e-mail, an empty line, and a description. Nothing else of them is
looked at, and they are never changed: a sidecar is the member byte for byte.
"""

from __future__ import annotations

import re

from packaging.specifiers import InvalidSpecifier, SpecifierSet

MAX_HEADERS = 1 << 20
"""Bytes that are searched; the fields stand before the description."""

MAX_SPECIFIER = 200
"""Characters of a version specifier; real ones have thirty."""

_FIELD = re.compile(
    rb"^Requires-Python[ \t]*:[ \t]*([^\r\n]*)(?:\r?\n(?![ \t])|\Z)", re.IGNORECASE | re.MULTILINE
)
_EMPTY_LINE = re.compile(rb"\r?\n\r?\n")


def requires_python(metadata: bytes) -> str | None:
    """The Requires-Python field, if it is there and is a version specifier (PEP 440).

    A bad specifier is as good as none: uv takes a file off the page for one, which the page did not ask for.
    """
    headers = metadata[:MAX_HEADERS]
    end = _EMPTY_LINE.search(headers)
    found = _FIELD.search(headers[: end.start()] if end else headers)
    if found is None:
        return None
    text = found[1].decode("ascii", "replace").strip()
    if not text or len(text) > MAX_SPECIFIER or not text.isprintable():
        return None
    try:
        SpecifierSet(text)
    except InvalidSpecifier:
        return None
    return text
