"""The way out of a response's body: by `sendfile` where it can be, else through aiohttp's writer.

uvloop has no `loop.sendfile`, and reading a file to write it costs several times the CPU, so this calls `os.sendfile`
itself, on a duplicate of the connection's socket, under any event loop. The duplicate is there because
a loop allows nobody to wait for a descriptor that one of its transports has. It can be done when
nothing stands between the file and the socket: no TLS, no compression, no chunks.

What has to hold, and is seen to here:

- the transport has nothing left to write before the first byte goes round it, or the order would be lost;
- one call sends no more than a client's share of a `Turn`, and the next waits for the loop, so that none holds up the others;
- the writer's own counts are kept right, since aiohttp's keep-alive and access log rest on them;
- the duplicate is closed whatever happens: as long as it is open, the client can't see that the connection has ended.

All that is known of aiohttp's inner workings is here: `output_size` and `length` of a request's writer.
`tests/web/test_outlet.py` fails when they change. It knows nothing of where bytes come from.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
import sys
from types import TracebackType
from typing import Self

from aiohttp import hdrs, web

from pypicache.web.request import Request
from pypicache.web.turn import Turn

if sys.platform != "win32":
    import fcntl
    import termios

NOT_POSSIBLE = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOTSOCK}
"""What `sendfile` fails with when the file system, or the system, can't do it."""

GONE = {errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.EHOSTDOWN}
"""What a socket says, beside resets, when its client can't be reached any more (tcp(7), ip(7)): TCP_USER_TIMEOUT is told so, too."""


class Outlet:
    """Where the body of a prepared response goes. Use as a context manager. Raises ConnectionError when the client has gone."""

    def __init__(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("the client has gone")
        self._transport = transport
        self._socket = transport.get_extra_info("socket")
        self._writer = request.writer
        self._response = response
        self._turn = request.turn if isinstance(request, Request) else Turn()
        self._loop = asyncio.get_running_loop()
        self._duplicate = -1
        self._flushed = False
        chunked = hdrs.TRANSFER_ENCODING in response.headers
        self._framed = chunked or self._writer.length is not None
        self.takes_files = (
            hasattr(os, "sendfile")
            and not chunked
            and not response.compression
            and self._socket is not None
            and transport.get_extra_info("sslcontext") is None
        )
        """Whether `send_file` can be used; what it can't do after all, it leaves to `write`."""

    def __enter__(self) -> Self:
        if self.takes_files:
            self._duplicate = os.dup(self._socket.fileno())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        fd, self._duplicate = self._duplicate, -1
        if fd >= 0:
            os.close(fd)

    def delivered(self) -> int:
        """Bytes of the response that the client's machine has acknowledged."""
        waiting = self._transport.get_write_buffer_size()
        if self._socket is not None:
            waiting += unsent(self._socket.fileno())
        return self._writer.output_size - waiting

    async def write(self, data: bytes | bytearray) -> None:
        """Send these bytes; returns when there is room for more."""
        await self._response.write(data)

    async def send_file(self, fd: int, start: int, stop: int) -> int:
        """Send bytes [start, stop) of the file; how far it came, which is `stop` unless `takes_files` is over.

        Raises ConnectionAbortedError if the file ends early, OSError if it can't be read.
        """
        await self._flush()
        position = start + self._step(fd, start, stop)
        if position == stop or not self.takes_files:
            return position
        loop = self._loop
        done = loop.create_future()

        def room() -> None:
            nonlocal position
            if done.done():
                return
            try:
                position += self._step(fd, position, stop)
            except OSError as error:
                done.set_exception(error)
            else:
                if position == stop or not self.takes_files:
                    done.set_result(None)

        loop.add_writer(self._duplicate, room)
        try:
            await done
        finally:
            loop.remove_writer(self._duplicate)
        return position

    def _step(self, fd: int, start: int, stop: int) -> int:
        """Send what there is room for; how much that was."""
        if self._transport.is_closing():
            raise ConnectionResetError("the client has gone")
        try:
            most = min(self._turn.allowance(), stop - start)
            count = os.sendfile(self._duplicate, fd, start, most)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            if error.errno in GONE:
                raise ConnectionResetError("the client was silent") from error
            if error.errno in NOT_POSSIBLE:
                self.takes_files = False
                return 0
            raise
        if not count:
            raise ConnectionAbortedError("the file ended early")
        self._turn.spend(count)
        self._writer.output_size += count
        if self._writer.length is not None:
            self._writer.length -= count
        return count

    async def _flush(self) -> None:
        """Wait until the transport has written what it was given: the headers, or the end of an earlier response."""
        if self._flushed:
            return
        if self._transport.get_write_buffer_size():
            # With the limits at zero the transport calls the protocol back when it has nothing left.
            self._transport.set_write_buffer_limits(0)
            try:
                await self._writer.drain()
            finally:
                self._transport.set_write_buffer_limits()
        if self._transport.is_closing() or self._transport.get_write_buffer_size():
            raise ConnectionResetError("the client has gone")
        self._flushed = True

    def break_off(self) -> None:
        """Drop the connection, so that the client sees a broken body and never a whole one.

        A body without length and chunks ends where the connection does, so there the end must be no clean one: a reset.
        """
        if not self._framed and self._socket is not None and not self._transport.is_closing():
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()


def unsent(fd: int) -> int:
    """Bytes in a socket's buffer that its peer hasn't acknowledged; 0 where the system doesn't tell."""
    if sys.platform == "win32" or fd < 0:
        return 0
    try:
        return int.from_bytes(fcntl.ioctl(fd, termios.TIOCOUTQ, bytes(4)), sys.byteorder)
    except OSError:
        return 0
