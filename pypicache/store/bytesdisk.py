"""diskcache made safe to open: bytes only, no pickle, no file names from the database, no waiting for ever.

diskcache unpickles whatever a row says is a pickle, and joins file names from the database to its directory
unchecked (CVE-2025-69872, no fixed release), so storing only bytes doesn't protect. `BytesDisk` keeps
every value in the database as bytes and refuses all else, on the way in and out. That also leaves no orphan files
after a kill, and no short ones after a power cut.

Its constructor retries a locked database for a minute for each of some twenty statements, so `open_cache` looks first
with a connection of its own, and says which it is: fine, locked, of no use at present, or corrupt.

SQLite has no checksums: a value carries its own (`seal`), together with its key.

All of it blocks. It may not import anything of the package but errors and the file helpers.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import diskcache
from diskcache.core import DBNAME, DEFAULT_SETTINGS, METADATA, MODE_RAW

from pypicache.errors import StoreError
from pypicache.store.files import private_directory

SETTINGS = {
    "statistics": 0,
    "tag_index": 0,
    "eviction_policy": "least-recently-stored",  # by use would make each get a write
    "cull_limit": 16,
    "sqlite_auto_vacuum": 1,  # the size that culling goes by is the file's: it has to shrink
    "sqlite_cache_size": 512,  # pages of 4 kB, for each thread: values are large, and the system caches the file anyway
    "sqlite_journal_mode": "wal",
    "sqlite_journal_size_limit": 16 << 20,
    "sqlite_mmap_size": 0,  # a mapped file that somebody truncates kills the process (SIGBUS)
    "sqlite_synchronous": 1,
    "disk_min_file_size": 1 << 62,
    "disk_pickle_protocol": 0,
}
"""All of diskcache's settings, so that none is taken from the database."""

_SEAL = 16
_KNOWN = {*DEFAULT_SETTINGS, *METADATA, *SETTINGS}
_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH}
_LOCKED = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


class Refused(ValueError):
    """The database holds something that this program never stores."""


class Corrupt(Exception):
    """The database can't be used and must be set aside."""


class Locked(Exception):
    """Another process holds the database; it may be fine later."""


class BytesDisk(diskcache.Disk):  # type: ignore[misc] # diskcache has no types
    """Keys are str, values are bytes, and both are in the database."""

    def put(self, key: object) -> tuple[str, bool]:
        """The key as it is stored. Raises TypeError for any but str."""
        if type(key) is not str:
            raise TypeError(f"keys are str, not {type(key).__name__}")
        return key, True

    def get(self, key: object, raw: object) -> str:
        """The key as it was given. Raises Refused."""
        if type(key) is not str or not raw:
            raise Refused("a key in the database is no text")
        return key

    def store(self, value: object, read: object, **_: object) -> tuple[int, int, None, memoryview]:
        """The columns for a value. Raises TypeError for any but bytes."""
        if type(value) is not bytes or read:
            raise TypeError(f"values are bytes, not {type(value).__name__}")
        return 0, MODE_RAW, None, memoryview(value)

    def fetch(self, mode: object, filename: object, value: object, read: object) -> bytes:
        """The value of a row. Raises Refused for a pickle, a text, a file: whatever isn't bytes in the row."""
        if mode != MODE_RAW or filename is not None or type(value) is not bytes or read:
            raise Refused("a value in the database is not plain bytes")
        return value

    def filename(self, *_: object, **__: object) -> tuple[str, str]:
        """No value has a file."""
        raise Refused("values are not kept in files")

    def remove(self, file_path: object) -> None:
        """No value has a file, so there is none to remove, whatever the database says."""


def seal(key: str, value: bytes) -> bytes:
    """The value with a checksum over it and its key."""
    return _checksum(key, value) + value


def unseal(key: str, data: bytes) -> bytes | None:
    """The value that was sealed with that key; None when it isn't."""
    value = data[_SEAL:]
    return value if data[:_SEAL] == _checksum(key, value) else None


def _checksum(key: str, value: bytes) -> bytes:
    name = key.encode()
    hasher = hashlib.blake2b(b"%d:%b" % (len(name), name), digest_size=_SEAL)
    hasher.update(value)
    return hasher.digest()


def _code(error: BaseException) -> int | None:
    """SQLite's primary result code for what went wrong first; None when it wasn't SQLite.

    diskcache raises a Timeout for whatever fails at BEGIN, and its rollback may fail for another reason.
    """
    found = None
    seen: BaseException | None = error
    while seen is not None:
        code = getattr(seen, "sqlite_errorcode", None)
        found = found if code is None else code & 0xFF
        seen = seen.__cause__ or seen.__context__
    return found


def is_corrupt(error: BaseException) -> bool:
    """Whether the database is to be given up: it is damaged, or isn't one of ours."""
    if isinstance(error, Corrupt) or _code(error) in _CORRUPT:
        return True
    return isinstance(error, sqlite3.Error) and "no such" in str(error)  # a table or column


def is_locked(error: BaseException) -> bool:
    """Whether another process is in the way, so that the same will work later."""
    return isinstance(error, Locked) or _code(error) in _LOCKED


def identity(directory: Path) -> tuple[int, int] | None:
    """Which file the database is; None when there is none. Another process may have replaced it."""
    try:
        status = (directory / DBNAME).stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def open_cache(directory: Path, *, timeout: float, size_limit: int) -> tuple[Any, tuple[int, int] | None]:
    """The diskcache.Cache there, made if need be, and its `identity`.

    `timeout` is how many seconds a statement waits for a lock. Raises Corrupt, Locked, StoreError (wrong owner or
    mode), OSError or sqlite3.Error (a full or read-only disk).
    """
    private_directory(directory)
    if os.path.expandvars(directory) != str(directory):  # diskcache would expand it
        raise StoreError(
            f"{directory}: diskcache would expand the dollar sign: set cache.dir to another place"
        )
    with _alone(directory.parent):
        _look(directory / DBNAME, timeout)
        try:
            cache = diskcache.Cache(
                str(directory), timeout=timeout, disk=BytesDisk, size_limit=size_limit, **SETTINGS
            )
        except (TypeError, AttributeError, ValueError) as error:
            raise Corrupt(f"odd settings in the database: {error}") from error
        return cache, identity(directory)


def _look(path: Path, timeout: float) -> None:
    """Make sure that diskcache can open the database without waiting. Raises Corrupt, Locked, sqlite3.Error."""
    if path.exists() and not path.is_file():
        raise Corrupt("the database is no file")
    if not path.exists() or path.stat().st_size == 0:
        if any(path.with_name(path.name + suffix).exists() for suffix in ("-wal", "-shm")):
            raise Corrupt("the database is empty beside its journal")
        return
    with contextlib.closing(sqlite3.connect(path, timeout=timeout, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
            if "Settings" in tables:
                odd = {str(key) for (key,) in connection.execute("SELECT key FROM Settings")} - _KNOWN
                if odd:
                    raise Corrupt(f"odd settings in the database: {', '.join(sorted(odd))}")
            if "Cache" in tables:
                connection.execute("SELECT key, mode FROM Cache LIMIT 1").fetchall()
        except sqlite3.Error as error:
            if is_locked(error):
                raise Locked(str(error)) from error
            if is_corrupt(error):
                raise Corrupt(str(error)) from error
            raise


def set_aside(directory: Path, *, expected: tuple[int, int] | None, now: float) -> bool:
    """Rename the directory to `<name>.corrupt-<unix time>`; whether it still held the `expected` database.

    One that was set aside earlier is removed: the newest is enough to look at. Raises OSError.
    """
    mark = f"{directory.name}.corrupt-"
    with _alone(directory.parent):
        if identity(directory) != expected:
            return False  # another process has done it
        older = [path for path in directory.parent.iterdir() if path.name.startswith(mark)]
        for path in older:
            shutil.rmtree(path, ignore_errors=True)
        with contextlib.suppress(FileNotFoundError):
            directory.rename(directory.with_name(f"{mark}{int(now)}"))
    return True


@contextlib.contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Keep other processes on this directory from opening or renaming the database meanwhile."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def why(error: BaseException) -> str:
    """The error in words: where diskcache says only Timeout, what SQLite said."""
    deepest = error
    while (deeper := deepest.__cause__ or deepest.__context__) is not None:
        deepest = deeper
    return str(deepest) or type(deepest).__name__
