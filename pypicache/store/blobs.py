"""The seam for files' bytes: a blob is immutable and named by its SHA-256; a spool is one that is still arriving.

A digest names its bytes for ever: that sentence is what makes caching files legal. So a blob is
never changed, only added and removed, and the same wheel in two indexes is one blob.

Both are read the same way, by file descriptor and offset: whoever sends a file needs no `isinstance`.
`disk` and `memory` implement the store; one contract suite runs over both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from pypicache.errors import StoreError


class SpoolBusy(StoreError):
    """Another process, or another task of this one, is writing the spool of that key: follow it, or come back."""


class Blob(Protocol):
    """A stored file, open for reading: it stays readable while it's open, whatever the store does."""

    sha256: str
    size: int

    def fileno(self) -> int:
        """A descriptor for pread and sendfile; its own offset means nothing."""
        ...

    async def suspect(self) -> None:
        """Reading it failed: the file is hashed, and set aside unless it proves sound, so that it is fetched again.

        Whoever asks is told nothing; `BlobStore.open` knows.
        """
        ...

    def close(self) -> None:
        """Give the descriptor back; more than once is fine."""
        ...


class Spool(Protocol):
    """A file that is arriving: its writer puts bytes at offsets, any number of readers pread what is there.

    Owned by its writer until `BlobStore.publish`, `discard`, `reject` or `close`. Readers that hold the
    descriptor (`os.dup`) can read on after any of them.
    """

    key: str
    size: int | None
    """The whole size, when known; space for it is reserved."""

    @property
    def held(self) -> tuple[tuple[int, int], ...]:
        """The spans of bytes that are there: half-open, sorted, apart."""
        ...

    @property
    def data(self) -> bytearray | None:
        """All that has come, from the first byte on, while it is in no file; not to be changed. None: `fileno` has it."""
        ...

    def fileno(self) -> int:
        """A descriptor for pread and sendfile. Not while `data` is there."""
        ...

    async def write(self, offset: int, buffers: Sequence[bytes]) -> None:
        """Put these bytes there, off the loop; `held` then has them. Raises StoreFull or StoreError."""
        ...

    async def digest(self, algorithm: str) -> str:
        """The hexadecimal digest of the whole file, computed off the loop.

        sha256 is kept up to date as the bytes at the front come together; any other reads the file once.
        """
        ...

    async def reset(self, size: int | None) -> None:
        """Forget all bytes and start again, with another size if need be."""
        ...

    async def expect(self, size: int) -> None:
        """The whole size has become known after the beginning: have room for it. Raises StoreFull or StoreError."""
        ...

    async def discard(self) -> None:
        """Remove it; nothing of it stays on disk."""
        ...

    async def reject(self) -> None:
        """Set the bytes aside as evidence: they aren't what they were said to be. The spool is gone then."""
        ...

    def close(self) -> None:
        """Stop writing; what is there stays for whoever claims `key` next."""
        ...


class Partial(Protocol):
    """Another process's spool, seen from here."""

    def fileno(self) -> int:
        """A descriptor for pread and sendfile."""
        ...

    async def look(self) -> tuple[int | None, tuple[tuple[int, int], ...]]:
        """The size, if known, and the spans of bytes that are there by now. Raises StoreError."""
        ...

    def close(self) -> None:
        """Give the descriptors back."""
        ...


@dataclass(frozen=True, slots=True)
class BlobInfo:
    """What a scan tells of a stored blob: times are seconds since the epoch."""

    sha256: str
    size: int
    used_at: float


class BlobStore(Protocol):
    """Where blobs are kept."""

    def open(self, sha256: str, size: int | None = None) -> Blob | None:
        """The blob, opened; None when it isn't there or its file can't be right (a link, a directory, another `size`).

        Cheap enough for the event loop: one open and one fstat. What can't be right is set aside, never served.
        """
        ...

    def there(self, sha256: str) -> bool:
        """Whether it is there, as far as one look tells; that is no use of it."""
        ...

    def glance(self, sha256: str) -> object:
        """What tells the blob from another one in its place, and counts as a use of it; None when it isn't there.

        For somebody who holds a copy of what it had when it was opened. A microsecond or two: one stat.
        """
        ...

    async def spool(self, key: str, size: int | None, *, resume: bool = False, small: bool = False) -> Spool:
        """The spool for the download called `key`, claimed, with space reserved.

        With `small`, a small file may stay in memory (`Spool.data`) until it is published; its space is reserved then.
        Fresh, or with `resume` holding what an earlier writer of the same size left: only for keys that name bytes.
        Raises SpoolBusy while another writer has it, StoreFull or StoreError.
        """
        ...

    async def follow(self, key: str) -> Partial | None:
        """The spool that another process is writing for that key; None when there is no such file. Raises StoreError."""
        ...

    async def publish(self, spool: Spool, sha256: str) -> Blob:
        """Make the spool's bytes the blob of that digest, atomically; the caller has verified them.

        The first one wins: publishing what is there already is fine. The spool is used up when this returns;
        when it raises, the spool is still the caller's to discard. A digest or size that is known to be
        another is refused with IntegrityError.
        """
        ...

    async def delete(self, sha256: str) -> bool:
        """Remove the blob; whether it was there. Open ones stay readable."""
        ...

    def scan(self) -> Iterator[BlobInfo]:
        """Every blob, in no order; blocking, for use off the loop."""
        ...
