"""A connection to a mirror whose time limit runs only while an answer is waited for.

aiohttp's own starts the limit for silence anew whenever reading goes on after a pause, also when the pause was over the end of
a body: the limit then runs on while the connection is kept for later, and whoever uses it next is told that the mirror was
silent for so long, at once. It happens with bodies that come faster than they are read, and needs half a megabyte.
This is the one place that knows of it.
"""

from __future__ import annotations

import asyncio
from functools import partial

import aiohttp
from aiohttp.client_proto import ResponseHandler


class _Handler(ResponseHandler):
    """Stops the limit where nothing of the answer is missing."""

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT001, FBT002 - aiohttp's
        super().resume_reading(resume_parser)
        if self._payload is not None and self._payload.is_eof():
            self._drop_timeout()


def keep(connector: aiohttp.TCPConnector) -> aiohttp.TCPConnector:
    """The connector, whose connections are from now on such ones."""
    connector._factory = partial(_Handler, loop=asyncio.get_running_loop())  # type: ignore[assignment] # noqa: SLF001 - it takes none
    return connector
