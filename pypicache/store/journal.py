"""What a partial file holds, written beside it after each piece: how a restart or another process knows.

A journal is one line: a CRC-32 in eight hexadecimal digits, a space, and JSON with the whole size (or null) and the
spans of bytes that are held. It is overwritten in place after the bytes it speaks of have been written, so that
after a `kill -9` it never claims too much; after a power cut it may, and the digest finds out. A torn or damaged
line counts as nothing held.

All of it blocks. It knows nothing of what is in the files, and may not import anything of the package.
"""

from __future__ import annotations

import json
import os
import zlib
from dataclasses import dataclass
from pathlib import Path

Spans = tuple[tuple[int, int], ...]

SUFFIX = ".journal"
MAX = 64 << 10
"""Bytes of a journal; a longer one is damage."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is held of a file of `size` bytes: half-open spans, sorted and apart."""

    size: int | None
    held: Spans


NOTHING = Entry(None, ())


def path_of(part: Path) -> Path:
    """Where the journal of that partial file is."""
    return part.with_name(part.name + SUFFIX)


def write(fd: int, entry: Entry) -> None:
    """Replace what the journal says. Raises OSError."""
    text = json.dumps({"size": entry.size, "held": entry.held}, separators=(",", ":")).encode()
    line = b"%08x %s\n" % (zlib.crc32(text), text)
    os.pwrite(fd, line, 0)
    os.ftruncate(fd, len(line))


def read(fd: int) -> Entry:
    """What the journal says; NOTHING when it is empty, torn or damaged. Raises OSError."""
    line = os.pread(fd, MAX, 0)
    try:
        if len(line) < 10 or not line.endswith(b"\n") or int(line[:8], 16) != zlib.crc32(line[9:-1]):  # noqa: PLR2004 - CRC and space
            return NOTHING
        entry = json.loads(line[9:-1])
        size, spans = entry["size"], tuple((int(a), int(b)) for a, b in entry["held"])
    except (ValueError, KeyError, TypeError):
        return NOTHING
    return Entry(size if isinstance(size, int) else None, spans)
