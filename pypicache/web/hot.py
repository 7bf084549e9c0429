"""The shortcut: a request that has come before, byte for byte, is answered straight from the socket, while its answer still holds.

pip and uv repeat the heads of their requests to the letter. So what was answered once in the ordinary way is kept under
the whole head of its request, ready to be sent; and a connection that waits for a request looks there first. Of
the ordinary way (parsing, a task, routing, negotiation, building headers) nothing is left then, which is nine
tenths of what a cached page costs.

What comes in one turn of the event loop is answered in one go (`arrivals`), which the server does (`repeating`).

It stays a shortcut. Whether an answer may be repeated is said by the handler that gave it (`Repeatable`), and how long, by
the index (`index.lease`): it is asked each time. Everything else goes the ordinary way, on which alone answers are made:

    a head that comes in pieces, or with others behind it      a body, or the end of one, before it
    a connection that answers, ends, or has much left to write HTTP/1.0, Connection: close, Expect, Upgrade
    what the handler didn't offer; what holds no longer        an edge that a reload has replaced (each has its own table)

What is known here of aiohttp's `RequestHandler` is when it waits (`_waiter`), whether it ends (`_close`, `_force_close`), what it has
parsed (`_messages`, `_request_count`) and how it hangs up on idle connections (`_next_keepalive_close_time`, `_process_keepalive`).
`tests/web/test_hot.py` fails when they change. It knows nothing of indexes and paths.
"""

from __future__ import annotations

import asyncio
import os
from functools import partial
from typing import Any

from aiohttp import web
from aiohttp.streams import EMPTY_PAYLOAD

from pypicache.web.handing import Handing
from pypicache.web.repeating import Repeating
from pypicache.web.repeats import Prepared
from pypicache.web.request import Request

LONGEST = 4096
"""Bytes of a head that is kept; installers' have less than a thousand."""

COPIED = 256 << 10
"""Bytes of a body from which on only transports that keep a reference to it, and copy nothing, are handed all of it."""


class Shortcut(Handing):
    """One connection, with the shortcut: a base for the server's own protocol."""

    __slots__ = (
        "_arrivals",
        "_at_boundary",
        "_by_reference",
        "_head",
        "_made",
        "_number",
        "_server",
    )

    def __init__(self, server: Repeating, **options: Any) -> None:
        self._server = server
        self._arrivals = server.arrivals
        super().__init__(server, **options)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has come."""
        self._at_boundary = True
        self._head: bytes | None = None
        self._number = self._made = 0
        plain = transport.get_extra_info("sslcontext") is None
        self._by_reference = plain and type(transport).__module__.startswith("uvloop")
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Bytes of requests have come: they wait for what else comes in this turn."""
        arrivals = self._arrivals
        if arrivals.one_at_a_time:
            arrivals.one_at_a_time -= 1
            self._server.answer(self, data)
        else:
            arrivals.add(self, data)

    def _process_keepalive(self) -> None:
        self._arrivals.settle()  # who has just said something isn't idle
        super()._process_keepalive()

    def waits(self) -> bool:
        """Whether it waits for a request, or is about to, having come a moment ago; and nothing speaks against an answer at once."""
        waiter = self._waiter
        return (
            (not self._request_count if waiter is None else not waiter.done())
            and self._at_boundary
            and not (
                self._close
                or self._force_close
                or self._paused
                or self._buffer_paused
                or self._deadline
                or self._sending
            )
        )

    def hand_over(self, prepared: Prepared, parts: tuple[bytes, bytes], began: float) -> bool:
        """Send that answer to the request that came at that time (monotonic); False: it had to be copied, all of it."""
        transport = self.transport
        assert transport is not None
        head, body = parts
        if prepared.stored is not None:
            return self.send_file(prepared, prepared.stored, head, self._server.turn)
        sheet = prepared.sheet
        if sheet is not None and sheet.body is body and self._descriptor >= 0:
            sent = 0
            if not transport.get_write_buffer_size():
                try:  # noqa: SIM105 - `suppress` takes three times as long
                    sent = os.sendfile(self._descriptor, sheet.fd, 0, sheet.size)
                except OSError:  # no room, or no client any more: the transport finds that out
                    pass
            if sent < sheet.size:
                transport.write(memoryview(b"".join(parts))[sent:])
        elif not body:
            transport.write(head)
        elif len(body) <= COPIED or self._by_reference:
            transport.writelines(parts)
        else:
            return False
        # The loop's own time is this clock's, as of the beginning of its turn.
        self._next_keepalive_close_time = began + self._keepalive_timeout
        return True

    def fail(self, error: Exception) -> None:
        """End the connection, in which something went wrong that shouldn't have."""
        context = {"message": "a connection failed", "exception": error, "protocol": self}
        self._loop.call_exception_handler(context)
        if self.transport is not None:
            self.transport.abort()

    def receive(self, data: bytes) -> None:
        """The ordinary way."""
        if self.comes_late(data):
            return
        self._watch.close()  # what is sent from here on has a watch of its own
        before = self._request_count
        super().data_received(data)
        # A head that came by itself, and all of it: then nothing is left in the parser.
        whole = (
            self._request_count == before + 1
            and data.endswith(b"\r\n\r\n")
            and bool(self._messages)
            and self._messages[-1][1] is EMPTY_PAYLOAD
            and not (self._upgraded or self._buffer_paused)
        )
        self._head = data if whole and self._at_boundary and len(data) <= LONGEST else None
        self._number = self._request_count
        self._at_boundary = whole

    def next_head(self) -> bytes | None:
        """The head of the request that is made of the next message, if it came by itself."""
        self._made += 1
        return self._head if self._number == self._made else None

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send what the handler left to send; keep the answer, if it can be given again, or have one made that can."""
        finished = await super().finish_response(request, resp, start_time)
        if isinstance(request, Request) and not finished[1]:
            if request.keep is not None:
                request.keep(request, resp)
            elif request.again is not None:
                self._server.quiet.add(partial(self._server.rehearse, request))
        return finished
