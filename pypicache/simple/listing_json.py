"""The names in a list of all projects as JSON (PEP 691), read window by window.

The whole text would be tens of megabytes and a million objects, so it is taken apart one member at a time, and what
isn't complete yet is given back, to begin the next window with.

::

    START --{--> MEMBERS --"projects": [--> PROJECTS --]--> MEMBERS --}--> END

Members other than `projects` are looked at and thrown away. What isn't JSON raises ValueError; so does a text that has
ended anywhere but in END (`whole`).
"""

from __future__ import annotations

import codecs
import json
import re
from typing import Any, Literal

import msgspec

from pypicache.simple import fields

MAX_REST = 256 << 10
"""Characters of one member or project that may be incomplete; a larger one is refused."""

Place = Literal["start", "members", "projects", "end"]

_BLANK = re.compile(r"[ \t\r\n,]*")
_KEY = re.compile(r'"((?:[^"\\]|\\.)*)"[ \t\r\n]*:[ \t\r\n]*(?=\S)', re.DOTALL)
_AFTER = re.compile(r"[ \t\r\n]*([,\]}])")
_FLAT = re.compile(
    r'[ \t\r\n,]*\{[ \t\r\n]*(?:"_last-serial"[ \t\r\n]*:[ \t\r\n]*[0-9]+[ \t\r\n]*,[ \t\r\n]*)?"name"[ \t\r\n]*:[ \t\r\n]*"([^"\\\x00-\x1f]*)"[ \t\r\n]*\}(?=[ \t\r\n]*[,\]])'
)
_DECODE = json.JSONDecoder().raw_decode


class Json(msgspec.Struct, kw_only=True):
    """How far the text has been read. A plain value, so that it can travel to another process."""

    place: Place = "start"
    listed: bool = False
    """Whether the list of projects was met."""


class _Incomplete(Exception):
    """More of the text is needed."""


def read(state: Json, window: bytes, *, last: bool) -> tuple[list[str], bytes]:
    """The names in the window, whatever they are, and what is left of it. Changes `state`. Raises ValueError."""
    text, used = codecs.utf_8_decode(window, "replace", last)
    reader = _Reader(state, text)
    try:
        while state.place != "end":
            reader.step()
    except _Incomplete:
        pass
    rest = text[reader.position :]
    if state.place == "end" and rest.strip():
        raise ValueError("JSON with something after its end")
    if len(rest) > MAX_REST:
        raise ValueError("not JSON, or a member of it is too large")
    return reader.names, rest.encode("utf-8", "replace") + window[used:]


def whole(state: Json) -> bool:
    """Whether the text, read to its end, is complete."""
    return state.place == "end"


class _Reader:
    """One window's worth of reading."""

    def __init__(self, state: Json, text: str) -> None:
        self.state = state
        self.text = text
        self.position = 0
        self.names: list[str] = []

    def step(self) -> None:
        """Read one thing more. Raises _Incomplete, having moved nothing, when the window ends before it does."""
        if self.state.place == "projects":
            while (flat := _FLAT.match(self.text, self.position)) is not None:
                self.names.append(flat[1])
                self.position = flat.end()
        start = self._skip()
        if self.state.place == "start":
            if self.text[start] != "{":
                raise ValueError("not a JSON object")
            self._move("members", start + 1)
        elif self.state.place == "projects":
            self._project(start)
        else:
            self._member(start)

    def _skip(self) -> int:
        match = _BLANK.match(self.text, self.position)
        start = self.position if match is None else match.end()
        if start >= len(self.text):
            raise _Incomplete
        return start

    def _move(self, place: Place, position: int) -> None:
        self.state.place, self.position = place, position

    def _project(self, start: int) -> None:
        if self.text[start] == "]":
            self._move("members", start + 1)
            return
        value, end = self._value(start)
        if isinstance(value, dict) and isinstance(value.get("name"), str):
            self.names.append(value["name"])
        self.position = end

    def _member(self, start: int) -> None:
        if self.text[start] == "}":
            self._move("end", start + 1)
            return
        key = _KEY.match(self.text, start)
        if key is None:
            if self.text[start] != '"':
                raise ValueError("not JSON")
            raise _Incomplete
        if key[1] == "projects":
            if self.text[key.end()] != "[":
                raise ValueError("JSON, but not a list of projects")
            self.state.listed = True
            self._move("projects", key.end() + 1)
            return
        value, self.position = self._value(key.end())
        if key[1] == "meta" and isinstance(value, dict):
            version = value.get("api-version")
            fields.api_version(None if version is None else str(version))

    def _value(self, start: int) -> tuple[Any, int]:
        """The value there and where it ends; complete only once what follows it is there too."""
        try:
            value, end = _DECODE(self.text, start)
        except json.JSONDecodeError:
            raise _Incomplete from None
        except (ValueError, RecursionError) as error:
            raise ValueError("JSON that can't be read") from error
        after = _AFTER.match(self.text, end)
        if after is None:
            if self.text[end:].strip(" \t\r\n"):
                raise ValueError("not JSON")
            raise _Incomplete
        return value, after.start(1)
