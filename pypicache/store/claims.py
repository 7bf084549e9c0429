"""Who writes which download, among all processes on the cache directory, without asking the disk.

A claim is a lock on one byte of the file `claims`, which stays empty: the byte's offset is made of the download's
key. The kernel keeps such a lock in memory and drops it when its holder dies, so claiming costs microseconds, is fit for
the event loop, and leaves nothing behind.

They are locks of the open file (F_OFD_SETLK), which only a 64-bit Linux is known to have in this shape. Where they
can't be had, a claim holds in this process alone, and `shared` says so. It may not import anything of the package but errors
and its own folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import struct
import sys
from pathlib import Path

from pypicache.store.blobs import SpoolBusy

_SET = getattr(fcntl, "F_OFD_SETLK", None) if sys.platform == "linux" and sys.maxsize > 1 << 32 else None
_FLOCK = "hhqqi4x"
"""`struct flock`: kind, whence, start, length, pid (0 for locks of the open file)."""


class Claims:
    """The claims in the file `path`. Made before the directory is; open it before use."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1
        self._held: set[str] = set()
        self.shared = False
        """Whether other processes see them."""

    def open(self) -> None:
        """Without the file, or locks on this file system, claims hold in this process."""
        if _SET is None:
            return
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with contextlib.suppress(OSError):
            self._fd = os.open(self._path, flags, 0o600)
            self._lock("", fcntl.F_WRLCK)
            self._lock("", fcntl.F_UNLCK)
            self.shared = True

    def close(self) -> None:
        """Give all of them back; more than once is fine."""
        fd, self._fd = self._fd, -1
        self.shared = False
        if fd >= 0:
            os.close(fd)

    def take(self, key: str) -> None:
        """Claim the download called `key`. Raises SpoolBusy while somebody has it."""
        if key in self._held:
            raise SpoolBusy("another download is writing this file")
        if self.shared:
            try:
                self._lock(key, fcntl.F_WRLCK)
            except BlockingIOError as error:
                raise SpoolBusy("another process is writing this file") from error
            except OSError:  # no more locks: whoever writes the same file writes the same bytes
                pass
        self._held.add(key)

    def give(self, key: str) -> None:
        """The download has ended; fine if it wasn't claimed."""
        if key in self._held:
            self._held.discard(key)
            if self.shared:
                with contextlib.suppress(OSError):
                    self._lock(key, fcntl.F_UNLCK)

    def _lock(self, key: str, kind: int) -> None:
        """Raises BlockingIOError when another has it, or any other OSError."""
        assert _SET is not None
        name = hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
        place = (
            int.from_bytes(name[:8], "big") >> 2
        )  # an offset has 63 bits, and the lock must end below that
        fcntl.fcntl(self._fd, _SET, struct.pack(_FLOCK, kind, os.SEEK_SET, place, 1, 0))
