"""A stored file, by its descriptor. It knows nothing of paths, and imports nothing of the package."""

from __future__ import annotations

import errno
import fcntl
import os
import warnings
from collections.abc import Awaitable, Callable


class FileBlob:
    """A stored file, open. Implements `blobs.Blob`; owns its descriptor."""

    def __init__(
        self, sha256: str, size: int, fd: int, *, judge: Callable[[], Awaitable[object]] | None = None
    ) -> None:
        self.sha256 = sha256
        self.size = size
        self._fd = fd
        self._judge = judge

    def fileno(self) -> int:
        """The descriptor, for pread and sendfile. Raises ValueError when closed."""
        if self._fd < 0:
            raise ValueError("the blob is closed")
        return self._fd

    async def suspect(self) -> None:
        """Have the file judged, and wait until it has been; see `Blob.suspect`."""
        if self._judge is not None:
            await self._judge()

    def close(self) -> None:
        """Give the descriptor back; more than once is fine."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        # A daemon that forgets descriptors dies of it in the end: close, and tell the developer.
        if getattr(self, "_fd", -1) >= 0:
            warnings.warn(
                f"blob {self.sha256[:16]} was never closed", ResourceWarning, source=self, stacklevel=2
            )
            self.close()


def share(fd: int) -> None:
    """Lock the blob as one that is read: eviction passes over it until it is closed, by a kill too."""
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        # It is being evicted this very moment: whoever has it open reads on.
        if error.errno not in {errno.EWOULDBLOCK, errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS}:
            raise
