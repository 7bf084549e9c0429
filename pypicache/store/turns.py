"""One process at a time: turns by name, among processes that have the same file open.

A turn is a lock on one byte of the file, far beyond its end, whose place is the name's digest; so there are as many turns
as names, and no file for each. It falls with the process that has it. The locks are POSIX record locks: they keep a
process from others only, and all of them fall when it closes the file anywhere; so one `Turns` has the file, and keeps
its own callers apart.

It doesn't wait and knows nothing of what is done in a turn. It may not import anything of the package.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib

_BEYOND = 1 << 40
"""Where the locked bytes begin, past whatever the file holds."""

_TAKEN = {errno.EACCES, errno.EAGAIN}


class Turns:
    """Gives turns by locks on the open file `fd`, which belongs to whoever made this."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._ours: set[str] = set()

    def take(self, name: str) -> bool:
        """Have the turn of that name, until `give`; False while somebody has it. Where a file can't be locked, everybody has it."""
        if name in self._ours:
            return False
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _place(name))
        except OSError as error:
            if error.errno in _TAKEN:
                return False
        self._ours.add(name)
        return True

    def give(self, name: str) -> None:
        """Let the next one have it. Without effect on what isn't ours."""
        if name in self._ours:
            self._ours.discard(name)
            try:
                fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, _place(name))
            except OSError:
                return


def _place(name: str) -> int:
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return _BEYOND + (int.from_bytes(digest) >> 2)
