"""Archives of the cache as tar files: written the same every time, and read without believing a word of them.

What a member is called decides only whether it is the one that is due: the manifest says which come and in which order,
and where something is put is decided by its digest. So a link, a device, a name with `..` in it, a member too many or one
of another size ends the reading; nothing of it touches the disk. It blocks, and reads and writes in one go, so that a
pipe will do.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, cast

from pypicache.care import manifest as manifests
from pypicache.care.kept import Damaged
from pypicache.care.manifest import Held, Manifest
from pypicache.errors import one_line

MAX_MANIFEST = 512 << 20
"""Bytes; a million files have a manifest of 150 MB."""

MAX_HEADER = 8 << 20
"""Bytes that are read for what is said of one member: tarfile holds a name in memory, however long it says that it is."""

_BLOCK = 1 << 20
_UNREADABLE = (tarfile.TarError, OSError, ValueError, RecursionError)
"""What tarfile raises for bytes that it can't make anything of."""


class Writer:
    """Writes an archive to `file`. A context manager: what ends with an error gets no end-of-archive mark."""

    def __init__(self, file: BinaryIO, manifest: Manifest) -> None:
        self._tar = tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT, bufsize=_BLOCK)  # noqa: SIM115 - closed by __exit__
        data = manifests.dump(manifest)
        self.add(manifests.NAME, len(data), io.BytesIO(data))

    def add(self, name: str, size: int, data: BinaryIO) -> None:
        """One member: the same bytes whoever writes it, and when."""
        member = tarfile.TarInfo(name)
        member.size = size
        member.mode = 0o644
        self._tar.addfile(member, data)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tar.__exit__(kind, error, trace)


@dataclass(frozen=True, slots=True)
class Member:
    """One member of an archive that is being read: `read` gives its bytes, in order, and then checks their digest."""

    name: str
    held: Held
    data: BinaryIO

    def read(self) -> Iterator[bytes]:
        """All of it, in pieces. Raises Damaged at the end if it isn't what the manifest says."""
        hasher = hashlib.sha256()
        left = self.held.size
        while left:
            piece = _read(self.data, min(_BLOCK, left))
            if not piece:
                raise Damaged(f"the archive ends in the middle of {self.name}")
            hasher.update(piece)
            left -= len(piece)
            yield piece
        if hasher.hexdigest() != self.held.sha256:
            raise Damaged(f"{self.name} is damaged: it hashes to {hasher.hexdigest()}")


class Reader:
    """Reads an archive from `file`: its manifest at once, then its members, each before the next. A context manager."""

    def __init__(self, file: BinaryIO) -> None:
        self._source = _Source(file)
        try:
            with self._source.bounded():
                source = cast("BinaryIO", self._source)  # tarfile only calls its `read`
                self._tar = tarfile.open(fileobj=source, mode="r|", bufsize=_BLOCK)  # noqa: SIM115 - closed by __exit__
        except _UNREADABLE as error:
            raise Damaged(f"it isn't an archive of pypicache: {one_line(str(error))}") from None
        first = self._next()
        if first is None or first.name != manifests.NAME or not _is_file(first) or first.size > MAX_MANIFEST:
            raise Damaged(f"it isn't an archive of pypicache: {manifests.NAME} doesn't come first")
        data = _read(self._open(first), first.size)
        if len(data) != first.size:
            raise Damaged("the archive ends in the middle of its manifest")
        self.manifest = manifests.load(data)
        self.digest = hashlib.sha256(data).hexdigest()
        """Of the manifest's bytes."""

    def members(self) -> Iterator[Member]:
        """Every member that the manifest tells of. Raises Damaged for anything else."""
        for name, held in self.manifest.members():
            found = self._next()
            if found is None:
                raise Damaged(f"the archive ends before {name}")
            if found.name != name or not _is_file(found) or found.size != held.size:
                kind = "" if _is_file(found) else ", which is no file"
                raise Damaged(f"the archive has {one_line(found.name, 120)}{kind} where {name} is due")
            yield Member(name, held, self._open(found))
        if (more := self._next()) is not None:
            raise Damaged(f"the archive has {one_line(more.name, 120)}, of which its manifest doesn't tell")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tar.close()

    def _next(self) -> tarfile.TarInfo | None:
        try:
            with self._source.bounded():
                return self._tar.next()
        except _UNREADABLE as error:
            raise Damaged(f"the archive can't be read: {one_line(str(error))}") from None

    def _open(self, member: tarfile.TarInfo) -> BinaryIO:
        data = self._tar.extractfile(member)
        assert data is not None, "it is a file"
        return data  # type: ignore[return-value] # tarfile's reader has what BinaryIO needs of it


class _Source:
    """The archive's bytes, as tarfile asks for them."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._left: int | None = None

    def read(self, size: int) -> bytes:
        """At most so many of them. Raises Damaged where they are too many for what is said of a member."""
        data = self._file.read(size)
        if self._left is not None:
            self._left -= len(data)
            if self._left < 0:
                raise Damaged(f"the archive says more than {MAX_HEADER} bytes of one member")
        return data

    @contextmanager
    def bounded(self) -> Iterator[None]:
        """What is read meanwhile is said of one member, whose predecessor has been read."""
        self._left = MAX_HEADER
        try:
            yield
        finally:
            self._left = None


def _read(file: BinaryIO, size: int) -> bytes:
    """The next bytes; none where the archive ends in the middle of them."""
    try:
        return file.read(size)
    except tarfile.TarError:
        return b""


def _is_file(member: tarfile.TarInfo) -> bool:
    """Whether it is a plain file, with nothing clever about it."""
    return member.type in {tarfile.REGTYPE, tarfile.AREGTYPE} and not member.issparse()


def read_manifest(path: Path) -> tuple[Manifest, str]:
    """The manifest of an archive, or one that was taken out of it, and the digest of its bytes. Raises Damaged, OSError."""
    with path.open("rb") as file:
        head = file.read(1)
        file.seek(0)
        if head == b"{":
            data = file.read(MAX_MANIFEST)
            return manifests.load(data), hashlib.sha256(data).hexdigest()
        with Reader(file) as reader:
            return reader.manifest, reader.digest
