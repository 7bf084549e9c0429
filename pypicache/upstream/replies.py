"""What is done with a mirror's reply whatever was asked for: its coding, its validators, its whole body within limits.

It knows neither pages nor files, and decides nothing about statuses.
"""

from __future__ import annotations

import re

from pypicache.errors import UpstreamGarbled, one_line
from pypicache.upstream.faults import FAULTS, translate
from pypicache.upstream.unpack import CODINGS
from pypicache.upstream.wire import Reply, Wire

_VALIDATOR = re.compile(r"[\x20-\x7e]{1,256}")


def content_coding(reply: Reply, origin: str) -> str:
    """The reply's content coding, if `unpack` knows it. Raises UpstreamGarbled for any other."""
    coding = (reply.header("Content-Encoding") or "").strip().lower()
    if coding not in CODINGS:
        raise UpstreamGarbled(origin, f"sent with Content-Encoding {one_line(coding, 40)}")
    return coding


def usable(validator: str | None) -> str | None:
    """A validator that can be sent back as it came: short, plain ASCII; anything else is as good as none."""
    return validator if validator is not None and _VALIDATOR.fullmatch(validator) else None


async def read_all(reply: Reply, wire: Wire, *, limit: int, what: str) -> list[bytes]:
    """The body as it is on the wire, in pieces; UpstreamGarbled for more than `limit` bytes of it."""
    too_large = f"{what} of over {limit >> 20} MiB"
    if (reply.response.content_length or 0) > limit:
        raise UpstreamGarbled(wire.name, too_large)
    pieces: list[bytes] = []
    room = limit
    try:
        async for piece in reply.response.content.iter_any():
            room -= len(piece)
            if room < 0:
                raise UpstreamGarbled(wire.name, too_large)
            wire.meter.took("pages", len(piece))
            pieces.append(piece)
    except FAULTS as error:
        raise translate(error, wire.name, silence=f"silent for {wire.read_timeout:g} s") from error
    return pieces
