"""A file's bytes, wherever they come from: `Content`, of a stored file (`Stored`) or one on its way (`Reader`).

Both are read the same way: ask up to where, and read there by the descriptor. So whoever sends a file has
one way to do it, and a stored file is only one whose mark stands at its end.
"""

from __future__ import annotations

from typing import Protocol

from pypicache.errors import IntegrityError
from pypicache.index.transfer import State, Transfer
from pypicache.store.blobs import Blob


class Content(Protocol):
    """A file's bytes, wherever they come from: stored and arriving ones are read the same way."""

    @property
    def sha256(self) -> str | None:
        """The digest, when known."""
        ...

    @property
    def size(self) -> int | None:
        """The whole size in bytes, when known; after `begun` it is, unless no mirror says it."""
        ...

    @property
    def verified(self) -> bool:
        """Whether the bytes are known to be the right ones."""
        ...

    def fileno(self) -> int:
        """A descriptor for pread and sendfile, up to what `available` said."""
        ...

    async def begun(self) -> None:
        """Wait until the size is known if it ever will be. Raises what ended the download."""
        ...

    async def available(self, offset: int) -> int:
        """Up to where the file can be read: more than `offset`, or `offset` itself at its end. Raises what ended the download."""
        ...

    async def whole(self) -> int:
        """Wait until all of it is there and verified; its size. Raises what ended the download."""
        ...

    def close(self) -> None:
        """The reader has finished; more than once is fine."""
        ...


class Stored:
    """A blob as `Content`: all of it is there."""

    verified = True

    def __init__(self, blob: Blob) -> None:
        self._blob = blob
        self.sha256: str | None = blob.sha256
        self.size: int | None = blob.size

    def fileno(self) -> int:
        """The blob's descriptor."""
        return self._blob.fileno()

    async def begun(self) -> None:
        """It has."""

    async def available(self, offset: int) -> int:
        """The whole size."""
        return max(self._blob.size, offset)

    async def whole(self) -> int:
        """The size."""
        return self._blob.size

    def close(self) -> None:
        """Give the descriptor back."""
        self._blob.close()


class Reader:
    """A client's view of a transfer: what there is, up to where, and word when there is more."""

    def __init__(self, transfer: Transfer) -> None:
        self._transfer = transfer
        self._epoch: int | None = None
        self._open = True
        transfer.readers += 1

    @property
    def sha256(self) -> str | None:
        """The file's digest, if the page gave it or the file has arrived."""
        return self._transfer.sha256

    @property
    def size(self) -> int | None:
        """The whole size; None as long as neither the page nor the mirror has said it."""
        return self._transfer.size

    @property
    def verified(self) -> bool:
        """Whether the bytes are known to be the right ones."""
        return self._transfer.state is State.PUBLISHED

    def fileno(self) -> int:
        """A descriptor for pread and sendfile, up to what `available` said."""
        return self._transfer.fileno()

    async def begun(self) -> None:
        """Wait until a mirror answers, so that the size is known if it ever will be. Raises what ended the transfer."""
        while self._transfer.size is None and self._transfer.state is State.CONNECT:
            await self._transfer.changed()
        self._check()

    async def available(self, offset: int) -> int:
        """Up to where the file can be read: more than `offset`, or `offset` itself at the end of the file.

        Raises what ended the transfer, and IntegrityError when bytes already taken turned out wrong.
        """
        while True:
            self._check()
            visible = self._transfer.visible
            if visible > offset or self._transfer.state is State.PUBLISHED:
                self._epoch = self._transfer.epoch
                return max(visible, offset)
            await self._transfer.changed()

    async def whole(self) -> int:
        """Wait until the file is published; its size."""
        while self._transfer.state is not State.PUBLISHED:
            self._check()
            await self._transfer.changed()
        assert self._transfer.size is not None
        return self._transfer.size

    def _check(self) -> None:
        if self._transfer.error is not None:
            raise self._transfer.error
        if self._epoch is not None and self._epoch != self._transfer.epoch:
            raise IntegrityError(
                self._transfer.file.filename,
                expected=str(self._transfer.file.best_digest),
                got="other bytes so far",
            )

    def close(self) -> None:
        """The client has left, or has it all; more than once is fine."""
        if self._open:
            self._open = False
            self._transfer.readers -= 1
            if self._transfer.ended and not self._transfer.readers:
                self._transfer.close()
