"""One daemon to a cache directory: a lock that its process holds, and its workers with it.

Two daemons would do each other no harm, since all that they share is made for several processes; but they would evict,
scrub and count side by side, and each believe that the disk is its own. The lock (flock) ends with the last process
that has it open, whatever ended that. It may not import anything of the package but errors and its own folder.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from pypicache.errors import StoreError
from pypicache.store.files import store_error
from pypicache.store.root import prepare_root

_ATTEMPTS = 5
_PAUSE = 0.02

_NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS}
"""A file system without flock can't tell; then nobody is refused."""


class Owner:
    """Holds the directory `root`, which is made if need be. A context manager; blocking."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._fd = -1

    def __enter__(self) -> Self:
        """Raises StoreError when another daemon has it, or it can't be used at all."""
        prepare_root(self._root)
        path = self._root / "daemon.lock"
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise store_error(f"{path} can't be opened", error) from error
        try:
            self._lock()
        except BlockingIOError:
            pid = os.pread(self._fd, 20, 0).decode("ascii", "replace").strip()
            self._close()
            whose = f" (process {pid})" if pid.isdecimal() else ""
            raise StoreError(
                f"{self._root} is in use by another pypicache{whose}: stop it, or set cache.dir to another place"
            ) from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                self._close()
                raise store_error(f"{path} can't be locked", error) from error
        self._sign()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def release(self) -> None:
        """Let another daemon have it, as soon as this one takes no more requests; what still runs does no harm."""
        if self._fd >= 0:
            # For all processes that have it from here, not just for this one.
            with contextlib.suppress(OSError):
                fcntl.flock(self._fd, fcntl.LOCK_UN)
            self._close()

    def _lock(self) -> None:
        """Raises BlockingIOError when another daemon has it. A command that only looks who has it lets go at once."""
        for _ in range(_ATTEMPTS):
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            time.sleep(_PAUSE)
        fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _close(self) -> None:
        os.close(self._fd)
        self._fd = -1

    def _sign(self) -> None:
        """Leave the process id for whoever is refused. A full disk is no reason not to start."""
        try:
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)
        except OSError:
            return
