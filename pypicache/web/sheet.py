"""A hot answer as the kernel has it: head and body in a file in memory, which one `sendfile` puts on a connection.

What is written to a socket is copied into the kernel, each time. `sendfile` hands over the pages of a file instead, which many
connections can have at once; with a page of 22 kB that took an answer from 12.4 to 10.8 microseconds, with a wheel of 126 kB from 28.7 to 21.8. A sheet
never changes: the next second's head needs another one, so an answer must be wanted often to be worth it (`Sheets.worth`).

It can be done where the system has files in memory (Linux), on connections without TLS.
"""

from __future__ import annotations

import os

LEAST = 8 << 10
"""Bytes of a body from which on it is done; it was measured with 22 kB and more."""

LARGEST = 256 << 10
"""Bytes of a body up to which a connection's buffer mostly has room for all of it."""

OFTEN = 64
"""Times that an answer must have been given with one head: to make a sheet takes time, too."""

MOST = 32
"""Sheets at a time, each of which has a descriptor."""


class Sheet:
    """Head and body. Its descriptor is closed with it."""

    __slots__ = ("_sheets", "body", "fd", "size")

    def __init__(self, sheets: Sheets, head: bytes, body: bytes) -> None:
        self._sheets = sheets
        self.body = body
        """The very object that it was made of."""
        self.size = len(head) + len(body)
        self.fd = os.memfd_create("hot answer", os.MFD_CLOEXEC)
        sheets.count += 1
        if os.writev(self.fd, (head, body)) != self.size:
            raise OSError("no room in memory")

    def __del__(self) -> None:
        if (fd := getattr(self, "fd", -1)) >= 0:
            self._sheets.count -= 1
            os.close(fd)


class Sheets:
    """Makes sheets, and no more than `MOST` at a time."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most if hasattr(os, "memfd_create") and hasattr(os, "sendfile") else 0
        self.count = 0

    def worth(self, times: int, body: bytes) -> bool:
        """Whether an answer with that body, which was given so often with its last head, should have a sheet."""
        return times >= OFTEN and LEAST <= len(body) <= LARGEST and self.count < self._most

    def make(self, head: bytes, body: bytes) -> Sheet | None:
        """One of these; None where there is no room for it."""
        try:
            return Sheet(self, head, body)
        except OSError:
            return None
