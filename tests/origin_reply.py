"""One answer of the scripted origin as a value: the head, the body, and the way both are sent.

`answer` makes the right one, preconditions and ranges included; `origin_faults` spoils it, `origin_wire` carries
it out. Nothing here knows of files, pages or sockets.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from http import HTTPStatus


class Gate:
    """Something that actions wait for, in any loop, until a test opens it from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
        self.is_open = False

    def open(self) -> None:
        """Let through everyone who waits and everyone who comes later."""
        with self._lock:
            self.is_open = True
            waiting, self._waiting = self._waiting, []
        for loop, event in waiting:
            loop.call_soon_threadsafe(event.set)

    async def wait(self) -> None:
        """Return once the gate is open."""
        event = asyncio.Event()
        with self._lock:
            if self.is_open:
                return
            self._waiting.append((asyncio.get_running_loop(), event))
        await event.wait()


class Framing(Enum):
    """How the client learns where the body ends (RFC 9112 section 6.3)."""

    LENGTH = auto()
    CHUNKED = auto()
    CLOSE = auto()


class End(Enum):
    """How an answer breaks off."""

    RESET = auto()
    """A TCP reset, after what was sent has arrived."""
    FIN = auto()
    """An orderly close of the connection, too early."""
    STALL = auto()
    """Silence, until a gate opens; then the rest follows."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Where an answer breaks off, and how."""

    at: int
    end: End
    in_head: bool = False
    """Whether `at` counts bytes of the head (status line and headers) rather than of the body."""
    gate: Gate | None = None
    """What a stall waits for; None: the origin's `release`."""


@dataclass(frozen=True, slots=True)
class Release:
    """Stands for the origin's own gate, which `Origin.release` opens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer, before it is sent."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    """In order, without those that frame the body."""
    body: bytes | memoryview = field(default=b"", repr=False)
    whole: bytes | memoryview | None = field(default=None, repr=False)
    """The representation that `body` is a range of, where it is one."""
    framing: Framing = Framing.LENGTH
    length: int | None = None
    """What Content-Length says, where it lies."""
    wait: float | Gate | Release | None = None
    """Seconds, or what to wait for, before the first byte."""
    rate: float | None = None
    """Bytes of the body a second; None: as fast as the client reads."""
    piece: int | None = None
    """How many bytes of the body are written at a time; None: many."""
    cuts: tuple[Cut, ...] = ()
    """In order of place: any number of stalls, then perhaps an end."""
    garbage: bytes | None = None
    """What is sent in place of everything above; then the connection is closed."""
    close: bool = False
    """Whether the connection is closed after the answer, without a word in its headers."""

    def without(self, *names: str) -> Reply:
        """The reply with none of these headers (names in lower case)."""
        return replace(self, headers=tuple((k, v) for k, v in self.headers if k.lower() not in names))

    def having(self, headers: Mapping[str, str]) -> Reply:
        """The reply with these headers in place of those of the same names."""
        kept = self.without(*(name.lower() for name in headers))
        return replace(kept, headers=(*kept.headers, *headers.items()))


def reason(status: int) -> str:
    """The reason phrase of a status, or something in its place."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Representation:
    """What a path stands for at the moment (RFC 9110 section 3.2)."""

    data: bytes = field(repr=False)
    content_type: str
    etag: str | None = None
    """Quoted; None: it has none."""
    last_modified: str | None = None
    ranges: bool = False
    """Whether parts can be had."""
    headers: Mapping[str, str] = field(default_factory=dict)


def answer(method: str, headers: Mapping[str, str], what: Representation) -> Reply:
    """The right answer to a GET or HEAD with these request headers (names in lower case)."""
    given = {"ETag": what.etag, "Last-Modified": what.last_modified}
    head = {name: value for name, value in given.items() if value is not None}
    if _unchanged(headers, what):
        return Reply(status=304).having({**head, **what.headers})
    if what.ranges:
        head["Accept-Ranges"] = "bytes"
    full = Reply(status=200, body=what.data, whole=what.data)
    full = full.having({"Content-Type": what.content_type, **head, **what.headers})
    if not what.ranges or method != "GET" or "range" not in headers:
        return full
    condition = headers.get("if-range")
    if condition is not None and condition not in {what.etag, what.last_modified}:
        return full
    return _ranged(full, headers["range"], what.data)


def _unchanged(headers: Mapping[str, str], what: Representation) -> bool:
    """RFC 9110 section 13.2.2: If-None-Match decides where it is sent, else If-Modified-Since."""
    tags = headers.get("if-none-match")
    if tags is not None:
        known = [tag.strip().removeprefix("W/") for tag in tags.split(",")]
        return what.etag is not None and (tags.strip() == "*" or what.etag.removeprefix("W/") in known)
    return what.last_modified is not None and headers.get("if-modified-since") == what.last_modified


def _ranged(full: Reply, wanted: str, data: bytes) -> Reply:
    """RFC 9110 section 14: one range is served, several or malformed ones get the whole."""
    match = re.fullmatch(r"bytes=([0-9]*)-([0-9]*)", wanted.strip(), re.ASCII)
    if match is None or match.group(0) == "bytes=-":
        return full
    first, last, size = match.group(1), match.group(2), len(data)
    start = int(first) if first else max(0, size - int(last))
    stop = min(size, int(last) + 1) if first and last else size
    if first and last and int(last) < start:
        return full
    if start >= size or (not first and int(last) == 0):
        unsatisfiable = Reply(status=416, body=b"range not satisfiable\n", whole=data)
        return unsatisfiable.having({"Content-Type": "text/plain", "Content-Range": f"bytes */{size}"})
    part = replace(full, status=206, body=memoryview(data)[start:stop])
    return part.having({"Content-Range": f"bytes {start}-{stop - 1}/{size}"})
