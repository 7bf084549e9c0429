"""The list of all projects (PEP 503's root page, PEP 691's project list), made anew from a mirror's, slice by slice.

A mirror's list goes through `step` in pieces and comes out as JSON and as HTML, both plain and gzipped: nothing here
ever holds more than a piece. `State` is a plain value and `step` a pure function, so that each step can be done in the
helper process. What `step` gives for the parts of a list, joined, is the whole list.

Only what can name a project is taken over; such a name has no character that JSON or HTML would have to escape.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from typing import Literal

import msgspec

from pypicache.simple import listing_html, listing_json
from pypicache.simple.listing_html import Html
from pypicache.simple.listing_json import Json
from pypicache.simple.model import API_VERSION, project_name

MAX_NAMES = 5_000_000
"""A longer list is refused; the largest has less than a fifth of that."""

MAX_BYTES = 512 << 20
"""Bytes of a mirror's list, after its content coding is taken off; a larger one is refused."""

EARLY = 1 << 20
"""Bytes after which HTML that shows no sign of being a list isn't read on."""

Part = Literal["html", "html.gz", "json", "json.gz"]
PARTS: tuple[Part, ...] = ("html", "html.gz", "json", "json.gz")

_VERSION = ".".join(map(str, API_VERSION))
_HEAD = {
    "html": (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="pypi:repository-version" content="{_VERSION}">\n'
        "<title>Simple index</title>\n</head>\n<body>\n"
    ).encode(),
    "json": f'{{"meta":{{"api-version":"{_VERSION}"}},"projects":['.encode(),
}
_FOOT = {"html": b"</body>\n</html>\n", "json": b"]}"}
_GZIP_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # RFC 1952 section 2.3: deflate, no name, no time
_GZIP_LEVEL = 6

_HTML_TYPES = frozenset(
    {
        "application/vnd.pypi.simple.v1+html",
        "application/vnd.pypi.simple.latest+html",
        "application/xhtml+xml",
        "text/html",
        # What servers say that don't know.
        "",
        "application/octet-stream",
        "binary/octet-stream",
        "text/plain",
    }
)
_BOM = b"\xef\xbb\xbf"


class NotAList(ValueError):
    """What the mirror gave isn't a list of projects, nor the beginning of one."""


class Packed(msgspec.Struct, kw_only=True):
    """A gzip file that is being made of independent blocks: what its trailer will say."""

    crc: int = 0
    size: int = 0


class State(msgspec.Struct, kw_only=True):
    """How far a list has come."""

    url: str
    """Where it came from in the end, which its links are relative to."""
    content_type: str | None = None
    scan: Html | Json | None = None
    rest: bytes = b""
    read: int = 0
    count: int = 0
    """Names that were taken over."""
    last: str = ""
    packed: dict[str, Packed] = msgspec.field(default_factory=lambda: {"html": Packed(), "json": Packed()})


def step(state: State, data: bytes, *, last: bool) -> tuple[State, Mapping[str, bytes]]:
    """The next piece of a mirror's list, and what it adds to each part of ours; `last` ends them.

    `state` is changed and given back, so that a copy can travel. Pieces are a megabyte at best: what one can't finish is
    read again with the next.

    Raises NotAList for what is none, another ValueError for a list that is cut, broken or too large.
    """
    state.read += len(data)
    if state.read > MAX_BYTES:
        raise ValueError(f"a list of over {MAX_BYTES >> 20} MiB")
    window = state.rest + data
    scan = state.scan or _scanner(window, state)
    if scan is None:
        if last:
            raise NotAList("nothing in it")
        state.rest = b""  # blanks
        return state, {}
    first, state.scan = state.scan is None, scan
    if first:
        window = window.removeprefix(_BOM)
    names, state.rest = _read(scan, window, last=last)
    if state.read > EARLY and isinstance(scan, Html) and not listing_html.proven(scan):
        raise NotAList("HTML, but not a list of projects")
    if last:
        _check_end(scan)
    entries = _entries(state, names)
    html = _written(state, "html", entries["html"], first=first, last=last)
    json = _written(state, "json", entries["json"], first=first, last=last)
    return state, {"html": html[0], "html.gz": html[1], "json": json[0], "json.gz": json[1]}


def _scanner(window: bytes, state: State) -> Html | Json | None:
    """What reads this list; None as long as there is nothing but blanks to tell it by."""
    start = window.removeprefix(_BOM).lstrip(b" \t\r\n\f")[:1]
    kind = (state.content_type or "").partition(";")[0].strip().lower()
    if start == b"{":  # as `parse` does for pages: no HTML begins so, and file servers call JSON many things
        return Json()
    if start == b"<" and kind in _HTML_TYPES:
        return Html(base=state.url)
    if start:
        raise NotAList("neither JSON nor HTML")
    return None


def _read(scan: Html | Json, window: bytes, *, last: bool) -> tuple[list[str], bytes]:
    if isinstance(scan, Json):
        return listing_json.read(scan, window, last=last)
    return listing_html.read(scan, window, last=last)


def _check_end(scan: Html | Json) -> None:
    """Raise unless the list came to its end: half a list would be a worse one than the one that is held."""
    if isinstance(scan, Json):
        if not listing_json.whole(scan):
            raise ValueError("the list ends early")
        if not scan.listed:
            raise NotAList("JSON, but not a list of projects")
    elif not listing_html.proven(scan):
        raise NotAList("HTML, but not a list of projects")
    elif not listing_html.whole(scan):
        raise ValueError("the list ends early")


def _entries(state: State, names: list[str]) -> dict[str, bytes]:
    """The names in both forms: those that can name a project, and that aren't the one before once more."""
    html: list[str] = []
    json: list[str] = []
    last = state.last
    for text in names:
        name = project_name(text)
        if name is None or name == last:
            continue
        last = name
        html.append(f'<a href="{name}/">{text}</a><br>\n')
        json.append(f'{{"name":"{text}"}}')
    comma = "," if state.count and json else ""
    state.count += len(html)
    state.last = last
    if state.count > MAX_NAMES:
        raise ValueError(f"a list of over {MAX_NAMES} projects")
    return {"html": "".join(html).encode(), "json": (comma + ",".join(json)).encode()}


def _written(
    state: State, form: Literal["html", "json"], body: bytes, *, first: bool, last: bool
) -> tuple[bytes, bytes]:
    """The piece of one form, plain and gzipped."""
    plain = (_HEAD[form] if first else b"") + body + (_FOOT[form] if last else b"")
    packed = state.packed[form]
    packed.crc = zlib.crc32(plain, packed.crc)
    packed.size += len(plain)
    # Blocks that stand for themselves and end at a byte can be joined to one deflate stream (RFC 1951).
    packer = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    squeezed = packer.compress(plain) + packer.flush(zlib.Z_FINISH if last else zlib.Z_FULL_FLUSH)
    if first:
        squeezed = _GZIP_HEAD + squeezed
    if last:
        squeezed += struct.pack("<LL", packed.crc, packed.size & 0xFFFF_FFFF)
    return plain, squeezed
