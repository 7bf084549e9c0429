"""What a line of the log looks like: for people, for programs, for the journal.

It hangs the root logger on a `Sink`, in the configured form; doing so again changes the form. Messages come from
everywhere and may quote hostile text, so what isn't printable is replaced here, once more. Requests have lines
of their own (`web.access`).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from pypicache.errors import one_line
from pypicache.sink import Sink

STAMP = "%Y-%m-%dT%H:%M:%S%z"
"""How a line tells the time (ISO 8601)."""

LONGEST = 8000
"""Characters of a message, or of a line of a traceback."""


class Settings(Protocol):
    """The part of the configuration that this module reads."""

    @property
    def level(self) -> str:
        """The least severe messages to log."""
        ...

    @property
    def format(self) -> Literal["text", "json"]:
        """Lines for people, or one JSON object a line."""
        ...

    @property
    def file(self) -> Path | None:
        """Where to log instead of standard error."""
        ...


def setup(settings: Settings, sink: Sink, env: Mapping[str, str] = os.environ) -> None:
    """Send all messages to the sink, in the configured form. Where the sink writes to is the caller's business."""
    handler = _Handler(sink)
    handler.setFormatter(_formatter(settings, env))
    logging.basicConfig(level=settings.level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(capture=True)


def in_journal(settings: Settings, env: Mapping[str, str] = os.environ) -> bool:
    """Whether lines go to systemd's journal: standard error is the stream that `$JOURNAL_STREAM` names (systemd.exec(5))."""
    if settings.file is not None:
        return False
    try:
        status = os.fstat(2)
    except OSError:
        return False
    return env.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


class _Handler(logging.Handler):
    """Gives lines to the sink."""

    def __init__(self, sink: Sink) -> None:
        super().__init__()
        self._sink = sink

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._sink.write(self.format(record) + "\n")
        except Exception:  # noqa: BLE001 - logging's own way with messages that don't fit their arguments
            self.handleError(record)


def _formatter(settings: Settings, env: Mapping[str, str]) -> logging.Formatter:
    form = _JsonFormatter() if settings.format == "json" else _TextFormatter()
    return _JournalFormatter(form) if in_journal(settings, env) else form


class _TextFormatter(logging.Formatter):
    """`time level message`; a traceback follows on lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        head = f"{self.formatTime(record, STAMP)} {record.levelname} {one_line(record.getMessage(), LONGEST)}"
        return "\n".join((head, *_traceback(self, record)))


class _JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": self.formatTime(record, STAMP),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": one_line(record.getMessage(), LONGEST),
        }
        if lines := _traceback(self, record):
            entry["traceback"] = "\n".join(lines)
        return msgspec.json.encode(entry).decode()


class _JournalFormatter(logging.Formatter):
    """Each line begins with its priority (sd-daemon(3)), so that `journalctl -p warning` finds it."""

    _PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))

    def __init__(self, form: logging.Formatter) -> None:
        super().__init__()
        self._form = form

    def format(self, record: logging.LogRecord) -> str:
        priority = next((number for level, number in self._PRIORITIES if record.levelno >= level), 7)
        return "\n".join(f"<{priority}>{line}" for line in self._form.format(record).split("\n"))


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> list[str]:
    if not record.exc_info:
        return []
    return [one_line(line, LONGEST) for line in formatter.formatException(record.exc_info).splitlines()]
