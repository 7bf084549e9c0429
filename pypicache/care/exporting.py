"""Taking out of the cache what belongs into an archive: all of it, or what lock files pin.

Two passes: first what there is is gathered, by digest, so that the manifest can come first; then the bytes are written, and hashed
once more on the way: an archive with a damaged file in it is never finished. It changes nothing in the cache, not even
when a file was last used.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import BinaryIO, Self, cast

from pypicache import __version__
from pypicache.care import kept
from pypicache.care.archive import Writer
from pypicache.care.kept import Kept
from pypicache.care.manifest import Held, Manifest, blob_member, less, project_member
from pypicache.care.progress import Progress
from pypicache.care.stores import Stores
from pypicache.errors import StoreError
from pypicache.store.files import open_plain

_IN_MEMORY = 32 << 20


class Selection:
    """What is to be exported. A context manager: it keeps projects' records in a temporary file, since pages are large."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores
        self.missing: list[str] = []
        """What lock files pin and the cache doesn't hold, a line each."""
        self._projects: dict[str, Held] = {}
        self._places: dict[str, int] = {}
        self._blobs: dict[str, int] = {}
        self._records = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - closed by __exit__

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._records.close()

    def add(self, one: Kept) -> None:
        """The project, without its files' bytes."""
        key, data = f"{one.index} {one.project}", kept.dump(one)
        content = hashlib.sha256(kept.content(one)).hexdigest()
        self._places[key] = self._records.seek(0, os.SEEK_END)
        self._records.write(data)
        self._projects[key] = Held(sha256=hashlib.sha256(data).hexdigest(), size=len(data), content=content)

    def add_blobs(self, digests: Iterable[str]) -> bool:
        """Those of these files that are held; whether one was."""
        found = False
        for sha256 in digests:
            known = self.stores.blobs.keeper.files.look(sha256)
            if known is not None:
                self._blobs[sha256] = known.size
                found = True
        return found

    def add_all_blobs(self) -> None:
        """Every file that the cache holds; blocking."""
        for each in self.stores.blobs.keeper.scan():
            self._blobs[each.sha256] = each.size

    def manifest(self, earlier: tuple[Manifest, str] | None = None) -> Manifest:
        """What the archive has to tell; with `earlier` (a manifest and its digest), an incremental one."""
        manifest = Manifest(
            pypicache=__version__,
            blobs=tuple(Held(sha256=sha256, size=size) for sha256, size in sorted(self._blobs.items())),
            projects=dict(self._projects),
        )
        return manifest if earlier is None else less(manifest, *earlier)

    async def write(self, manifest: Manifest, file: BinaryIO, progress: Progress) -> int:
        """Write the archive; how many bytes its members have. Raises StoreError when a file is damaged or gone, OSError."""
        total = sum(held.size for _, held in manifest.members())
        progress.begin("export", total)
        await asyncio.to_thread(self._write, manifest, file, progress)
        return total

    def _write(self, manifest: Manifest, file: BinaryIO, progress: Progress) -> None:
        with Writer(file, manifest) as writer:
            for held in manifest.blobs:
                if not held.left_out:
                    self._write_blob(writer, held, progress)
            for key in sorted(manifest.projects):
                if not manifest.projects[key].left_out:
                    size = manifest.projects[key].size
                    self._records.seek(self._places[key])
                    writer.add(project_member(key), size, cast("BinaryIO", self._records))
                    progress.step(size)

    def _write_blob(self, writer: Writer, held: Held, progress: Progress) -> None:
        path = self.stores.blobs.keeper.files.path(held.sha256)
        try:
            found = open_plain(path)
        except OSError as error:
            raise StoreError(f"the file {held.sha256} has gone meanwhile: {error.strerror}") from error
        if isinstance(found, str) or found[1].st_size != held.size:
            raise StoreError(f"the file {held.sha256} is damaged: run pypicache verify --repair")
        with _Reading(found[0], progress) as source:
            writer.add(blob_member(held.sha256), held.size, cast("BinaryIO", source))
            if source.digest != held.sha256:
                raise StoreError(f"the file {held.sha256} is damaged: run pypicache verify --repair")


class _Reading:
    """An open blob, hashed as it is read. Others that would evict it pass over it meanwhile."""

    def __init__(self, fd: int, progress: Progress) -> None:
        self._fd = fd
        self._progress = progress
        self._hasher = hashlib.sha256()
        with suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)

    @property
    def digest(self) -> str:
        """Of what was read so far."""
        return self._hasher.hexdigest()

    def read(self, size: int) -> bytes:
        """The next bytes."""
        data = os.read(self._fd, size)
        self._hasher.update(data)
        self._progress.step(len(data))
        return data

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)
