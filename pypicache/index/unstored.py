"""Bytes as `Content` that the store couldn't take: a small file is sent all the same, and not kept.

It is for kilobytes; what is large is streamed (`through`). It knows nothing of where the bytes come from.
"""

from __future__ import annotations

import hashlib
import os
import tempfile

from pypicache.errors import StoreError
from pypicache.index.content import Content, Told


class Unstored:
    """These bytes, in a file without a name, as long as it is open."""

    origin = ""
    patience: float | None = None
    data = None

    def __init__(self, data: bytes) -> None:
        self.sha256: str | None = hashlib.sha256(data).hexdigest()
        self.size: int | None = len(data)
        self._length = len(data)
        self._fd = _nameless()
        os.pwrite(self._fd, data, 0)

    def fileno(self) -> int | None:
        """The file's descriptor."""
        return self._fd

    async def read(self, offset: int, most: int) -> bytes:
        """At most that many bytes."""
        return os.pread(self._fd, most, offset)

    async def aside(self, start: int, stop: int) -> bytes | None:  # noqa: ARG002 - the protocol's
        """Never: all of it is there."""
        return None

    async def begun(self) -> None:
        """It has."""

    async def available(self, offset: int) -> int:
        """The whole size."""
        return max(self._length, offset)

    async def whole(self, told: Told | None = None) -> int:  # noqa: ARG002 - the protocol's
        """The size."""
        return self._length

    async def suspect(self) -> None:
        """There is nothing stored to judge."""

    def close(self) -> None:
        """Let go of the bytes."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


async def whole(content: Content, patience: float | None = None) -> Content:
    """All of a small file, there and verified; past the store if need be. Raises, having closed it, what ended the wait."""
    content.patience = patience
    try:
        try:
            await content.whole()
        except StoreError:
            pieces, position = [], 0
            while (mark := await content.available(position)) > position:
                pieces.append(await content.read(position, mark - position))
                position += len(pieces[-1])
            kept = Unstored(b"".join(pieces))
            content.close()
            return kept
    except BaseException:
        content.close()
        raise
    return content


def _nameless() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("unstored")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
