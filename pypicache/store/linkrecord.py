"""What is remembered of one link, and how it is written down.

A record is a line with a checksum and the record as JSON. Those that are damaged count as absent, which is for whoever reads
them to do something about. It may not import anything of the package but `simple.model` for digests.
"""

from __future__ import annotations

import functools
import hashlib
import os
from pathlib import Path
from typing import Annotated

import msgspec

from pypicache.simple.model import Digest
from pypicache.store.files import READ

Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
Size = Annotated[int, msgspec.Meta(ge=0)]

MAX_RECORD = 64 << 10
"""Bytes of a record; a longer one is damage, and is not written either."""

_HALF = 32


class Sidecar(msgspec.Struct, frozen=True, kw_only=True):
    """The file's metadata (PEP 658), as it is stored."""

    sha256: Sha256
    size: Size


class LinkRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known about the file behind one link. A field is only ever added, with a default."""

    index: str
    project: str
    path: str
    """Below `packages/`, decoded; its last segment is the file's name."""
    filename: str
    url: str
    """Where the origin has it, as its page said."""
    origin: str
    """The mirror whose page said so."""
    sha256: Sha256 | None = None
    """What names the blob; None until it is known."""
    size: Size | None = None
    digests: tuple[Digest, ...] = ()
    """As the page gave them."""
    verdict: str = "ok"
    """What was said last when it was asked for: "ok", or "removed: " or "refused: " and the reason."""
    stored_at: float = 0.0
    """When it was first seen, in seconds since the epoch."""
    sidecar: Sidecar | None = None


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(LinkRecord)

State = tuple[int, int, int]
"""What tells one version of a record's file from another."""


@functools.lru_cache(maxsize=1024)
def place_of(index: str, path: str) -> str:
    """Where the record of that link is, below `links`."""
    prefix = half(index, path.rpartition("/")[2])
    return f"{prefix[:3]}/{prefix}-{half(index, path)}"


def half(*parts: str) -> str:
    """Half of the SHA-256 of the parts, each with its length before it: no two lists of parts look the same."""
    hasher = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        hasher.update(b"%d:%b" % (len(data), data))
    return hasher.hexdigest()[:_HALF]


def state_of(status: os.stat_result) -> State:
    """The file's state."""
    return status.st_ino, status.st_mtime_ns, status.st_size


def read(file: Path | str) -> tuple[State, bytes]:
    """The plain file's content, up to one byte more than a record may have. Raises OSError."""
    fd = os.open(file, READ)
    try:
        state = state_of(os.fstat(fd))
        return state, os.read(fd, MAX_RECORD + 1)
    finally:
        os.close(fd)


def _checksum(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).hexdigest().encode()


def dump(record: LinkRecord) -> bytes:
    """The record as it is written."""
    data = _ENCODER.encode(record)
    return _checksum(data) + b"\n" + data


def parse(data: bytes) -> LinkRecord | None:
    """The record that `dump` wrote, or None."""
    checksum, _, body = data.partition(b"\n")
    if len(data) > MAX_RECORD or checksum != _checksum(body):
        return None
    try:
        return _DECODER.decode(body)
    except ValueError:
        return None


def read_record(file: Path | str) -> LinkRecord | None:
    """The record in that file; None when there is none, or a damaged one. Blocking."""
    try:
        return parse(read(file)[1])
    except OSError:
        return None
