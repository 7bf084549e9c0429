"""Lock files that are given to a command, read: what they pin."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pypicache.errors import PypicacheError, one_line
from pypicache.locks.read import Pin, read


def pins_of(paths: Iterable[Path]) -> tuple[Pin, ...]:
    """What these lock files pin. Raises PypicacheError, which names the file that can't be read."""
    return tuple(pin for path in paths for pin in _read(path))


def _read(path: Path) -> tuple[Pin, ...]:
    try:
        return read(path.read_text("utf-8-sig"), path.name)
    except UnicodeError:
        why = "it isn't text in UTF-8"
    except OSError as error:
        why = error.strerror or str(error)
    raise PypicacheError(f"{one_line(str(path))}: {why}")
