"""Changes to an index in devpi's words, made into changes in ours. Pure.

devpi's client sends a list of `key=value`, `key-=` (back to the default); older ones, and `index -c`, a mapping, which repeats
what they were shown. What is repeated as it is changes nothing; what means nothing here is refused by name, since to take it silently
would be to promise it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pypicache.errors import BadRequest, one_line

MAX_VALUE = 2000
"""Characters of a value: an address needs less."""

_SETTINGS = {"mirror_web_url_fmt": "web_url", "mirror_cache_expiry": "ttl"}

_BECAUSE = {
    "mirrors": "they are changed by `pypicache index set`, and the first one by mirror_url",
    "bases": "the layers of an index are set in the configuration file",
    "type": "whether an index has mirrors or layers is set in the configuration file",
    "volatile": "nothing is uploaded here, so nothing can be overwritten",
    "acl_upload": "nothing is uploaded here",
    "acl_toxresult_upload": "nothing is uploaded here",
    "mirror_no_project_list": "pages never need the list of projects",
    "mirror_use_external_urls": "files always come through the cache",
    "mirror_ignore_serial_header": "no serial is believed, so none stands in the way",
    "mirror_whitelist": "the layers of an index say what they own, in the configuration file",
    "title": "indexes have no titles",
    "description": "indexes have no descriptions",
    "custom_data": "nothing is kept with an index",
}
"""Why a key of devpi's has no counterpart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What to change of an index."""

    first_mirror: str | None = None
    settings: Mapping[str, str | None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return self.first_mirror is not None or bool(self.settings)


def change_of(body: Any, shown: Mapping[str, Any]) -> Change:
    """What the body asks for, of an index that is shown like that; nothing is shown of a new one. Raises BadRequest."""
    first: str | None = None
    settings: dict[str, str | None] = {}
    for key, value in _pairs(body):
        if key in shown and value is not None and _same(value, shown[key]):
            continue
        if shown.get("type") == "stage" and key in {"mirror_url", "mirror_cache_expiry"}:
            raise BadRequest(f"{key} can't be set: the index is made of others, and theirs hold")
        if key == "mirror_url":
            first = _address(value)
        elif key in _SETTINGS:
            settings[_SETTINGS[key]] = _value(key, value)
        elif not shown and (key, value) in {("type", "mirror"), ("volatile", "False"), ("volatile", "True")}:
            continue  # as `index -c` says it
        else:
            known = _BECAUSE.get(key, "there is no such setting")
            raise BadRequest(f"{one_line(key, 100)} can't be set: {known}")
    if not shown and first is None:
        raise BadRequest("a new index needs type=mirror and a mirror_url")
    return Change(first_mirror=first, settings=settings)


def _pairs(body: Any) -> Iterator[tuple[str, str | None]]:
    """Keys and values, each as text; None for a key that is taken back. Raises BadRequest."""
    if isinstance(body, dict):
        for key, value in body.items():
            if key != "projects":
                yield key, _text(value)
        return
    if not isinstance(body, list) or not all(isinstance(item, str) for item in body):
        raise BadRequest("a list of key=value is due, or a mapping")
    for item in body:
        key, equals, value = item.partition("=")
        if not equals or not key.strip("+-"):
            raise BadRequest(f"key=value is due, not {one_line(item, 100)}")
        if key.endswith("+"):
            raise BadRequest(f"{one_line(key[:-1], 100)} has one value, and takes no more")
        if key.endswith("-"):
            if value:
                raise BadRequest(
                    f"{one_line(key[:-1], 100)} has one value: take it back with {one_line(key, 100)}="
                )
            yield key[:-1], None
        else:
            yield key, value


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value)


def _same(value: str, shown: Any) -> bool:
    said = _text(shown)
    return value == said or (isinstance(shown, bool) and value.lower() == said.lower())


def _address(value: str | None) -> str:
    text = _value("mirror_url", value)
    if not text:
        raise BadRequest("mirror_url: an index needs a mirror")
    if "${" in text:
        raise BadRequest("mirror_url: variables of the environment are for the configuration file only")
    return text


def _value(key: str, value: str | None) -> str | None:
    if value is None or (not value and key == "mirror_web_url_fmt"):
        return None
    if len(value) > MAX_VALUE or not value.isprintable():
        raise BadRequest(f"{key}: at most {MAX_VALUE} printable characters are due")
    return f"{value}s" if key == "mirror_cache_expiry" and value.isdecimal() else value
