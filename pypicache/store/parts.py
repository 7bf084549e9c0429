"""Partial files by name: who may write one (flock), how its name goes away, and what a dead writer left.

Beside each partial file is its journal, which says what it holds. The name is `<SHA-256 of the download's key>.part`. The lock
belongs to the open file, so it falls when its holder dies, and a name counts only while it still stands for the locked
file. In the sums a partial file stands for its size, or for the size that its journal says it will have. All of it blocks.

It knows nothing of what is in the files. It may not import anything of the package but errors and its own folder.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import stat
from pathlib import Path
from typing import NamedTuple

from pypicache.errors import StoreError
from pypicache.store import journal
from pypicache.store.blobs import SpoolBusy
from pypicache.store.files import READ, entries, same_file, store_error
from pypicache.store.journal import Entry
from pypicache.store.quarantine import Quarantine

_ATTEMPTS = 10
_OPEN = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NO_FILE = {errno.ELOOP, errno.EMLINK, errno.ENXIO, errno.EISDIR}


def part_name(key: str) -> str:
    """The name of the spool for that key: of fixed length, whatever the key holds."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest() + ".part"


class Part(NamedTuple):
    """A partial file, opened and locked."""

    fd: int
    journal: int
    entry: Entry
    """What its journal says of it; NOTHING where that can't be."""
    booked: int
    """Bytes for which it stands in the sums: what is there, or what was to come."""


def claim(path: Path, quarantine: Quarantine) -> Part:
    """Open the file, made if need be, and lock it. Raises SpoolBusy when it is locked, StoreFull or StoreError."""
    try:
        for _ in range(_ATTEMPTS):
            fd = _open_plain(path, os.O_CREAT)
            if fd is None:
                quarantine.take(path)
            elif _lock(fd) and same_file(path, fd):
                return _with_journal(path, fd, quarantine)
            else:  # whoever had the lock removed or renamed the file meanwhile
                os.close(fd)
    except OSError as error:
        raise store_error("the cache can't begin a partial file", error) from error
    raise StoreError("the cache can't begin a partial file: its name keeps changing hands")


def fresh(path: Path | str) -> int:
    """A new, locked file there, for somebody who writes and names it at once; a crash leaves it to `sweep`. Raises OSError, StoreError."""
    fd = os.open(path, _OPEN | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:  # somebody sweeps: it is about to go
        os.close(fd)
        raise StoreError("the cache can't begin a file: it was swept away") from error
    except OSError:
        os.close(fd)
        raise
    return fd


def _with_journal(path: Path, fd: int, quarantine: Quarantine) -> Part:
    """The locked file together with its journal. Raises OSError, with nothing left open."""
    try:
        os.fchmod(fd, 0o600)
        notes = _open_plain(journal.path_of(path), os.O_CREAT)
        if notes is None:
            quarantine.take(journal.path_of(path))
            notes = os.open(journal.path_of(path), _OPEN | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError:
        os.close(fd)
        raise
    entry, size = journal.read(notes), os.fstat(fd).st_size
    booked = max(size, entry.size or 0)
    # A journal that claims more than there is belongs to another file of that name.
    if entry.held and entry.held[-1][1] > size:
        entry = journal.NOTHING
    return Part(fd, notes, entry, booked)


def open_partial(path: Path) -> tuple[int, int] | None:
    """The file and its journal, opened for reading; None when either isn't there. Raises StoreError."""
    try:
        fd = os.open(path, READ)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise store_error("the cache can't open a partial file", error) from error
    try:
        return fd, os.open(journal.path_of(path), READ)
    except OSError:
        os.close(fd)
        return None


def remove(path: Path, fd: int) -> None:
    """Take the name away, and the journal's, if it stands for this file. Raises OSError."""
    if same_file(path, fd):
        path.unlink(missing_ok=True)
        journal.path_of(path).unlink(missing_ok=True)


def set_aside(path: Path, quarantine: Quarantine, fd: int) -> None:
    """Move the file to the quarantine if the name stands for it. Raises OSError."""
    if same_file(path, fd):
        quarantine.take(path)
        quarantine.trim()
        journal.path_of(path).unlink(missing_ok=True)


def abandon(path: Path, part: Part) -> None:
    """Remove the file, and close it."""
    with contextlib.suppress(OSError):
        remove(path, part.fd)
    os.close(part.fd)
    os.close(part.journal)


def sweep(directory: Path, quarantine: Quarantine, *, before: float) -> int:
    """Remove every partial file without a writer that nobody can go on with; how many bytes were booked for them.

    Those are the ones without a journal that says what they hold, and those that were last written before
    `before` (seconds since the epoch). What can't be removed stays for the next time.
    """
    swept = 0
    with contextlib.suppress(OSError):
        for path in tuple(directory.iterdir()):
            with contextlib.suppress(StoreError, OSError):
                swept += _sweep(path, quarantine, before)
    return swept


def abandoned(directory: Path) -> list[Path]:
    """The partial files, longest unwritten first: of those that nobody writes, `give_up` frees the room."""
    found = []
    for entry in entries(directory, depth=1):
        if not entry.name.endswith(journal.SUFFIX):
            with contextlib.suppress(OSError):
                found.append((entry.stat(follow_symlinks=False).st_mtime, Path(entry.path)))
    return [path for _, path in sorted(found)]


def give_up(path: Path, quarantine: Quarantine) -> int | None:
    """Remove that partial file if nobody writes it; the bytes that were booked for it, None when it stays."""
    if not os.path.lexists(path):
        return None
    try:
        return _sweep(path, quarantine, float("inf"))
    except (StoreError, OSError):
        return None


def count(directory: Path) -> int | None:
    """Bytes booked for all partial files; None while somebody writes one, since only that one knows."""
    booked = 0
    for entry in entries(directory, depth=1):
        if entry.name.endswith(journal.SUFFIX) or not entry.is_file(follow_symlinks=False):
            continue
        try:
            found = open_partial(Path(entry.path))
        except StoreError:
            return None
        if found is None:
            if _written_now(entry.path):
                return None
            with contextlib.suppress(OSError):
                booked += entry.stat(follow_symlinks=False).st_size
            continue
        fd, notes = found
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
            booked += max(os.fstat(fd).st_size, journal.read(notes).size or 0)
        except OSError:
            return None
        finally:
            os.close(fd)
            os.close(notes)
    return booked


def _written_now(path: str) -> bool:
    """Whether somebody has that file, which has no journal, locked."""
    try:
        fd = os.open(path, READ)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(fd)
    return False


def _sweep(path: Path, quarantine: Quarantine, before: float) -> int:
    if path.name.endswith(journal.SUFFIX):
        if not path.with_name(path.name.removesuffix(journal.SUFFIX)).exists():
            path.unlink()
        return 0
    if not stat.S_ISREG(path.lstat().st_mode):
        quarantine.take(path)
        return 0
    part = claim(path, quarantine)
    if part.entry.held and os.fstat(part.fd).st_mtime >= before:
        os.close(part.fd)
        os.close(part.journal)
        return 0
    abandon(path, part)
    return part.booked


def _open_plain(path: Path, flags: int) -> int | None:
    """The plain file there, opened; None when something else has its name. Raises OSError."""
    try:
        fd = os.open(path, _OPEN | flags, 0o600)
    except OSError as error:
        if error.errno in _NO_FILE:
            return None
        raise
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    return None


def _lock(fd: int) -> bool:
    """Lock the file, or close it and raise SpoolBusy, or OSError where there are no locks."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(fd)
        raise SpoolBusy("another download is writing this partial file") from error
    except OSError:
        os.close(fd)
        raise
    return True
