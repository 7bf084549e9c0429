"""Setting aside what can't be right in the cache directory, so that it can be looked at and can't be served.

Only a few things are kept, the newest: a disk that goes bad must not fill itself with its own damage.
It may not import anything of the package but errors and the file helpers.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from pathlib import Path


class Quarantine:
    """A directory of things that were set aside; `keep` of them at most after each `trim`."""

    def __init__(self, directory: Path, *, keep: int = 16) -> None:
        self.directory = directory
        self._keep = keep

    def take(self, path: Path) -> None:
        """Take away what stands there: files and directories are moved here, all else is removed.

        One or two system calls, so fit for the event loop. Raises OSError; what has gone already is fine.
        """
        with contextlib.suppress(FileNotFoundError):
            mode = path.lstat().st_mode
            if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
                kept = self.directory / f"{path.name}-{os.urandom(4).hex()}"
                path.rename(kept)
                with contextlib.suppress(OSError):
                    os.utime(kept, follow_symlinks=False)  # so that `trim` knows when
            else:
                path.unlink()

    def trim(self) -> None:
        """Remove all but the newest; blocking. Never raises OSError: what can't be removed stays for the next time."""
        for entry in self._oldest_first()[: -self._keep]:
            _remove(entry)

    def drop_oldest(self) -> bool:
        """Remove the one that was taken first, since its room is needed; whether one was removed. Blocking."""
        return any(_remove(entry) for entry in self._oldest_first()[:1])

    def _oldest_first(self) -> list[os.DirEntry[str]]:
        with contextlib.suppress(OSError), os.scandir(self.directory) as entries:
            return sorted(entries, key=_when)
        return []


def _remove(entry: os.DirEntry[str]) -> bool:
    """Whether it is gone."""
    if entry.is_dir(follow_symlinks=False):
        shutil.rmtree(entry.path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            Path(entry.path).unlink()
    return not os.path.lexists(entry.path)


def _when(entry: os.DirEntry[str]) -> float:
    try:
        return entry.stat(follow_symlinks=False).st_mtime
    except OSError:
        return 0.0
