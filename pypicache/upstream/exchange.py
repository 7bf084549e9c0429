"""The shortcut to a mirror: a GET on a connection that is there already, with nothing between but the bytes of its head.

A session of aiohttp's makes objects for all that a request might need: 120 us, where this takes 35. What is the same is left to it:
connections (`spare.Connector` has them), and the parsing of what comes (its protocol). So it stays a shortcut; what
isn't plain goes the ordinary way::

    no idle connection to that host, or none before     a proxy, which is for whoever calls to know
    a URL, or a header, that can't stand as it is       a Host of one's own
    a connection that ends before its answer            the ordinary way tries another one

What is known here of aiohttp's `ResponseHandler` is how it is told of a request (`set_response_params`, `start_timeout`) and asked
for the answer (`read`). `tests/upstream/test_exchange.py` fails when that changes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Protocol

import aiohttp
from aiohttp import hdrs
from aiohttp.http import RawResponseMessage
from multidict import CIMultiDictProxy

_PLAIN = re.compile(r"[!-\"$-~]+")
"""A URL that needs no encoding: printable ASCII, no space, no fragment."""

_VALUE = re.compile(r"[ -~]*")


class Response(Protocol):
    """What is read of an answer, whoever made the request. Whoever has it closes it."""

    status: int
    reason: str | None
    content: aiohttp.StreamReader

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """Its headers."""
        ...

    @property
    def content_length(self) -> int | None:
        """What it says of its length."""
        ...

    def release(self) -> object:
        """Give the connection back, or end it if there is more to read."""
        ...

    def close(self) -> object:
        """End the connection, unless it was given back when all had been read."""
        ...


class Answer:
    """The answer to a request that took the shortcut: a `Response`."""

    __slots__ = ("_connection", "content", "headers", "reason", "status")

    def __init__(
        self,
        message: RawResponseMessage,
        content: aiohttp.StreamReader,
        connection: aiohttp.connector.Connection,
    ) -> None:
        self.status: int = message.code
        self.reason: str | None = message.reason
        self.headers: CIMultiDictProxy[str] = message.headers
        self.content = content
        self._connection: aiohttp.connector.Connection | None = connection
        content.on_eof(self.release)

    @property
    def content_length(self) -> int | None:
        """What it says of its length."""
        length = self.headers.get(hdrs.CONTENT_LENGTH)
        return None if length is None else int(length)

    def release(self) -> None:
        """Give the connection back, or end it if there is more to read."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.release()

    def close(self) -> None:
        """End the connection, unless it was given back when all had been read."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def head_of(target: str, host: str, headers: Mapping[str, str]) -> bytes | None:
    """The head of a GET; None where something can't stand in one as it is."""
    if hdrs.HOST in headers or not _PLAIN.fullmatch(target):
        return None
    lines = [f"GET {target} HTTP/1.1\r\nHost: {host}"]
    for name, value in headers.items():
        if not _VALUE.fullmatch(value):
            return None
        lines.append(f"{name}: {value}")
    return "\r\n".join([*lines, "\r\n"]).encode("ascii")


async def exchange(
    connection: aiohttp.connector.Connection, head: bytes, *, read_timeout: float
) -> Answer | None:
    """Send the head, and read the answer's. None when the connection ended before there was one, or couldn't be used.

    `read_timeout` is in seconds of silence. Raises what reading an answer raises: aiohttp.ClientError, HttpProcessingError.
    """
    protocol = connection.protocol
    if protocol is None or protocol.transport is None:
        connection.close()
        return None
    protocol.set_response_params(auto_decompress=False, read_timeout=read_timeout, read_until_eof=True)
    try:
        protocol.transport.write(head)
        protocol.start_timeout()
        while True:
            message, content = await protocol.read()
            if (
                not HTTPStatus.CONTINUE <= message.code < HTTPStatus.OK
                or message.code == HTTPStatus.SWITCHING_PROTOCOLS
            ):
                return Answer(message, content, connection)
    except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
        connection.close()
        return None
    except BaseException:
        connection.close()
        raise
