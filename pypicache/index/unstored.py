"""Bytes as `Content` that the store had no room for: a small file is sent all the same, and not kept.

It is for kilobytes; what is large is streamed. It knows nothing of where the bytes come from.
"""

from __future__ import annotations

import hashlib
import os
import tempfile


class Unstored:
    """These bytes, in a file without a name, as long as it is open."""

    verified = True

    def __init__(self, data: bytes) -> None:
        self.sha256: str | None = hashlib.sha256(data).hexdigest()
        self.size: int | None = len(data)
        self._length = len(data)
        self._fd = _nameless()
        os.pwrite(self._fd, data, 0)

    def fileno(self) -> int:
        """The file's descriptor."""
        return self._fd

    async def begun(self) -> None:
        """It has."""

    async def available(self, offset: int) -> int:
        """The whole size."""
        return max(self._length, offset)

    async def whole(self) -> int:
        """The size."""
        return self._length

    def close(self) -> None:
        """Let go of the bytes."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def _nameless() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("unstored")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
