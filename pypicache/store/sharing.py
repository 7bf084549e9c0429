"""Who may read stored files: this user alone, or a group too, for a proxy that sends them itself.

::

                          alone   shared
    the cache directory   0700    0710    the group may pass, and not look round
    blobs/                0700    0710
    blobs/sha256/ …       0700    0750
    a blob                0600    0640

All else in the cache directory stays 0700, shared or not. A cache that is shared for the first time is
walked through once; one that no longer is gets its door shut at `blobs/sha256`. It blocks. It may not import anything
of the package but errors and the file helpers.
"""

from __future__ import annotations

import contextlib
import grp
import os
import stat
from pathlib import Path

from pypicache.errors import StoreError
from pypicache.store.files import entries, store_error

_GROUP = 0o070


class Sharing:
    """Gives blobs and their directories the modes above; `group` is the group's name, None for nobody's."""

    def __init__(self, group: str | None) -> None:
        self._name = group
        self._gid: int | None = None

    def settle(self, root: Path, blobs: Path) -> None:
        """Bring what is there to what is wanted; `blobs` is `root/blobs/sha256`. Raises StoreError with the remedy."""
        self._gid = None if self._name is None else _group_id(self._name)
        try:
            if self._gid is None:
                if blobs.stat().st_mode & _GROUP:
                    blobs.chmod(0o700)
                return
            for directory in (root, blobs.parent):
                self._give(directory, 0o710)
            status = blobs.stat()
            if status.st_gid != self._gid or stat.S_IMODE(status.st_mode) != 0o750:  # noqa: PLR2004 - see the table
                self._share(blobs)
        except OSError as error:
            raise store_error(
                f"stored files can't be shared with the group {self._name} (server.accel_group)", error
            ) from error

    def file(self, fd: int) -> None:
        """Give a blob that is to be published its mode. Raises OSError."""
        if self._gid is None:
            os.fchmod(fd, 0o600)
        else:
            self._give(fd, 0o640)

    def suits(self, status: os.stat_result) -> bool:
        """Whether a file that is somebody else's too may be a blob as it is: ours, writable by nobody else, and readable as it has to be."""
        if status.st_uid != os.geteuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return False
        by_group = bool(status.st_mode & stat.S_IRGRP) and status.st_gid == self._gid
        return self._gid is None or by_group or bool(status.st_mode & stat.S_IROTH)

    def make_directories(self, path: Path, below: Path) -> None:
        """Make `path` and what is missing between it and `below`, whatever the umask leaves. Raises OSError, also where `below` isn't there."""
        if path == below:
            return
        with contextlib.suppress(FileExistsError):
            try:
                os.mkdir(path, 0o700)  # noqa: PTH102 - a `Path` asks first whether it is there
            except FileNotFoundError:
                self.make_directories(path.parent, below)
                os.mkdir(path, 0o700)  # noqa: PTH102 - as above
            if self._gid is not None:
                self._give(path, 0o750)

    def _share(self, blobs: Path) -> None:
        """All that is there. The top comes last: a walk that is cut short is made again."""
        for depth in (1, 2):
            for entry in entries(blobs, depth):
                if entry.is_dir(follow_symlinks=False):
                    self._give(Path(entry.path), 0o750)
        for entry in entries(blobs, 3):
            if entry.is_file(follow_symlinks=False):
                with contextlib.suppress(FileNotFoundError):
                    self._give(Path(entry.path), 0o640)
        self._give(blobs, 0o750)

    def _give(self, what: Path | int, mode: int) -> None:
        """The group, unless it has it, then the mode: never one that another group could use."""
        assert self._gid is not None
        if os.stat(what).st_gid != self._gid:  # noqa: PTH116 - a path or a descriptor
            os.chown(what, -1, self._gid)
        os.chmod(what, mode)  # noqa: PTH101 - as above


def _group_id(name: str) -> int:
    """The group's number. Raises StoreError when there is none, or it isn't ours to give files to."""
    try:
        gid = grp.getgrnam(name).gr_gid
    except KeyError:
        raise StoreError(f"server.accel_group: this system has no group {name}") from None
    if os.geteuid() != 0 and gid not in {os.getegid(), *os.getgroups()}:
        raise StoreError(
            f"server.accel_group: this process isn't in the group {name}, so it can't share files with it: "
            f"add its user to the group and start it again"
        )
    return gid
