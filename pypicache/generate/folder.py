"""The folder that generated files go to: what somebody has edited there is left alone.

A hidden file beside them keeps the SHA-256 of each as it was written. One that still has it is nobody's work and is written anew;
any other is somebody's.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from pypicache.generate.files import Generated
from pypicache.generate.writing import write

RECORD: Final = ".written.json"
"""Name: SHA-256 of what was written."""

State = Literal["written", "unchanged", "updated", "replaced", "edited"]
"""New; the same as before; written anew; written over somebody's changes (`force`); left as it is because of them."""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of one file."""

    file: Generated
    state: State


def write_all(folder: Path, files: Iterable[Generated], *, force: bool) -> list[Written]:
    """Write the files below the folder, which is made. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    record = _read_record(folder / RECORD)
    done = []
    for file in files:
        path = folder / file.name
        state = _state(path, file, record.get(file.name), force=force)
        if state != "edited":
            if state != "unchanged":
                write(path, file.text, mode=file.mode, replace=True)
            _give(path, file)
            record[file.name] = _digest(file.text.encode())
        done.append(Written(file, state))
    write(folder / RECORD, f"{json.dumps(record, indent=1)}\n", mode=0o644, replace=True)
    return done


def _state(path: Path, file: Generated, recorded: str | None, *, force: bool) -> State:
    try:
        found = path.read_bytes()
    except FileNotFoundError:
        return "written"
    if found == file.text.encode():
        return "unchanged"
    if _digest(found) == recorded:
        return "updated"
    return "replaced" if force else "edited"


def _give(path: Path, file: Generated) -> None:
    """Let the user who will read it own it, and its folder: only root can, and only root has to."""
    if file.owner is not None and os.geteuid() == 0:
        for each in (path, path.parent):
            os.chown(each, *file.owner)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _read_record(path: Path) -> dict[str, str]:
    """What was written before; nothing is known when there is no record, or none that can be read."""
    with contextlib.suppress(FileNotFoundError, ValueError):
        found = json.loads(path.read_bytes())
        if isinstance(found, dict):
            return {str(name): str(digest) for name, digest in found.items()}
    return {}
