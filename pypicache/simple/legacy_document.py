"""A mirror's legacy JSON, read and cleaned: what comes out can be trusted in its types, not in what it says.

A document is hostile: values of the wrong type are dropped, depth and sizes are bounded, and text is made fit to be
written again. What isn't a project's document at all raises ValueError. What becomes of one is the business of `legacy`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from pypicache.simple import fields
from pypicache.simple.model import ProjectName, valid_filename

MAX_BODY = 32 << 20
"""Bytes of a mirror's document; larger ones are refused. The largest real ones have a quarter of that."""

MAX_DEPTH = 12
"""How deep values may be nested; what lies deeper is dropped."""

MAX_KEY = 200
"""Characters of a key; longer ones are dropped."""

_SURROGATE = re.compile(r"[\ud800-\udfff]")
_MAX_DIGITS = 18
_INT = 1 << 63
_TEXT, _BOOL, _NUMBER = (str,), (bool,), (int,)

# What a field must be to be passed on. A field that isn't here may be anything that JSON can say.
_FILE_TYPES: Mapping[str, tuple[type, ...]] = {
    "filename": _TEXT,
    "digests": (dict,),
    "has_sig": _BOOL,
    "md5_digest": _TEXT,
    "packagetype": _TEXT,
    "python_version": _TEXT,
    "requires_python": _TEXT,
    "size": _NUMBER,
    "upload_time": _TEXT,
    "upload_time_iso_8601": _TEXT,
}
_INFO_TYPES: Mapping[str, tuple[type, ...]] = {
    "name": _TEXT,
    "version": _TEXT,
    "requires_python": _TEXT,
    "summary": _TEXT,
    "yanked": _BOOL,
    "yanked_reason": _TEXT,
}

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder()

Json = dict[str, Any]


def parse(body: bytes, name: ProjectName) -> bytes:
    """The document in `body`, cleaned, for `legacy.render`. Raises ValueError, one line, when it isn't that project's."""
    if len(body) > MAX_BODY:
        raise ValueError(f"legacy JSON of over {MAX_BODY >> 20} MiB")
    found = _clean(_read(body.removeprefix(b"\xef\xbb\xbf")), MAX_DEPTH)
    found = found if isinstance(found, dict) else {}
    info, releases, urls = (found.pop(key, None) for key in ("info", "releases", "urls"))
    sound = isinstance(info, dict) and (isinstance(releases, dict) or isinstance(urls, list))
    if not sound:
        raise ValueError("JSON, but not a project's legacy JSON")
    if isinstance(info.get("name"), str):
        fields.check_name(info["name"], name)
    kept: Json = {**found, "info": _typed(info, _INFO_TYPES)}
    if isinstance(releases, dict):
        kept["releases"] = {version: list(_files(listed)) for version, listed in releases.items()}
    if isinstance(urls, list):
        kept["urls"] = list(_files(urls))
    return _ENCODER.encode(kept)


def _read(body: bytes) -> Any:
    """Any JSON text; also with NaN, numbers beyond bounds and broken text, which the fast decoder refuses."""
    try:
        return _DECODER.decode(body)
    except (ValueError, RecursionError):
        pass
    try:
        return json.loads(
            body.decode("utf-8", "replace"),
            parse_int=lambda digits: int(digits) if len(digits) <= _MAX_DIGITS else None,
        )
    except (ValueError, RecursionError) as error:
        raise ValueError("not JSON") from error


def _clean(value: Any, depth: int) -> Any:
    """The value with nothing in it that couldn't be written as JSON again, and nothing below `depth`."""
    if isinstance(value, str):
        return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, dict):
        if not depth:
            return None
        return {_clean(key, 0): _clean(item, depth - 1) for key, item in value.items() if len(key) <= MAX_KEY}
    if isinstance(value, list):
        return [_clean(item, depth - 1) for item in value] if depth else None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int) and not -_INT <= value < _INT:
        return None
    return value


def _typed(found: Json, types: Mapping[str, tuple[type, ...]]) -> Json:
    """The object without the fields whose type isn't theirs; `type() is` keeps a true from being a number."""
    return {
        key: value
        for key, value in found.items()
        if value is None or key not in types or type(value) in types[key]
    }


def _files(listed: Any) -> Iterator[Json]:
    """The entries that describe a file."""
    for item in listed if isinstance(listed, list) else ():
        if isinstance(item, dict):
            entry = _typed(item, _FILE_TYPES)
            if entry.get("filename") and valid_filename(entry["filename"]):
                yield entry
