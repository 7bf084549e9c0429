"""One member of a zip file: its entry in the central directory, and its bytes (APPNOTE 4.3.12, 4.5.3).

Everything in it is hostile: what doesn't agree with itself is refused with a ValueError of one line. Which member
is wanted, and where the directory is, is `wheelfile`'s business.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

ENTRY = struct.Struct("<4s6H3L5H2L")
"""An entry's fixed part; its name, extra fields and comment follow."""

_NO_32 = 0xFFFFFFFF
_ENCRYPTED = 0x0001 | 0x0040 | 0x2000
_STORED, _DEFLATED = 0, 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of the central directory; `end` is where the next one begins in it."""

    name: bytes
    flags: int
    method: int
    crc: int
    packed: int
    plain: int
    offset: int
    end: int

    @property
    def encrypted(self) -> bool:
        """Whether its bytes need a key."""
        return is_encrypted(self.flags)


def is_encrypted(flags: int) -> bool:
    """Whether general purpose flags speak of encryption of any kind (APPNOTE 4.4.4)."""
    return bool(flags & _ENCRYPTED)


def read_entry(data: bytes, at: int) -> Entry:
    """The entry at that place of the directory. Raises ValueError."""
    try:
        fields = ENTRY.unpack_from(data, at)
    except struct.error:
        raise ValueError("the central directory ends too early") from None
    signature, _, _, flags, method, _, _, crc, packed, plain, name, extra, comment, disk, _, _, offset = (
        fields
    )
    names = at + ENTRY.size
    end = names + name + extra + comment
    if signature != b"PK\x01\x02" or end > len(data):
        raise ValueError("the central directory is damaged")
    if _NO_32 in {packed, plain, offset}:
        long = _long(data[names + name : names + name + extra])
        plain, long = _wide(plain, long)
        packed, long = _wide(packed, long)
        offset, _ = _wide(offset, long)
    if disk:
        raise ValueError("the zip file is spread over several disks")
    return Entry(
        name=data[names : names + name],
        flags=flags,
        method=method,
        crc=crc,
        packed=packed,
        plain=plain,
        offset=offset,
        end=end,
    )


def _long(extra: bytes) -> bytes:
    """The zip64 extended information (APPNOTE 4.5.3) among the extra fields."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            return extra[at + 4 : at + 4 + length]
        at += 4 + length
    raise ValueError("an entry lacks its zip64 field")


def _wide(number: int, long: bytes) -> tuple[int, bytes]:
    """The number, taken from the zip64 field if it isn't in its own; and what is left of that field."""
    if number != _NO_32:
        return number, long
    if len(long) < 8:  # noqa: PLR2004 - 64 bits
        raise ValueError("an entry's zip64 field is too short")
    return int.from_bytes(long[:8], "little"), long[8:]


def check(entry: Entry, limit: int) -> None:
    """Raise ValueError unless the member can be read, and has at most `limit` bytes, packed as well as plain."""
    if entry.encrypted:
        raise ValueError("its METADATA is encrypted")
    if entry.method not in {_STORED, _DEFLATED}:
        raise ValueError(f"its METADATA is packed by method {entry.method}")
    # Deflate makes incompressible data longer by 5 bytes in 16 KiB at most.
    if entry.plain > limit or entry.packed > limit + limit // 1024:
        raise ValueError(f"its METADATA has {entry.plain} bytes, which is too much")
    if entry.method == _STORED and entry.packed != entry.plain:
        raise ValueError("its METADATA has two sizes")


def contents(entry: Entry, data: bytes) -> bytes:
    """The member's bytes, made of its packed ones and checked against its size and CRC. Raises ValueError."""
    content = data
    if entry.method == _DEFLATED:
        unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            content = unpacker.decompress(data, entry.plain + 1)
        except zlib.error as error:
            raise ValueError("its METADATA can't be inflated") from error
        if not unpacker.eof or unpacker.unused_data:
            raise ValueError("its METADATA has another length than the directory says")
    if len(content) != entry.plain or zlib.crc32(content) != entry.crc:
        raise ValueError("its METADATA isn't what the directory says")
    return content
