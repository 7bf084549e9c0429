"""Whether what is below `blobs/` is what it is said to be, and setting aside what isn't.

A name proves nothing: a blob is right when its bytes hash to it. What can't be a blob (a link, a directory, a FIFO) or stands
where nothing should is a stray. What is set aside is fetched again when somebody asks for it.

All of it blocks. It decides nothing about when to look, and may not import anything of the package but errors and its own
folder.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pypicache.errors import StoreError
from pypicache.store.blobfiles import DIRECTORY, SHA256, BlobFiles
from pypicache.store.files import entries, hash_into, open_plain, same_file
from pypicache.store.quarantine import Quarantine
from pypicache.store.usage import SHARDS

_AT_A_TIME = 8 << 20
_LATELY = 3600.0
"""Seconds after whose last use a file that was only hashed leaves the page cache."""

_DAMAGED = {errno.EIO, getattr(errno, "EUCLEAN", errno.EIO), errno.EBADMSG, errno.EOVERFLOW}
"""What reading fails with where the disk or the file system is damaged. All else (no descriptors) says nothing of the file."""


@dataclass(frozen=True, slots=True)
class Damage:
    """Something below `blobs/` that isn't a file whose bytes hash to its name."""

    path: Path
    why: str


class Inspection:
    """Looks at the blobs of `files`. `now` gives seconds since the epoch."""

    def __init__(
        self, files: BlobFiles, *, quarantine: Quarantine, now: Callable[[], float] = time.time
    ) -> None:
        self._files = files
        self._quarantine = quarantine
        self._now = now

    def judge(
        self, sha256: str, *, repair: bool = True, stop: threading.Event | None = None
    ) -> Damage | None:
        """Hash the blob; what is wrong with it, None when it is fine, or gone, or `stop` was set before the end.

        With `repair`, what is wrong is set aside, so that the file is fetched again when somebody asks for it.
        """
        path = self._files.path(sha256)
        try:
            found = open_plain(path)
        except OSError as error:
            if error.errno not in _DAMAGED:
                return None
            found = f"it can't be opened: {error.strerror}"
        if isinstance(found, str):
            damage = Damage(path, found)
            if repair:
                self.set_aside(damage)
            return damage
        fd, status = found
        try:
            why = _hash(fd, status.st_size, sha256, stop)
            if self._now() - status.st_mtime > _LATELY and hasattr(os, "posix_fadvise"):
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            if why is None or not same_file(path, fd):
                return None
            damage = Damage(path, why)
            if repair:
                self.set_aside(damage)
            return damage
        finally:
            os.close(fd)

    def set_aside(self, damage: Damage) -> None:
        """Move it to the quarantine; what can't be moved stays."""
        with contextlib.suppress(OSError):
            self._quarantine.take(damage.path)
            self._quarantine.trim()
        with contextlib.suppress(ValueError):  # a stray above all shards is of none
            self._files.count(int(damage.path.relative_to(self._files.directory).parts[0], 16) % SHARDS)

    def strays(self, shard: int | None = None) -> Iterator[Damage]:
        """What isn't a blob's file or a directory for some: of a shard, or above all shards when that is None."""
        top = self._files.directory if shard is None else self._files.directory / f"{shard:02x}"
        if top.is_symlink():
            return  # it is one itself
        for entry in entries(top, depth=1):
            if not (DIRECTORY.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)):
                yield Damage(Path(entry.path), "no such thing is kept there")
        for directory, prefix in self._files.directories(shard) if shard is not None else ():
            for entry in entries(directory, depth=1):
                if not (SHA256.fullmatch(entry.name) and entry.name.startswith(prefix)):
                    yield Damage(Path(entry.path), "no such thing is kept there")
                elif not entry.is_file(follow_symlinks=False):
                    yield Damage(
                        Path(entry.path), "a link, a directory, a FIFO or a device stood in its place"
                    )

    def places(self, shard: int) -> set[int]:
        """Those places of the shard, by their four digits, that there are directories for."""
        return {int(prefix, 16) for _, prefix in self._files.directories(shard)}

    def names(self, place: int) -> list[str]:
        """The digests, as far as file names say, in the place of these four digits."""
        prefix = f"{place:04x}"
        top = self._files.directory / prefix[:2]
        if top.is_symlink() or (top / prefix[2:]).is_symlink():
            return []
        found = (entry.name for entry in entries(top / prefix[2:], depth=1))
        return [name for name in found if SHA256.fullmatch(name) and name.startswith(prefix)]


def _hash(fd: int, size: int, sha256: str, stop: threading.Event | None) -> str | None:
    """What is wrong with the open blob; None when nothing is, or when it isn't known."""
    hasher = hashlib.sha256()
    try:
        for start in range(0, size, _AT_A_TIME):
            if stop is not None and stop.is_set():
                return None
            hash_into(hasher, fd, start, min(start + _AT_A_TIME, size))
    except OSError as error:
        return f"it can't be read: {error.strerror}" if error.errno in _DAMAGED else None
    except StoreError:
        return "it was cut short while it was read"
    return None if hasher.hexdigest() == sha256 else "its bytes are not those of its name"
