"""The daemon's own key, kept in the cache directory: whoever can read it is the daemon, or may act for it.

Tokens are signed with it, so it outlives a restart and is the same in all processes of one cache. Without the
file another one is made, and everyone has to log in anew. All of it blocks.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path

from pypicache.errors import StoreError
from pypicache.store.files import open_plain, store_error, write_at

NAME = "key"
SIZE = 32


def read_key(root: Path) -> bytes | None:
    """The key; None when there is none, or one that others could know. Raises StoreError when it can't be read."""
    path = root / NAME
    try:
        found = open_plain(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise store_error(f"{path} can't be read", error) from error
    if isinstance(found, str):
        return None
    handle, status = found
    try:
        data = os.read(handle, SIZE + 1)
    finally:
        os.close(handle)
    closed = not status.st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    ours = status.st_uid in {0, os.geteuid()} or os.geteuid() == 0
    return data if len(data) == SIZE and closed and ours else None


def own_key(root: Path) -> bytes:
    """The key, made if there is none. Raises StoreError.

    Of several processes that make one at a time, all get the same.
    """
    for _ in range(3):
        if (key := read_key(root)) is not None:
            return key
        temporary = root / f"{NAME}.{os.getpid()}.{secrets.token_hex(4)}"
        try:
            _write(temporary, secrets.token_bytes(SIZE))
            with contextlib.suppress(FileExistsError):
                os.link(temporary, root / NAME)
                continue
            # What stands there is no key that could be used.
            if read_key(root) is None:
                temporary.replace(root / NAME)
        except OSError as error:
            raise store_error(f"the key in {root} can't be written", error) from error
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink()
    raise StoreError(f"{root / NAME} can't be used: remove it")


def _write(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        write_at(handle, 0, [data])
    finally:
        os.close(handle)
