"""The cache directory itself: who may write to it, and which version of pypicache wrote it.

A directory of an earlier version keeps its blobs, which their digests vouch for; all else is set aside, and made anew. It may
not import anything of the package but errors, the file helpers and the quarantine.
"""

from __future__ import annotations

import os
from pathlib import Path

from pypicache.errors import StoreError
from pypicache.store.files import private_directory, replace_file, store_error
from pypicache.store.quarantine import Quarantine

FORMAT = 1
"""The version of the directory's layout; a later layout that this program can't read has a higher one."""


def prepare_root(root: Path) -> None:
    """Make the cache directory, or make sure that it is ours and of a version that this program reads.

    Blocking. Raises StoreError with the remedy in its message.
    """
    private_directory(root)
    path = root / "format"
    try:
        text = path.read_text("ascii", "replace")[:32].strip() if path.exists() else ""
        if not text:
            # New, or emptied by a crash before the text got to the disk.
            replace_file(path, root / f"format.{os.getpid()}", f"{FORMAT}\n".encode())
            return
    except OSError as error:
        raise store_error(f"{path} can't be read or written", error) from error
    if not text.isdecimal():
        raise StoreError(
            f"{path} doesn't hold a number: remove the directory's content, or set cache.dir to another place"
        )
    if int(text) < FORMAT:
        _renew(root, path)
    if int(text) > FORMAT:
        raise StoreError(
            f"{root} was written by a later pypicache (format {text}, this one reads {FORMAT}): "
            f"upgrade pypicache, or set cache.dir to another place"
        )


def _renew(root: Path, path: Path) -> None:
    """Set aside all but the blobs. A kill in between leaves the old number, so that the rest is done by the next start."""
    quarantine = Quarantine(root / "quarantine")
    private_directory(quarantine.directory)
    try:
        for each in tuple(root.iterdir()):
            if each not in {path, quarantine.directory, root / "blobs"}:
                quarantine.take(each)
        replace_file(path, root / f"format.{os.getpid()}", f"{FORMAT}\n".encode())
    except OSError as error:
        raise store_error(f"{root} can't be brought to the format of this version", error) from error
