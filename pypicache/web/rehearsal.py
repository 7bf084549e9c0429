"""The answer to a request that has just been answered with a mirror's help, made once more when it is quiet.

The second time it comes out of the cache, and can be kept for whoever asks in the same words (`repeats`): so the next client
takes the shortcut, where it would have been the one for whom the answer is made ready. What makes it is the ordinary way, for
nobody: a copy of the request has no connection and a writer that goes nowhere. A file that is sent piece by piece isn't read for that; a
page that is sent so isn't rehearsed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, cast

from aiohttp import hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.streams import EMPTY_PAYLOAD

from pypicache.web.places import FilePath, ProjectPage
from pypicache.web.record import record_of
from pypicache.web.repeats import Repeats, usual
from pypicache.web.request import Request
from pypicache.web.sending import LARGEST

LARGEST_PAGE = 256 << 10
"""Bytes of a page that is still sent in one piece (`pages.PIECE`)."""

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def worth(request: Request, response: web.StreamResponse) -> bool:
    """Whether the next one who asks may get the answer from the cache, and this one didn't."""
    length = response.content_length
    return (
        response.status == 200  # noqa: PLR2004 - OK
        and request.next_time is not None
        and request.head is not None
        and request.method == hdrs.METH_GET
        and not request.guarded
        and isinstance(request.place, ProjectPage | FilePath)
        and length is not None
        and length <= (LARGEST_PAGE if isinstance(request.place, ProjectPage) else LARGEST)
        and usual(request)
    )


async def rehearse(request: Request, handler: Handler, repeats: Repeats) -> None:
    """Have the request answered again, for nobody, and the answer kept, if it may be; unless a mirror would be asked for it."""
    lease = None if request.next_time is None else request.next_time()
    if lease is None or not lease.holds(repeats.clock()):
        return
    writer = _Nowhere()
    # aiohttp's request takes three addresses of its protocol, and no more.
    nobody = cast("Any", _Nobody(request.remote))
    loop, task = asyncio.get_running_loop(), cast("asyncio.Task[None]", asyncio.current_task())
    copy = Request(request.parsed, EMPTY_PAYLOAD, nobody, writer, task, loop)
    copy.rehearsed = True
    copy.head, copy.turn, copy.began = request.head, request.turn, time.perf_counter()
    try:
        response = await handler(copy)
    except ConnectionError:  # it was to be streamed
        return
    if copy.repeatable is None or copy.guarded:
        return
    writer.takes = True
    await response.prepare(copy)
    writer.length = 0  # as if all of it had gone out
    copy.record = record_of(copy, response, 0.0)
    repeats.keep(copy, response)


class _Nobody:
    """What stands for the connection."""

    ssl_context = sockname = transport = None

    def __init__(self, remote: str | None) -> None:
        self.peername = None if remote is None else (remote, 0)


class _Nowhere(AbstractStreamWriter):
    """A writer that writes nothing. Before it `takes`, there is nobody to write to."""

    takes = False
    length: int | None = 0
    output_size = buffer_size = 0

    async def write_headers(self, *_: object) -> None:
        """The head, which nobody gets. Raises ConnectionResetError while it isn't to be."""
        if not self.takes:
            raise ConnectionResetError("nobody is there")

    async def write(self, *_: object) -> None:
        """Never."""
        raise ConnectionResetError("nobody is there")

    async def write_eof(self, *_: object) -> None:
        """Never."""
        raise ConnectionResetError("nobody is there")

    async def drain(self) -> None:
        """There is nothing to wait for."""

    def enable_compression(self, *_: object, **__: object) -> None:
        """Nothing is compressed here."""

    def enable_chunking(self) -> None:
        """Nothing is."""
