"""A file's bytes as whoever serves them sees them: stored ones here, arriving ones in `reader`.

It knows nothing of mirrors and requests.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Protocol

from pypicache.store.blobs import Blob

Told = Callable[[int], object]


class Content(Protocol):
    """A file's bytes, wherever they come from: stored and arriving ones are read the same way."""

    @property
    def sha256(self) -> str | None:
        """The digest, when known."""
        ...

    @property
    def origin(self) -> str:
        """The mirrors that bring it; empty when none does, or none has answered yet."""
        ...

    @property
    def size(self) -> int | None:
        """The whole size in bytes, when known; after `begun` it is, unless no mirror says it."""
        ...

    @property
    def data(self) -> bytes | None:
        """All of it, verified, if it is small and has just come: memory has it still, beside the descriptor."""
        ...

    def fileno(self) -> int | None:
        """A descriptor for pread and sendfile, up to what `available` said; None when only `read` has the bytes."""
        ...

    async def read(self, offset: int, most: int) -> bytes:
        """At most that many bytes, which are available. Without a descriptor, in order only."""
        ...

    async def aside(self, start: int, stop: int) -> bytes | None:
        """These few bytes, if waiting for them would take long and they can be had sooner; None: wait for them."""
        ...

    patience: float | None
    """Seconds without a byte of a download after which a wait ends with UpstreamError; None: when the download ends."""

    async def begun(self) -> None:
        """Wait until the size is known if it ever will be. Raises what ended the download."""
        ...

    async def available(self, offset: int) -> int:
        """Up to where the file can be read: more than `offset`, or `offset` itself at its end. Raises what ended the download."""
        ...

    async def whole(self, told: Told | None = None) -> int:
        """Wait until all of it is there and verified; its size. `told` hears meanwhile how many bytes have arrived.

        Raises what ended the download.
        """
        ...

    async def suspect(self) -> None:
        """Reading its bytes failed: if they are stored, have them judged, so that they are fetched again if they are damaged."""
        ...

    def close(self) -> None:
        """The reader has finished; more than once is fine."""
        ...


class Stored:
    """A blob as `Content`: all of it is there."""

    origin = ""
    patience: float | None = None
    data = None

    def __init__(self, blob: Blob) -> None:
        self._blob = blob
        self.sha256: str | None = blob.sha256
        self.size: int | None = blob.size

    def fileno(self) -> int | None:
        """The blob's descriptor."""
        return self._blob.fileno()

    async def read(self, offset: int, most: int) -> bytes:
        """At most that many bytes."""
        return os.pread(self._blob.fileno(), most, offset)

    async def aside(self, start: int, stop: int) -> bytes | None:  # noqa: ARG002 - the protocol's
        """Never: all of it is there."""
        return None

    async def begun(self) -> None:
        """It has."""

    async def available(self, offset: int) -> int:
        """The whole size."""
        return max(self._blob.size, offset)

    async def whole(self, told: Told | None = None) -> int:  # noqa: ARG002 - the protocol's
        """The size."""
        return self._blob.size

    async def suspect(self) -> None:
        """Have the blob judged; see `Blob.suspect`."""
        await self._blob.suspect()

    def close(self) -> None:
        """Give the descriptor back."""
        self._blob.close()
