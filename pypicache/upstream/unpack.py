"""A page's body, from the bytes on the wire to a checked page: inflated within limits, hashed, parsed.

One pure function does all of it, so that one trip to the helper (`pypicache.offload`) is enough and no byte of
a large page is touched on the event loop. It knows no sessions and no mirrors.

The limits are for hostile bodies. A gzip bomb grows up to 1032 times; real pages shrink about tenfold, so what
grows over 200 times beyond its first megabyte is no page. Members of a gzip file are counted, since each costs a
copy of what follows it.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from pypicache.simple.model import ProjectName
from pypicache.simple.parse import parse_and_dump

MAX_WIRE = 64 << 20
"""Bytes of a page on the wire."""

MAX_PAGE = 128 << 20
"""Bytes of a page after its content coding is taken off."""

MAX_RATIO = 200
"""How many times a body may grow, once it is larger than `RATIO_FREE`."""

RATIO_FREE = 1 << 20

MAX_MEMBERS = 1000
"""Members in a gzip file (RFC 1952 section 2.2); servers send one, block-gzip tools a hundred."""

_STEP = 64 << 10
_GZIP = zlib.MAX_WBITS | 16

PLAIN = frozenset({"", "identity"})
"""What Content-Encoding says where there is none."""

CODINGS = PLAIN | {"gzip", "x-gzip"}
"""The content codings that are understood: none, and the one that is asked for (RFC 9110 section 8.4.1.3)."""

GROWTH = 8
"""About how many times a gzipped page grows; to guess what work it will be."""


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What became of a body."""

    body_digest: str
    """SHA-256, hexadecimal, of the body without its content coding."""

    page: bytes | None
    """As `simple.model.dump` writes it; None when the digest is the one that is known, and nothing was parsed."""


def weight(size: int, coding: str) -> int:
    """About how many bytes of page a body of `size` holds."""
    return size if coding in PLAIN else size * GROWTH


def unpack(
    pieces: list[bytes],
    coding: str,
    content_type: str | None,
    *,
    url: str,
    name: ProjectName,
    known: str | None,
    salt: str = "",
) -> Unpacked:
    """Turn a body into a page, unless its digest is `known`. Raises ValueError, one line, for what isn't a page.

    `url` is the one that answered, after redirects: links are relative to it. Where that isn't the one that was
    asked it is also the `salt` of the digest, since the same bytes from elsewhere mean other links.
    """
    body = b"".join(pieces) if coding in PLAIN else inflate(pieces)
    hasher = hashlib.sha256(body)
    if salt:
        hasher.update(b"\0" + salt.encode("utf-8", "surrogatepass"))
    digest = hasher.hexdigest()
    if digest == known:
        return Unpacked(digest, None)
    return Unpacked(digest, parse_and_dump(body, content_type, url, name))


def inflate(pieces: list[bytes]) -> bytes:
    """The content of a gzip body that came in these pieces. Raises ValueError when it isn't one, is cut, or is a bomb."""
    out = bytearray()
    wire = members = 0
    decoder = zlib.decompressobj(_GZIP)
    started = False
    for piece in _steps(pieces):
        wire += len(piece)
        data = piece
        while data:
            if decoder.eof:
                members += 1
                if members >= MAX_MEMBERS:
                    raise ValueError("gzip with too many members")
                decoder = zlib.decompressobj(_GZIP)
            started = True
            data = _feed(decoder, data, out, wire)
    if not started or not decoder.eof:
        raise ValueError("gzip that ends early")
    return bytes(out)


def _feed(decoder: zlib._Decompress, data: bytes, out: bytearray, wire: int) -> bytes:
    """Inflate `data` onto `out`, no further than the limits; what follows the member's end comes back."""
    while data:
        room = min(MAX_PAGE, max(RATIO_FREE, wire * MAX_RATIO)) - len(out)
        try:
            out += decoder.decompress(data, room + 1)
        except zlib.error as error:
            raise ValueError("not gzip, although it says so") from error
        if len(out) > min(MAX_PAGE, max(RATIO_FREE, wire * MAX_RATIO)):
            raise ValueError("a page that inflates beyond all measure")
        if decoder.eof:
            return decoder.unused_data
        data = decoder.unconsumed_tail
    return b""


def _steps(pieces: list[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of at most `_STEP`, so that what follows a gzip member's end is never a large copy."""
    for piece in pieces:
        for start in range(0, len(piece), _STEP):
            yield piece[start : start + _STEP]
