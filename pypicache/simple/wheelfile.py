"""METADATA out of a wheel, without the wheel: pure steps, each of which says which bytes it needs.

A wheel is a zip file (binary distribution format), and a zip file is read from its end: the end of central
directory says where the directory is, the directory where the member is (APPNOTE 4.3). So a few tens of
kilobytes tell what a wheel of gigabytes requires::

    begin ──► Tail ──► (End64) ──► Directory ──► Member ──► Metadata
               │ its comment is longer     │ its local header is longer
               └─► Tail                    └─► Member

The caller fetches `step.span` from wherever the wheel is (a mirror, a stored file) and calls `advance`, until
it has a `Metadata`. Steps are small values that can be sent to another process.

The wheel is hostile. What a sound wheel never has is refused with a ValueError of one line: sizes and offsets that
don't agree to the byte, bytes after the end, other disks, encryption, two entries of the same name, entries that
overlap, methods other than stored and deflated, a wrong CRC, a member for another project, and anything over
the caps. Such games are how one archive says different things to different readers. It knows no HTTP and no files.
"""

from __future__ import annotations

import abc
import re
import struct
from dataclasses import dataclass

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from pypicache.simple.zipentry import ENTRY, Entry, check, contents, is_encrypted, read_entry

MAX_METADATA = 10 << 20
"""Bytes of METADATA, inflated; real ones have kilobytes."""

MAX_DIRECTORY = 32 << 20
"""Bytes of the central directory; the largest real ones have a tenth of that."""

MAX_ENTRIES = 250_000
"""Files in a wheel."""

TAIL = 32 << 10
"""Bytes that are read first: the directory of most wheels and what stands before it, which is their METADATA."""

_AHEAD = 16 << 10
_EXTRA = 256
_MAX_COMMENT = 0xFFFF
_NO_16, _NO_32 = 0xFFFF, 0xFFFFFFFF

_END = struct.Struct("<4s4H2LH")
_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCAL = struct.Struct("<4s5H3L2H")

_LONGEST_END = _END.size + _MAX_COMMENT + _LOCATOR.size
_WHEEL_PARTS = (5, 6)
_MAX_NAME = 512
_MEMBER = re.compile(rb"([A-Za-z0-9][A-Za-z0-9._-]*)-([A-Za-z0-9._+!]+)\.dist-info/METADATA")


@dataclass(frozen=True, slots=True)
class Metadata:
    """The METADATA member, byte for byte."""

    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Step(abc.ABC):
    """What has to be read next of the wheel called `filename`, which has `size` bytes."""

    filename: str
    size: int
    start: int
    stop: int
    ahead: int = 0
    """Bytes before `start` that are worth reading along, since the next step will probably want them."""

    @property
    def span(self) -> tuple[int, int]:
        """The bytes to fetch: from the first up to the second, without it."""
        return max(0, self.start - self.ahead), self.stop

    @abc.abstractmethod
    def take(self, data: bytes) -> Step | Metadata:
        """What follows from bytes [start, stop)."""


def begin(filename: str, size: int) -> Step:
    """The first step. Raises ValueError when the name isn't a wheel's, or nothing so small can be a wheel."""
    parts = filename.removesuffix(".whl").split("-")
    if not filename.endswith(".whl") or len(parts) not in _WHEEL_PARTS:
        raise ValueError("the file name isn't a wheel's")
    if size < _END.size:
        raise ValueError("too short for a zip file")
    return _Tail(filename=filename, size=size, start=max(0, size - TAIL), stop=size)


def advance(step: Step, data: bytes) -> Step | Metadata:
    """Go on with the bytes of `step.span`, as far as they reach. Raises ValueError: the wheel is refused."""
    first, last = step.span
    if len(data) != last - first:
        raise ValueError(f"{len(data)} bytes where {last - first} were asked for")
    result: Step | Metadata = step
    while isinstance(result, Step) and first <= result.start and result.stop <= last:
        result = result.take(data[result.start - first : result.stop - first])
    return result


class _Tail(Step):
    """Looks for the end of central directory record (APPNOTE 4.3.16), whose comment ends where the file does."""

    __slots__ = ()

    def take(self, data: bytes) -> Step | Metadata:
        found = []
        at = data.rfind(b"PK\x05\x06")
        while at >= 0:
            if at + _END.size <= len(data):
                comment: int = _END.unpack_from(data, at)[-1]
                if at + _END.size + comment == len(data):
                    found.append(at)
            at = data.rfind(b"PK\x05\x06", 0, at)
        if len(found) > 1:
            raise ValueError("the zip file has two ends")
        if found and (found[0] >= _LOCATOR.size or not self.start):
            return self._ended(data, found[0])
        if not self.start or len(data) >= _LONGEST_END:
            raise ValueError("not a zip file, or something follows its end")
        start = max(0, self.size - _LONGEST_END)
        return _Tail(filename=self.filename, size=self.size, start=start, stop=self.stop)

    def _ended(self, data: bytes, at: int) -> Step:
        _, disk, start_disk, here, entries, size, offset, _ = _END.unpack_from(data, at)
        end = self.start + at
        if at >= _LOCATOR.size and data[at - _LOCATOR.size :].startswith(b"PK\x06\x07"):
            _, _, record, _ = _LOCATOR.unpack_from(data, at - _LOCATOR.size)
            if record != end - _LOCATOR.size - _END64.size:
                raise ValueError("the zip64 record isn't where it should be")
            return _End64(
                filename=self.filename,
                size=self.size,
                start=record,
                stop=record + _END64.size,
                said=(entries, size, offset),
            )
        if disk or start_disk or here != entries:
            raise ValueError("the zip file is spread over several disks")
        return _directory(self, entries, size, offset, end)


@dataclass(frozen=True, slots=True, kw_only=True)
class _End64(Step):
    """Reads the zip64 end of central directory record (APPNOTE 4.3.14)."""

    said: tuple[int, int, int]
    """What the plain record has for entries, size and offset."""

    def take(self, data: bytes) -> Step | Metadata:
        signature, length, _, _, disk, start_disk, here, entries, size, offset = _END64.unpack(data)
        if signature != b"PK\x06\x06" or length != _END64.size - 12:
            raise ValueError("the zip64 record isn't one")
        if disk or start_disk or here != entries:
            raise ValueError("the zip file is spread over several disks")
        limits = zip(self.said, (entries, size, offset), (_NO_16, _NO_32, _NO_32), strict=True)
        if any(plain not in {long, none} for plain, long, none in limits):
            raise ValueError("the zip64 record contradicts the plain one")
        return _directory(self, entries, size, offset, self.start)


def _directory(step: Step, entries: int, size: int, offset: int, end: int) -> Step:
    if entries > MAX_ENTRIES or size > MAX_DIRECTORY:
        raise ValueError(f"a central directory of {entries} entries and {size} bytes is too large")
    if offset + size != end or size < entries * ENTRY.size:
        raise ValueError("the central directory isn't where it should be")
    return _Directory(
        filename=step.filename, size=step.size, start=offset, stop=end, ahead=_AHEAD, entries=entries
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Directory(Step):
    """Looks for the member in the central directory (APPNOTE 4.3.12)."""

    entries: int

    def take(self, data: bytes) -> Step | Metadata:
        found: list[Entry] = []
        offsets = []
        at = 0
        for _ in range(self.entries):
            entry = read_entry(data, at)
            at = entry.end
            offsets.append(entry.offset)
            if _is_metadata(entry.name, self.filename):
                found.append(entry)
        if at != len(data):
            raise ValueError("the central directory has another length than it says")
        if not found:
            raise ValueError("there is no METADATA for this file name in it")
        if len(found) > 1 or offsets.count(found[0].offset) > 1:
            raise ValueError("its METADATA is there twice")
        entry = found[0]
        check(entry, MAX_METADATA)
        limit = min((offset for offset in offsets if offset > entry.offset), default=self.start)
        limit = min(limit, self.start)
        stop = entry.offset + _LOCAL.size + len(entry.name) + _EXTRA + entry.packed
        return _member(self, entry, min(stop, limit), limit)


def _is_metadata(name: bytes, filename: str) -> bool:
    """Whether that is the METADATA of the wheel so called: its names may be spelled otherwise, not be others."""
    match = _MEMBER.fullmatch(name) if name.endswith(b"/METADATA") and len(name) <= _MAX_NAME else None
    if match is None:
        return False
    project, version = filename.split("-")[:2]
    return canonicalize_name(match[1].decode()) == canonicalize_name(project) and _version(
        match[2].decode()
    ) == _version(version)


def _version(text: str) -> Version | str:
    try:
        return Version(text.replace("_", "-"))
    except InvalidVersion:
        return text.replace("_", "-").lower()


def _member(step: Step, entry: Entry, stop: int, limit: int) -> Step:
    if stop > limit or stop < entry.offset + _LOCAL.size + len(entry.name) + entry.packed:
        raise ValueError("its METADATA overlaps with something else")
    return _Member(
        filename=step.filename, size=step.size, start=entry.offset, stop=stop, entry=entry, limit=limit
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member(Step):
    """Reads the member behind its local header (APPNOTE 4.3.7)."""

    entry: Entry
    limit: int
    """Where the next member, or the directory, begins."""

    def take(self, data: bytes) -> Step | Metadata:
        entry = self.entry
        # The sizes here are zero where a descriptor follows; the directory's are checked against the bytes.
        signature, _, flags, method, _, _, _, _, _, length, extra = _LOCAL.unpack_from(data)
        name = data[_LOCAL.size : _LOCAL.size + length]
        begins = _LOCAL.size + length + extra
        if (signature, name, method) != (b"PK\x03\x04", entry.name, entry.method) or is_encrypted(flags):
            raise ValueError("its METADATA isn't where the directory says")
        ends = self.start + begins + entry.packed
        if ends > self.stop:
            return _member(self, entry, ends, self.limit)
        return Metadata(contents(entry, data[begins : begins + entry.packed]))
