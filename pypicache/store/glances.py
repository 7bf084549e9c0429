"""Whether a blob is still the one that was seen, for those who hold a copy of it and ask at every request.

It takes one stat, and none for what has been looked at in the same turn of the event loop: under uvloop, whose clock stands still
in a turn, that is a millisecond at most. To glance counts as a use. It opens nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable

Identity = tuple[int, int, int]
"""Device, inode and size."""


class Glances:
    """Looks at blobs: `place` gives a blob's path, `used` is told of its use, `turn` is the loop's time."""

    def __init__(
        self, place: Callable[[str], str], used: Callable[[str], object], turn: Callable[[], float]
    ) -> None:
        self._place = place
        self._used = used
        self._turn = turn
        self._now = -1.0
        self._seen: dict[str, Identity | None] = {}

    def look(self, sha256: str) -> Identity | None:
        """What tells the blob from another one in its place; None when there is none."""
        found = self._found(sha256)
        if found is not None:
            self._used(sha256)
        return found

    def there(self, sha256: str) -> bool:
        """Whether there is one. It isn't used thereby."""
        return self._found(sha256) is not None

    def _found(self, sha256: str) -> Identity | None:
        now = self._turn()
        if now != self._now:
            self._now, self._seen = now, {}
        try:
            return self._seen[sha256]
        except KeyError:
            found = self._seen[sha256] = self._identity(sha256)
        return found

    def _identity(self, sha256: str) -> Identity | None:
        try:
            status = os.lstat(self._place(sha256))
        except OSError:
            return None
        return status.st_dev, status.st_ino, status.st_size
