"""What had come of a download when the store gave out, for readers that go on without it.

It is a duplicate of the file's descriptor, or the bytes themselves if they were still in memory: those may be all of
the file, and right, when it was only for keeping them that there was no room. It decides nothing.
"""

from __future__ import annotations

import os

from pypicache.index.claim import Claim


class Remains:
    """Nothing, until `take`."""

    def __init__(self) -> None:
        self.fd = -1
        """A descriptor of the file with what had come; -1 if it was in none."""
        self.data: bytes | None = None
        """What had come, if it was in memory."""
        self.whole: bytes | None = None
        """The same, if it is all of the file, verified."""

    def take(self, claim: Claim) -> None:
        """Keep what the claim's spool has."""
        if (data := claim.data) is not None:
            self.data = bytes(data)
            self.whole = self.data if claim.verified else None
        elif claim.held:
            self.fd = os.dup(claim.fileno())

    def close(self) -> None:
        """Give the descriptor back; more than once is fine."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)
