"""Bytes from a file to a client: one way for stored files and for those still arriving.

A `Content` says up to where it can be read, and the sender goes there and asks again: so a client that is
slower than the download never waits for it, a faster one gets each piece as it lands, and neither costs
more memory than one piece. Files leave by `Outlet.send_file`, a span at a time; where that can't be,
and while a content is in no file, pieces of it are read and written.

What goes wrong after the headers breaks the connection: a client never takes part of a file for all of it. A
client that leaves ends its task (aiohttp's `handler_cancellation`), whatever that waits for; one that takes next
to nothing is made to leave (`pace`).
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from concurrent.futures import Executor

from aiohttp import web

from pypicache.errors import PypicacheError, one_line
from pypicache.index.content import Content
from pypicache.web.outlet import Outlet
from pypicache.web.pace import PACE, Pace, Watch
from pypicache.web.pagecache import load, read

log = logging.getLogger(__name__)

SPAN = 4 << 20
"""Bytes of a file that are seen to be in memory before they are sent."""

PIECE = 256 << 10
"""Bytes read and handed to the connection at a time, where they don't go by `sendfile`: what a slow client then costs."""


async def read_small(content: Content, start: int, stop: int, disk: Executor) -> bytes | bytearray:
    """Those bytes of a content, which are there, in one piece: for a few hundred kilobytes. Raises ConnectionAbortedError."""
    if content.data is not None:
        return content.data[start:stop]
    data = bytearray()
    with _descriptor(content) as fd:
        while start + len(data) < stop:
            piece = await _piece(content, fd, start + len(data), stop, disk)
            if not data and len(piece) == stop - start:
                return piece
            data += piece
    return data


async def send(
    request: web.BaseRequest,
    response: web.StreamResponse,
    content: Content,
    *,
    start: int,
    stop: int | None,
    disk: Executor,
    pace: Pace = PACE,
) -> int:
    """Send the bytes [start, stop) (to the end, if `stop` is None) as the response's body; how many went out.

    The first of them are available already, so that whatever could be said with a status has been said. Not
    for HEAD. When it raises, the connection is broken: ConnectionError for all that may happen, anything else is a bug.
    """
    await response.prepare(request)
    outlet = Outlet(request, response)
    watch = Watch(outlet.delivered, lambda: _cut(request, outlet, pace), pace=pace)
    position = start
    try:
        with outlet:
            while stop is None or position < stop:
                mark = await content.available(position)
                if mark <= position:
                    break
                end = mark if stop is None else min(mark, stop)
                position = await _forward(outlet, watch, content, position, end, disk)
            if stop is not None and position < stop:
                raise ConnectionAbortedError(f"the file ended where {stop} bytes were promised")  # noqa: TRY301 - broken off like all else
            with watch:
                await response.write_eof()
    except BaseException as error:
        outlet.break_off()
        path = one_line(request.rel_url.raw_path)
        if isinstance(error, ConnectionResetError | BrokenPipeError):
            log.debug("connection lost at byte %d of %s: %s", position, path, error)
        elif isinstance(error, PypicacheError | OSError):
            log.warning("broke off %s at byte %d: %s", path, position, one_line(str(error)))
            if isinstance(error, OSError):
                await content.suspect()
            raise ConnectionAbortedError(f"broke off at byte {position}") from error
        raise
    return position - start


async def finish(request: web.BaseRequest, response: web.StreamResponse, *, pace: Pace = PACE) -> None:
    """Send what of a response hasn't been sent yet: all of it, where its body stands in memory. Raises ConnectionError."""
    if await response.prepare(request) is None:
        return
    if (response.content_length or 0) <= PIECE:
        await response.write_eof()
        return
    outlet = Outlet(request, response)
    with Watch(outlet.delivered, lambda: _cut(request, outlet, pace), pace=pace):
        await response.write_eof()


async def _forward(
    outlet: Outlet, watch: Watch, content: Content, position: int, end: int, disk: Executor
) -> int:
    """Send the available bytes [position, end); how far it came."""
    with _descriptor(content) as fd:
        while position < end:
            if fd is not None and outlet.takes_files:
                span = min(position + SPAN, end)
                await load(fd, position, span, disk)
                with watch:
                    position = await outlet.send_file(fd, position, span)
                continue
            data = await _piece(content, fd, position, end, disk)
            with watch:
                await outlet.write(data)
            position += len(data)
    return position


async def _piece(
    content: Content, fd: int | None, position: int, end: int, disk: Executor
) -> bytes | bytearray:
    most = min(PIECE, end - position)
    data = await (content.read(position, most) if fd is None else read(fd, position, most, disk))
    if not data:
        raise ConnectionAbortedError("the file ended early")
    return data


@contextlib.contextmanager
def _descriptor(content: Content) -> Iterator[int | None]:
    """A duplicate of the content's descriptor, good whatever a download does with its own; None while it is in no file.

    Good for what was available when it was made: a content may go on in another place.
    """
    own = content.fileno()
    if own is None:
        yield None
        return
    fd = os.dup(own)
    try:
        yield fd
    finally:
        os.close(fd)


def _cut(request: web.BaseRequest, outlet: Outlet, pace: Pace) -> None:
    log.info("cut off %s, which takes less than %g bytes a second", request.remote, pace.least)
    outlet.break_off()
