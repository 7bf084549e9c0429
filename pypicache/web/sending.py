"""A stored file on its way to a client who has asked in known words: past aiohttp, head and all, by `sendfile`.

It begins at once, with what the connection's buffer has room for, which is mostly all there is to do. The rest follows as there is
room, on a duplicate of the connection's descriptor, since a loop allows nobody to wait for one that a transport of its has. Meanwhile
the transport reads nothing and writes nothing: whoever owns the connection sees to that. No client holds up others (`turn`).

It knows no requests, and nothing of aiohttp.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable

from pypicache.index.content import Content
from pypicache.web.outlet import GONE, NOT_POSSIBLE, unsent
from pypicache.web.pagecache import in_memory
from pypicache.web.turn import Turn

LARGEST = 4 << 20
"""Bytes of a file that is sent like this: a larger one is worth the ordinary way, which looks piece by piece whether the disk must be waited for."""

MORE: int | None = getattr(socket, "MSG_MORE", None)
"""That more follows at once: the head goes out with the first bytes. Only where there is that (Linux) files are sent like this."""


PIECE = 256 << 10
"""Bytes that are read and sent at a time where the file system has no `sendfile`."""


class Sending:
    """The head, and then the file, which is closed in the end. `ended` is called when there is nothing more to do, with what went wrong."""

    def __init__(
        self,
        sock: socket.socket,
        head: bytes,
        content: Content,
        turn: Turn,
        ended: Callable[[OSError | None], object],
    ) -> None:
        assert content.size is not None
        self._content, self._size, self._turn, self._ended = content, content.size, turn, ended
        self._head = head
        self._sent = 0
        """Bytes of the file that went out."""
        self._loop = asyncio.get_running_loop()
        # With the family and all else given, none of it is asked for.
        self._out = socket.socket(sock.family, sock.type, sock.proto, fileno=os.dup(sock.fileno()))
        self._waits = False

    def taken(self) -> int:
        """Bytes of the file that the client's machine has acknowledged."""
        return self._sent - unsent(self._out.fileno())

    def begin(self) -> bool:
        """Send what there is room for; whether that was all. Otherwise `ended` is called later on. Raises OSError."""
        try:
            if self._step():
                self.close()
                return True
        except BaseException:
            self.close()
            raise
        self._waits = True
        self._loop.add_writer(self._out.fileno(), self._room)
        return False

    def close(self) -> None:
        """Send nothing more; more than once is fine."""
        if self._waits:
            self._waits = False
            self._loop.remove_writer(self._out.fileno())
        self._out.close()
        self._content.close()

    def _room(self) -> None:
        try:
            if not self._step():
                return
        except OSError as error:
            self.close()
            self._ended(error)
        else:
            self.close()
            self._ended(None)

    def _step(self) -> bool:
        """Send what there is room for, within this client's share of the turn; whether nothing is left."""
        try:
            if self._head:
                assert MORE is not None
                self._head = self._head[self._out.send(self._head, MORE) :]
                if self._head:
                    return False
            fd = self._content.fileno()
            assert fd is not None
            most = min(self._turn.allowance(), self._size - self._sent)
            count = self._some(fd, most)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as error:
            if error.errno in GONE:
                raise ConnectionResetError("the client was silent") from error
            raise
        if not count:
            raise OSError("the file ended early")
        self._turn.spend(count)
        self._sent += count
        return self._sent == self._size

    def _some(self, fd: int, most: int) -> int:
        try:
            return os.sendfile(self._out.fileno(), fd, self._sent, most)
        except OSError as error:
            if error.errno not in NOT_POSSIBLE:
                raise
        piece = os.pread(fd, min(most, PIECE), self._sent)
        return self._out.send(piece) if piece else 0


def at_hand(content: Content) -> bool:
    """Whether a stored file can be sent like this, without the disk being waited for."""
    fd, size = content.fileno(), content.size
    return (
        MORE is not None
        and fd is not None
        and size is not None
        and 0 < size <= LARGEST
        and in_memory(fd, 0, size)
    )
