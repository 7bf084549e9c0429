"""Whether what is kept beside the files is as it was written: link records, lists, the page database.

Each tells what is wrong, one thing after the other, and changes nothing. All of it blocks. It may not import anything of
the package but its own folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from diskcache.core import DBNAME

from pypicache.store.files import entries
from pypicache.store.inspection import Damage
from pypicache.store.linkrecord import place_of, read_record
from pypicache.store.lists import ListRecord

_TIMEOUT = 5.0
_FOLDER = re.compile(r"[0-9a-f]{3}")
_TEMPORARY = "tmp"


def links(root: Path, seen: Callable[[], object] = lambda: None) -> Iterator[Damage]:
    """Link records that are damaged or in the wrong place, and what is no record; `seen` is called for each good one."""
    folder = root / "links"
    for entry in entries(folder, depth=1):
        if entry.name == _TEMPORARY:
            continue
        if not (_FOLDER.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)):
            yield Damage(Path(entry.path), "no such thing is kept there")
    for entry in entries(folder, depth=2):
        path = Path(entry.path)
        if path.parent.name == _TEMPORARY:
            continue
        record = read_record(path) if entry.is_file(follow_symlinks=False) else None
        if record is None:
            if path.exists() or path.is_symlink():  # else it has gone meanwhile
                yield Damage(path, "it isn't a link record, or a damaged one")
        elif folder / place_of(record.index, record.path) != path:
            yield Damage(path, "the record of another link stands in its place")
        else:
            seen()


def lists(root: Path) -> Iterator[Damage]:
    """Lists of all projects whose record or parts aren't what they should be: their folders."""
    for entry in entries(root / "lists", depth=1):
        folder = Path(entry.path)
        if not entry.is_dir(follow_symlinks=False):
            yield Damage(folder, "no such thing is kept there")
        elif (why := _list(folder)) is not None:
            yield Damage(folder, why)


def _list(folder: Path) -> str | None:
    try:
        record = msgspec.msgpack.decode((folder / "record").read_bytes(), type=ListRecord)
    except FileNotFoundError:
        return None  # its first list is on its way
    except (OSError, msgspec.MsgspecError):
        return "its record can't be read"
    for part, known in record.parts.items():
        try:
            with (folder / f"{record.generation}.{part}").open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != known.sha256:
                    return f"its part {part} is damaged"
        except FileNotFoundError:
            return f"its part {part} is missing"
        except OSError as error:
            return f"its part {part} can't be read: {error.strerror}"
    return None


def database(folder: Path) -> str | None:
    """What is wrong with the page database in that folder; None when nothing is, there is none, or another has it locked."""
    path = folder / DBNAME
    if not path.exists() and not path.is_symlink():
        return None
    if path.is_symlink() or not path.is_file():
        return "the database is no file"
    if path.stat().st_size == 0:
        return "the database is empty"
    try:
        with contextlib.closing(
            sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=_TIMEOUT)
        ) as opened:
            tables = {name for (name,) in opened.execute("SELECT name FROM sqlite_master")}
            if not {"Cache", "Settings"} <= tables:
                return "it is another program's database"
            said = str(opened.execute("PRAGMA quick_check(1)").fetchone()[0])
            odd = sum(
                type(key) is not str or raw != 1 for key, raw in opened.execute("SELECT key, raw FROM Cache")
            )
    except sqlite3.Error as error:
        locked = getattr(error, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
        return None if locked else str(error)
    if said == "ok" and odd:
        return f"{odd} of its keys are none of ours"
    return None if said == "ok" else said
