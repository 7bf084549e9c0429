"""The access log: one line a request, written in batches.

`logging` takes more time for a line than a cached page takes to send, so lines are gathered and written
together, a second's worth or 64 kB at most. Paths are logged as they came, percent-encoded and made
printable; queries, which may hold secrets, aren't. ::

    time access client "method path" status bytes milliseconds "cache" index=… page=… mirror=… id=…

`cache` is a word of `events.Outcome`; `page` may be `file`, `sidecar`, `list` or `legacy`. In JSON, each is a member.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Protocol, Self
from urllib.parse import quote

import msgspec

from pypicache.errors import one_line
from pypicache.events import Again, Answered

MAX_PENDING = 64 << 10
"""Characters that are gathered."""

LONGEST = 400
"""Characters of a path."""

HALVED = 4096
"""Records of hot answers whose lines are known but for the time they took."""

_JOURNAL = "<6>"
"""The priority of a line in the journal (sd-daemon(3)): informational."""


class Settings(Protocol):
    """The part of the configuration that this module reads."""

    @property
    def access(self) -> bool:
        """Whether each request gets a line."""
        ...

    @property
    def format(self) -> str:
        """`text` or `json`."""
        ...


class AccessLog:
    """Gathers lines and writes them. Use as an async context manager: leaving writes the rest.

    `take` is called when a response has gone out or broken off. `journal`: the lines go to systemd's journal.
    """

    def __init__(self, write: Callable[[str], object], settings: Settings, *, journal: bool = False) -> None:
        self._write = write
        self._lines: list[str] = []
        self._size = 0
        self._due: asyncio.TimerHandle | None = None
        self._stamp = self._begin = ""
        self._halves: dict[Answered, tuple[str, str]] = {}
        self.configure(settings, journal=journal)

    def configure(self, settings: Settings, *, journal: bool = False) -> None:
        """Write lines of another form from now on, or none."""
        self._wanted = settings.access
        json = settings.format == "json"
        self._line, self._line_again = (
            (self._json, self._json_again) if json else (self._text, self._text_again)
        )
        self._prefix = _JOURNAL if journal else ""
        self._second = -1

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.flush()

    def take(self, answered: Answered) -> None:
        """Note that a request was answered."""
        if self._wanted:
            self._look_at_the_clock(time.time())
            self._add(self._line(answered))

    def take_again(self, again: Sequence[Again], prefix: str, first: int) -> None:
        """Note that these were given again; see `events.Taker`."""
        if not self._wanted:
            return
        for each in again:
            self._look_at_the_clock(each.at)
            begin, end = self._line_again(each, prefix)
            numbers = map(str, range(first, first + each.times))
            self._add(begin + f"{end}{begin}".join(numbers) + end)
            first += each.times

    def _text_again(self, again: Again, prefix: str) -> tuple[str, str]:
        """What comes before and after the number in such a line."""
        asked, about = self._halves.get(again.record) or self._halve(again.record)
        took = _milliseconds(again.seconds)
        return f"{self._begin}{again.client or '-'} {asked} {took} {about}{prefix}", "\n"

    def _json_again(self, again: Again, prefix: str) -> tuple[str, str]:
        one = replace(again.record, client=again.client, seconds=again.seconds, request_id=prefix)
        return self._json(one)[: -len(_END)], _END  # its name is the last thing in it

    def _halve(self, record: Answered) -> tuple[str, str]:
        """What a record's line has before and after the time it took, worked out once for all the times it is given again."""
        if len(self._halves) >= HALVED:
            self._halves.clear()
        found = self._halves[record] = (_request(record), _outcome(record))
        return found

    def _look_at_the_clock(self, at: float) -> None:
        """A line of that time comes next."""
        now = int(at)
        if now != self._second:
            self._second, self._stamp = now, time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(now))
            self._begin = f"{self._prefix}{self._stamp} access "

    def _add(self, line: str) -> None:
        self._lines.append(line)
        self._size += len(line)
        if self._size >= MAX_PENDING:
            self.flush()
        elif self._due is None:
            self._due = asyncio.get_running_loop().call_later(1.0, self.flush)

    def flush(self) -> None:
        """Have what has gathered written."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
        lines, self._lines, self._size = self._lines, [], 0
        if lines:
            self._write("".join(lines))

    def _text(self, answered: Answered) -> str:
        return (
            f"{self._begin}{answered.client or '-'} {_request(answered)}"
            f" {_milliseconds(answered.seconds)} {_outcome(answered)}{answered.request_id}\n"
        )

    def _json(self, answered: Answered) -> str:
        entry = {
            "time": self._stamp,
            "level": "info",
            "logger": "access",
            "client": answered.client,
            "method": answered.method,
            "path": _path(answered.path),
            "status": answered.status,
            "bytes": answered.sent,
            "seconds": round(answered.seconds, 6),
            "cache": answered.outcome,
            "index": answered.index,
            "kind": answered.kind,
            "subject": answered.subject,
            "mirror": answered.mirror,
            "id": answered.request_id,
        }
        return f"{self._prefix}{msgspec.json.encode(entry).decode()}\n"


_END = '"}\n'
"""Of a line in JSON, after the request's name."""


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f}ms"


def _request(answered: Answered) -> str:
    """What was asked and answered, as a line has it."""
    return f'"{answered.method} {_path(answered.path)}" {answered.status} {answered.sent}'


def _outcome(answered: Answered) -> str:
    """How it came about and what it was about, as a line has it, up to the request's name."""
    about = f" index={answered.index}" if answered.index else ""
    if answered.subject:
        about = f"{about} {answered.kind}={_word(answered.subject)}"
    if answered.mirror:
        about = f"{about} mirror={answered.mirror}"
    return f'"{answered.outcome}"{about} id='


def _word(text: str) -> str:
    """The text as one word."""
    return text if " " not in text and '"' not in text else quote(text, safe="")


def _path(path: str) -> str:
    """The path as it may stand between quotes in a line."""
    if len(path) > LONGEST or not path.isprintable():
        path = one_line(path, LONGEST)
    return path.replace('"', "%22")
