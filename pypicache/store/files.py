"""What the stores do with files and directories, each in one careful function.

All of it blocks, and belongs off the event loop unless it says otherwise. It knows nothing of blobs,
pages or links, and may not import anything of the package but errors.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from pypicache.errors import StoreError, StoreFull

STEP = 1 << 20
"""Bytes read at a time when a file is hashed."""

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_BUFFERS = 1024
"""Buffers given to one pwritev: Linux's IOV_MAX."""

READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""How to open a file that should be a plain one: a link fails (ELOOP), a FIFO doesn't hang."""

_NO_ATIME = getattr(os, "O_NOATIME", 0)

_NO_FILE = {errno.ELOOP, errno.EMLINK, errno.ENXIO}
"""What opening a link (EMLINK on some BSDs), a socket or a device that isn't there fails with."""


def store_error(doing: str, error: OSError) -> StoreError:
    """The error as the package's own: no room (disk, quota, largest file) is StoreFull, all else StoreError."""
    kind = StoreFull if error.errno in _FULL else StoreError
    return kind(f"{doing}: {error.strerror or error}")


def private_directory(path: Path) -> None:
    """Make the directory (mode 0700), or make sure that only its owner, who is us, can write to it.

    Whoever can write there can hand out files in our name. Raises StoreError with the remedy.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
        link, found = path.lstat(), path.stat()
    except OSError as error:
        raise store_error(f"{path} can't be made or looked at", error) from error
    if not stat.S_ISDIR(found.st_mode):
        raise StoreError(f"{path} is not a directory: remove it, or set cache.dir to another place")
    us = os.geteuid()
    if stat.S_ISLNK(link.st_mode) and link.st_uid not in {0, us}:
        raise StoreError(
            f"{path} is a link made by user {link.st_uid}: remove it, or set cache.dir to its target"
        )
    if found.st_uid != us:
        raise StoreError(
            f"{path} belongs to user {found.st_uid}, and this is user {us}: "
            f"run as its owner, chown it, or set cache.dir to another place"
        )
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise StoreError(f"{path} can be written to by others: chmod go-w {path}")


def make_directories(path: Path, below: Path) -> None:
    """Make `path` and what is missing between it and `below`, mode 0700 whatever the umask leaves."""
    if path == below or path.is_dir():
        return
    make_directories(path.parent, below)
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)


def require_one_file_system(one: Path, other: Path) -> None:
    """Raises StoreError with the remedy where files can't be renamed from one directory into the other (EXDEV).

    What isn't there is renamed: Linux tells of another file system, or of another mount of the same, before it looks for it.
    """
    try:
        (one / "nothing").rename(other / "nothing")
    except OSError as error:
        if error.errno == errno.EXDEV:
            raise StoreError(
                f"{one} and {other} are on different file systems or mounts, and files are moved between them: "
                f"have the whole directory on one, by cache.dir"
            ) from error


def sync_directory(path: Path) -> None:
    """Have the names in it survive a power cut. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def same_file(path: Path | str, fd: int) -> bool:
    """Whether the name still stands for the open file."""
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return os.path.samestat(found, os.fstat(fd))


def write_at(fd: int, offset: int, buffers: Sequence[bytes]) -> int:
    """Write all of the buffers there, however the kernel cuts them up; how many bytes that was. Raises OSError."""
    todo = [memoryview(buffer) for buffer in buffers if buffer]
    begin = offset
    while todo:
        count = os.pwritev(fd, todo[:_BUFFERS], offset)
        offset += count
        while todo and count >= len(todo[0]):
            count -= len(todo.pop(0))
        if count:
            todo[0] = todo[0][count:]
    return offset - begin


def hash_into(hasher: hashlib._Hash, fd: int, start: int, stop: int) -> None:
    """Feed bytes [start, stop) of the file to the hash. Raises StoreError when the file is shorter, OSError."""
    while start < stop:
        piece = os.pread(fd, min(STEP, stop - start), start)
        if not piece:
            raise StoreError(f"a file of the cache ends at {start} where {stop} bytes were written")
        hasher.update(piece)
        start += len(piece)


def open_plain(path: Path | str) -> tuple[int, os.stat_result] | str:
    """The plain file there, opened, or what stands there instead; fit for the event loop. Raises OSError.

    Reading it doesn't change its access time, where that can be had: only a file's owner may ask for it.
    """
    try:
        try:
            fd = os.open(path, READ | _NO_ATIME)
        except PermissionError:
            fd = os.open(path, READ)
    except OSError as error:
        if error.errno in _NO_FILE:
            return "a link or a socket stood in its place"
        raise
    status = os.fstat(fd)
    if stat.S_ISREG(status.st_mode):
        return fd, status
    os.close(fd)
    return "a directory, a FIFO or a device stood in its place"


def entries(directory: Path | str, depth: int) -> Iterator[os.DirEntry[str]]:
    """What is `depth` levels down; directories that are links, or vanish, are passed over."""
    with contextlib.suppress(OSError), os.scandir(directory) as listing:
        for entry in listing:
            if depth == 1:
                yield entry
            elif entry.is_dir(follow_symlinks=False):
                yield from entries(entry.path, depth - 1)


def replace_file(path: Path, temporary: Path, data: bytes) -> None:
    """Put `data` in a new file, mode 0600, and give it its name in one step. Raises OSError; leaves nothing then."""
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            write_at(fd, 0, [data])
        finally:
            os.close(fd)
        temporary.rename(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
