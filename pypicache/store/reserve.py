"""Reserving disk space for a file that will arrive, so that a full disk shows before the first byte is relayed.

posix_fallocate sets the file's size at once, and where a file system can't do it, the C library writes
to every block instead, which takes minutes for a large file. So fallocate is called itself, with
FALLOC_FL_KEEP_SIZE: the size goes on telling how far the bytes have come, also to another process and
after a crash. Where there is no such call, the free space is looked at, and that has to do.

It may not import anything of the package.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import sys
from collections.abc import Callable

_KEEP_SIZE = 1
_UNSUPPORTED = {errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ENODEV, errno.EPERM}


@functools.cache
def _fallocate() -> Callable[[int, int, int, int], int] | None:
    """The system's fallocate with 64-bit offsets, if it has one."""
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    # glibc names the 64-bit one apart; musl has only that one, under the plain name.
    call = getattr(libc, "fallocate64", None) or getattr(libc, "fallocate", None)
    if call is None:
        return None
    call.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    call.restype = ctypes.c_int
    return call  # type: ignore[no-any-return] # ctypes makes functions out of nothing


def reserve(fd: int, size: int) -> None:
    """Reserve room for `size` bytes in the file without changing its size; blocking.

    Raises OSError with ENOSPC, EDQUOT or EFBIG when there is no room. A file system that can't reserve
    is fine: then the room is only looked at.
    """
    call = _fallocate()
    code = errno.EINTR
    while call is not None and code == errno.EINTR:
        code = ctypes.get_errno() if call(fd, _KEEP_SIZE, 0, size) else 0
    if code == 0:
        return
    if call is not None and code not in _UNSUPPORTED:
        raise OSError(code, os.strerror(code))
    room = os.fstatvfs(fd)
    if size > room.f_bavail * room.f_frsize:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
