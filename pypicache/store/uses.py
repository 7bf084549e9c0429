"""When stored files were used, gathered in memory and written to the files now and then: a request costs no write.

What a crash loses is a minute of use times, of files that were used in that minute. It may not import anything of the
package but its own folder.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from pypicache.store.blobfiles import BlobFiles

MOST = 1 << 16
"""Files remembered between two writes; of what is used beyond that, only the latest write knows."""


class Uses:
    """Counts uses of blobs. `now` gives seconds since the epoch."""

    def __init__(self, files: BlobFiles, *, now: Callable[[], float] = time.time) -> None:
        self._files = files
        self._now = now
        self._noted: dict[str, tuple[int, float]] = {}
        self._flushing = threading.Lock()

    def __len__(self) -> int:
        return len(self._noted)

    def note(self, sha256: str) -> None:
        """The blob was opened for somebody. Cheap, for the event loop."""
        known = self._noted.get(sha256)
        if known is not None or len(self._noted) < MOST:
            self._noted[sha256] = (known[0] + 1 if known is not None else 1, self._now())

    def flush(self) -> None:
        """Write to the files what was noted; blocking, from any thread."""
        with self._flushing:
            noted, self._noted = self._noted, {}
            for sha256, (uses, at) in noted.items():
                self._files.used(sha256, uses, at)
