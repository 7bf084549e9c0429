"""Taking a file that somebody else has into the cache by another name for it: a hard link costs no room and no time.

Only a file that nobody but this user can write to is taken so; its bytes then change only if this user has them changed, as
any blob's. It may not import anything of the package but errors and its own folder. It blocks.
"""

from __future__ import annotations

import os
from pathlib import Path

from pypicache.store.files import same_file
from pypicache.store.keeper import Keeper


def adopt(keeper: Keeper, source: Path, fd: int, sha256: str) -> bool:
    """Give the open file at `source` its blob's name as well; whether that was possible.

    The caller has hashed it. Its times stay: it was last used when it was last used there. Raises StoreFull, and OSError
    only where the cache itself is the trouble.
    """
    status = os.fstat(fd)
    if not keeper.sharing.suits(status):
        return False
    path = keeper.files.path(sha256)
    keeper.sharing.make_directories(path.parent, keeper.files.directory)
    keeper.room.take(status.st_size)
    linked = False
    try:
        with keeper.usage.locked(blob=sha256) as sums:
            linked = _link(source, path, fd)
            if linked:
                sums.blob(sha256, status.st_size, 1)
    finally:
        keeper.room.give(status.st_size)  # it was booked as a download's
    return linked


def _link(source: Path, path: Path, fd: int) -> bool:
    try:
        os.link(source, path, follow_symlinks=False)
    except OSError:
        return False  # another file system, one without links, too many of them, or it is there by now
    if same_file(path, fd):
        return True
    path.unlink()
    return False
