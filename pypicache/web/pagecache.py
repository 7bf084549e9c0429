"""Reading files without holding up the event loop: at once what the kernel has in memory, else in a thread.

Most of what a cache sends was sent a moment ago, so it is in the kernel's page cache, and a hop to a thread would
cost several times what the read does. But a read of what isn't there waits for the disk, and so would
every other client. Linux tells the two apart: with RWF_NOWAIT a read gives what is in memory, or
nothing. Where it can't be told (another system, or a file system without it) the thread is asked.

It knows nothing of HTTP, and imports nothing of the package.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from concurrent.futures import Executor

PROBE = 1 << 20
"""How far apart the bytes are that stand for the rest when a span is probed. The kernel reads ahead, and evicts, in
runs of many pages."""

_NOWAIT: int | None = getattr(os, "RWF_NOWAIT", None)


async def read(fd: int, offset: int, length: int, disk: Executor) -> bytes | bytearray:
    """Those bytes of the file, or fewer where it ends. Raises OSError."""
    data = read_in_memory(fd, offset, length)
    if data is not None:
        return data
    # A caller that is cancelled may close the descriptor under the thread: what that then reads, nobody gets.
    return await asyncio.get_running_loop().run_in_executor(disk, os.pread, fd, length, offset)


def read_in_memory(fd: int, offset: int, length: int) -> bytearray | None:
    """Those bytes, if all of them are in memory; never waits for the disk."""
    if _NOWAIT is None:
        return None
    data = bytearray(length)
    try:
        return data if os.preadv(fd, [data], offset, _NOWAIT) == length else None
    except OSError:  # not there (EAGAIN), or not to be told (EOPNOTSUPP)
        return None


async def load(fd: int, start: int, stop: int, disk: Executor) -> None:
    """Have bytes [start, stop) in memory, as far as a few of them tell. Damage is left for the reader to meet."""
    if not in_memory(fd, start, stop):
        await asyncio.get_running_loop().run_in_executor(disk, _touch, fd, start, stop)


def in_memory(fd: int, start: int, stop: int) -> bool:
    """Whether bytes [start, stop) are, as far as a few of them tell."""
    return all(read_in_memory(fd, at, 1) is not None for at in (*range(start, stop, PROBE), stop - 1))


def _touch(fd: int, start: int, stop: int) -> None:
    """In a thread: have the kernel read the span, and wait until it has."""
    with contextlib.suppress(OSError):
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(fd, start, stop - start, os.POSIX_FADV_WILLNEED)
        for at in (*range(start, stop, PROBE), stop - 1):
            os.pread(fd, 1, at)
