"""A connection whose client was handed an answer that nobody waits for: it waits in the transport, or is a file on its way past it (`sending`).

Here it is seen to that it gets there: nothing is answered before it has gone out, the connection isn't idle meanwhile, a client that takes next to
nothing is cut off, and a server that ends waits for it as long as it may.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from functools import partial

from pypicache.errors import one_line
from pypicache.index.content import Content
from pypicache.web.outlet import unsent
from pypicache.web.pace import PACE, Watch
from pypicache.web.punctual import Punctual
from pypicache.web.repeats import Prepared
from pypicache.web.sending import Sending, at_hand
from pypicache.web.turn import Turn

log = logging.getLogger(__name__)


class Handing(Punctual):
    """One connection."""

    __slots__ = ("_descriptor", "_late", "_sending", "_sent_all", "_watch", "peer")

    pace = PACE
    """The least that a client must take of what it was handed."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has come."""
        self._watch = contextlib.ExitStack()
        self._sending: Sending | None = None
        self._late = b""
        self._sent_all: asyncio.Event | None = None
        plain = transport.get_extra_info("sslcontext") is None
        sock = transport.get_extra_info("socket")
        self._descriptor = sock.fileno() if plain and sock is not None else -1
        peer = transport.get_extra_info("peername")
        self.peer = str(peer[0]) if isinstance(peer, tuple) else str(peer or "")
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """The connection has ended."""
        self._watch.close()
        if self._sending is not None:
            self._sending.close()
            self._nothing_on_its_way()
        super().connection_lost(exc)

    def receive(self, data: bytes) -> None:
        """Data that is answered in the ordinary way."""
        raise NotImplementedError

    def _process_keepalive(self) -> None:
        if self._sending is not None:  # who is being sent something isn't idle
            self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        super()._process_keepalive()

    def send_file(
        self, prepared: Prepared, opens: Callable[[], Content | None], head: bytes, turn: Turn
    ) -> bool:
        """Send that head and the stored file; False: it goes the ordinary way."""
        transport = self.transport
        assert transport is not None
        sock = transport.get_extra_info("socket")
        if self._descriptor < 0 or transport.get_write_buffer_size() or (content := opens()) is None:
            return False
        if not at_hand(content):
            content.close()
            return False
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        try:
            sending = Sending(sock, head, content, turn, partial(self._file_sent, prepared))
        except OSError:  # no descriptor is left
            content.close()
            return False
        try:
            if sending.begin():
                return True
        except OSError as error:
            self._break_off(prepared, error)
            return True
        self._sending = sending
        transport.pause_reading()
        self._watch.enter_context(Watch(sending.taken, self._cut, pace=self.pace))
        return True

    def _file_sent(self, prepared: Prepared, error: OSError | None) -> None:
        """All of the file has gone out, or it couldn't."""
        self._watch.close()
        self._nothing_on_its_way()
        if self.transport is None:
            return
        if error is not None:
            self._break_off(prepared, error)
            return
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        self.transport.resume_reading()
        late, self._late = self._late, b""
        if late:
            self.receive(late)
        self.file_sent()

    def _nothing_on_its_way(self) -> None:
        self._sending = None
        if self._sent_all is not None:
            self._sent_all.set()

    def comes_late(self, data: bytes) -> bool:
        """Whether that came in the turn of a request whose file is still on its way: it is received behind that."""
        if self._sending is None:
            return False
        self._late += data
        return True

    def file_sent(self) -> None:
        """A file has gone out, to its end."""

    def _break_off(self, prepared: Prepared, error: OSError) -> None:
        """End the connection in the middle. Unless it was the client's, it is the file's fault: the ordinary way finds out."""
        if not isinstance(error, ConnectionError):
            log.warning("broke off %s: %s", prepared.record.path, one_line(str(error)))
            prepared.spoil()
        if self.transport is not None:
            self.transport.abort()

    def _cut(self) -> None:
        log.info("cut off %s, which takes next to nothing", self.peer)
        if self.transport is not None:
            self.transport.abort()

    def pause_writing(self) -> None:
        """The client has a lot to take; if nobody else looks after that, see that it does."""
        super().pause_writing()
        if self._request_in_progress or self.transport is None:
            return
        transport = self.transport
        untaken = self._untaken(transport)

        self._watch.enter_context(
            Watch(lambda: untaken - self._untaken(transport), self._cut, pace=self.pace)
        )

    def resume_writing(self) -> None:
        """It has taken most of it."""
        self._watch.close()
        super().resume_writing()

    def _untaken(self, transport: asyncio.Transport) -> int:
        sock = transport.get_extra_info("socket")
        return transport.get_write_buffer_size() + (0 if sock is None else unsent(sock.fileno()))

    async def shutdown(self, timeout: float | None = 15.0) -> None:  # noqa: ASYNC109 - aiohttp's signature
        """End the connection, when the client has taken what it was handed."""
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(timeout):
                if self._sending is not None:
                    self._sent_all = asyncio.Event()
                    await self._sent_all.wait()
                if self.transport is not None and not self._request_in_progress:
                    await self._drain_helper()
        await super().shutdown(timeout)
