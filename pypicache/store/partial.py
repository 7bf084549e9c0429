"""A file that another process is writing, seen from here: its bytes by descriptor, its progress by its journal."""

from __future__ import annotations

import os

from pypicache.rules.pieces import Spans
from pypicache.store import journal
from pypicache.store.files import store_error


class FilePartial:
    """Implements `blobs.Partial` over the file that another process writes; owns both descriptors."""

    def __init__(self, fd: int, journal: int) -> None:
        self._fd = fd
        self._journal = journal

    def fileno(self) -> int:
        """A descriptor for pread and sendfile."""
        return self._fd

    async def look(self) -> tuple[int | None, Spans]:
        """The size, if known, and what is there by now. Raises StoreError."""
        try:
            entry = journal.read(self._journal)
        except OSError as error:
            raise store_error("the cache can't read a journal", error) from error
        return entry.size, entry.held

    def close(self) -> None:
        """Give the descriptors back; more than once is fine."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
            os.close(self._journal)
