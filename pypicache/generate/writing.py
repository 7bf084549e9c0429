"""A text file, written whole or not at all, with the permissions that it is to have from the first byte on.

It blocks: it is for commands, not for the daemon. It knows nothing of what it writes.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from pathlib import Path
from typing import Final

_NO_HARD_LINKS: Final = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}


def write(path: Path, text: str, *, mode: int, replace: bool) -> None:
    """Write the file by way of a temporary one beside it; its folder is made where it is missing.

    With `replace`, what a link points at is replaced rather than the link, and an owner is kept. Raises FileExistsError without it,
    when there is something of that name, and OSError for whatever else is in the way.
    """
    if replace:
        path = Path(os.path.realpath(path))
    if path.parent.exists() and not path.parent.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path.parent))
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            os.fchmod(file.fileno(), mode)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            _keep_owner(path, temporary)
            temporary.replace(path)
        else:
            _name(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _keep_owner(old: Path, new: Path) -> None:
    """Root may write a file that the daemon's user has to read afterwards."""
    with contextlib.suppress(OSError):
        status = old.stat()
        os.chown(new, status.st_uid, status.st_gid)


def _name(temporary: Path, path: Path) -> None:
    """Give the file its name, unless that is taken: a link, unlike a rename, replaces nothing."""
    try:
        os.link(temporary, path)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS or path.exists():
            raise
        temporary.replace(path)
