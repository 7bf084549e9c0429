"""The cache directory itself: who may write to it, and which version of pypicache wrote it.

It knows nothing of what is kept in the directory. It may not import anything of the package but errors
and the file helpers.
"""

from __future__ import annotations

import os
from pathlib import Path

from pypicache.errors import StoreError
from pypicache.store.files import private_directory, replace_file, store_error

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
    if int(text) > FORMAT:
        raise StoreError(
            f"{root} was written by a later pypicache (format {text}, this one reads {FORMAT}): "
            f"upgrade pypicache, or set cache.dir to another place"
        )
