"""The body of a request, at the few places that take one: small, plain JSON, within seconds.

Whoever calls this has decided that a body may come; everywhere else the edge refuses it unread.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from aiohttp import hdrs, web

from pypicache.errors import BadRequest, TooLarge, UnsupportedMediaType

MOST = 64 << 10
"""Bytes of a body."""

WITHIN = 10.0
"""Seconds in which all of it has to come."""


async def read_body(request: web.BaseRequest, *, most: int = MOST) -> bytes:
    """The body. Raises TooLarge, BadRequest when it is slow or encoded, ConnectionError when it ends early."""
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
        raise UnsupportedMediaType("a compressed body isn't read here")
    body = bytearray()
    if (request.content_length or 0) <= most:
        try:
            async with asyncio.timeout(WITHIN):
                while len(body) <= most and (piece := await request.content.read(most + 1 - len(body))):
                    body += piece
        except TimeoutError:
            raise BadRequest(f"the body didn't come within {WITHIN:g} s") from None
        except web.RequestPayloadError as error:
            raise ConnectionError("the body ended early") from error
        if len(body) <= most:
            return bytes(body)
    raise TooLarge(f"a body of more than {most} bytes isn't read here")


async def read_json(request: web.BaseRequest) -> Any:
    """What the body says. Raises UnsupportedMediaType unless it is called JSON, BadRequest unless it is.

    The type is insisted upon: a page of another site can't have a browser send it unasked (the fetch standard's
    CORS-safelisted types are others).
    """
    if request.content_type != "application/json":
        raise UnsupportedMediaType("a body of type application/json is due")
    try:
        return msgspec.json.decode(await read_body(request))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadRequest("the body isn't JSON") from None
