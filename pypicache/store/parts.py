"""Partial files by name: who may write one (flock), how its name goes away, and what a dead writer left.

The name is `<SHA-256 of the download's key>.part`. The lock belongs to the open file, so it falls when its
holder dies, and a name counts only while it still stands for the locked file. All of it blocks.

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

from pypicache.errors import StoreError
from pypicache.store.blobs import SpoolBusy
from pypicache.store.files import same_file, store_error
from pypicache.store.quarantine import Quarantine

_ATTEMPTS = 10
_OPEN = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NO_FILE = {errno.ELOOP, errno.EMLINK, errno.ENXIO, errno.EISDIR}


def part_name(key: str) -> str:
    """The name of the spool for that key: of fixed length, whatever the key holds."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest() + ".part"


def claim(path: Path, quarantine: Quarantine) -> int:
    """Open the file, made if need be, and lock it. Raises SpoolBusy when it is locked, StoreFull or StoreError."""
    try:
        for _ in range(_ATTEMPTS):
            fd = _open_plain(path, os.O_CREAT)
            if fd is None:
                quarantine.take(path)
            elif _lock(fd) and same_file(path, fd):
                os.fchmod(fd, 0o600)
                return fd
            else:  # whoever had the lock removed or renamed the file meanwhile
                os.close(fd)
    except OSError as error:
        raise store_error("the cache can't begin a partial file", error) from error
    raise StoreError("the cache can't begin a partial file: its name keeps changing hands")


def remove(path: Path, fd: int) -> None:
    """Take the name away if it stands for this file. Raises OSError."""
    if same_file(path, fd):
        path.unlink(missing_ok=True)


def abandon(path: Path, fd: int) -> None:
    """Remove the file, and close it."""
    with contextlib.suppress(OSError):
        remove(path, fd)
    os.close(fd)


def sweep(directory: Path, quarantine: Quarantine) -> int:
    """Remove every partial file whose writer is gone; how many. What can't be removed stays for the next time."""
    swept = 0
    with contextlib.suppress(OSError):
        for path in tuple(directory.iterdir()):
            with contextlib.suppress(OSError, SpoolBusy):
                fd = _open_plain(path, 0)
                if fd is None:
                    quarantine.take(path)
                else:
                    _lock(fd)
                    abandon(path, fd)
                swept += 1
    return swept


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
