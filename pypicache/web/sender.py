"""Bytes from a file to a client: one way for stored files and for those still arriving.

A `Content` says up to where it can be read, and the sender goes there and asks again: so a client that is
slower than the download never waits for it, a faster one gets each piece as it lands, and neither costs
more memory than one piece. What goes wrong after the headers breaks the connection: a client never takes
part of a file for all of it.
"""

from __future__ import annotations

import asyncio
import logging
import os
from concurrent.futures import Executor

from aiohttp import web

from pypicache.errors import PypicacheError
from pypicache.index.reader import Content

log = logging.getLogger(__name__)

PIECE = 256 << 10
"""Bytes read and handed to the connection at a time; the bound on what a slow client costs."""


def read_small(content: Content, start: int, stop: int) -> bytes:
    """Those bytes of a file, read at once: for a few hundred kilobytes that are there."""
    fd = content.fileno()
    return b"" if fd is None else os.pread(fd, stop - start, start)


async def send(
    request: web.BaseRequest,
    response: web.StreamResponse,
    content: Content,
    *,
    start: int,
    stop: int | None,
    disk: Executor,
) -> int:
    """Send the bytes [start, stop) (to the end, if `stop` is None) as the response's body; how many went out.

    The first of them are available already, so that whatever could be said with a status has been said.
    """
    await response.prepare(request)
    position = start
    # A duplicate stays valid whatever the download does with its own descriptor meanwhile.
    fd = os.dup(own) if (own := content.fileno()) is not None else -1
    try:
        while stop is None or position < stop:
            mark = await content.available(position)
            if mark <= position:
                break
            end = mark if stop is None else min(mark, stop)
            if content.fileno() is None:
                data = await content.read(position, min(PIECE, end - position))
                await response.write(data)
                position += len(data)
            else:
                position = await _copy(response, fd, position, end, disk)
        if stop is not None and position < stop:
            raise ConnectionAbortedError(f"only {position} of {stop} bytes could be read")
        await response.write_eof()
    except PypicacheError as error:
        log.warning("broke off %s at byte %d: %s", request.path, position, error)
        _break(request)
    except ConnectionError as error:
        log.debug("connection lost at byte %d of %s: %s", position, request.path, error)
        _break(request)
    finally:
        if fd >= 0:
            os.close(fd)
    return position - start


async def _copy(response: web.StreamResponse, fd: int, position: int, end: int, disk: Executor) -> int:
    loop = asyncio.get_running_loop()
    while position < end:
        data = await loop.run_in_executor(disk, os.pread, fd, min(PIECE, end - position), position)
        if not data:
            raise ConnectionAbortedError("the file ended early")
        await response.write(data)
        position += len(data)
    return position


def _break(request: web.BaseRequest) -> None:
    """Drop the connection, so that the client sees a broken body and not a short one."""
    if request.transport is not None:
        request.transport.abort()
