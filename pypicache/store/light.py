"""A small file that is arriving: gathered in memory, and put in its place in one go once it is verified.

A file that is written as it comes costs a thread's hop for its claim, its room, every write, its digest and its name.
Most wheels and all sidecars are smaller than what one of those hops is worth a thought for. So they are held
in memory up to `MOST` bytes, and what a `kill -9` then loses is fetched again. A file that turns out larger, or comes out of
order, goes on in a spool of the ordinary kind, with what it has, and notices nothing.

::

    gathering --verified--> written, named (one hop)
    gathering --grows too large, or isn't written in order--> landed: all else is the file spool's

It may not know of paths, names or locks beyond what it is given to call.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence

from pypicache.errors import IntegrityError, StoreError
from pypicache.rules.pieces import Spans
from pypicache.store.spool import FileSpool

MOST = 1 << 20
"""Bytes that one file may gather."""

UNKNOWN = 256 << 10
"""The same for a file of unknown size: sidecars are smaller."""

ALL = 32 << 20
"""Bytes that all together may gather; who comes when that much is promised goes to the disk at once."""

HASH_INLINE = 256 << 10
"""Bytes that are hashed on the event loop: less than the hop to a thread costs; above, in one."""


def promise(size: int | None) -> int:
    """Bytes that a file of that size is counted for as long as it gathers."""
    return UNKNOWN if size is None else size


Land = Callable[[str, int | None], Awaitable[FileSpool]]


class LightSpool:
    """Implements `blobs.Spool` for a small file. `land` makes the file spool that it goes on in; `closed` is told its end."""

    def __init__(
        self, *, key: str, size: int | None, land: Land, closed: Callable[[LightSpool], object]
    ) -> None:
        self.key = key
        self.size = size
        self.most = UNKNOWN if size is None else MOST
        self.promised = promise(size)
        self._land = land
        self._on_closed = closed
        self._data: bytearray | None = bytearray()
        self._sha256: str | None = None
        self._file: FileSpool | None = None
        self._landing = asyncio.Lock()
        self._closing = False

    @property
    def held(self) -> Spans:
        """The spans of bytes that are there: half-open, sorted, apart."""
        if self._data is None:
            assert self._file is not None
            return self._file.held
        return ((0, len(self._data)),) if self._data else ()

    @property
    def data(self) -> bytearray | None:
        """All that has come, while it is in memory; not to be changed."""
        return self._data

    @property
    def file(self) -> FileSpool | None:
        """The spool in which it goes on, once it has landed."""
        return self._file if self._data is None else None

    def fileno(self) -> int:
        """The descriptor, once it has landed. Raises ValueError before."""
        if self._data is not None or self._file is None:
            raise ValueError("the spool is in no file")
        return self._file.fileno()

    async def write(self, offset: int, buffers: Sequence[bytes]) -> None:
        """Put these bytes there. Raises StoreFull or StoreError, once it has to land."""
        if self._closing:
            raise StoreError("the spool is closed")
        data, end = self._data, offset + sum(map(len, buffers))
        if data is not None and not self._landing.locked() and offset == len(data) and end <= self.most:
            for buffer in buffers:
                data += buffer
            self._sha256 = None
            return
        await (await self._landed()).write(offset, buffers)

    async def digest(self, algorithm: str) -> str:
        """The hexadecimal digest of all bytes. Raises StoreError, also for an algorithm that isn't known."""
        if self._data is None:
            return await (await self._landed()).digest(algorithm)
        try:
            hasher = hashlib.new(algorithm, usedforsecurity=False)
            if len(self._data) <= HASH_INLINE:
                hasher.update(self._data)
            else:
                await asyncio.to_thread(hasher.update, bytes(self._data))
            if algorithm == "sha256":
                self._sha256 = hasher.hexdigest()
            return hasher.hexdigest()
        except (ValueError, TypeError) as error:
            raise StoreError(f"no digest by {algorithm!r}") from error

    async def reset(self, size: int | None) -> None:
        """Forget all bytes and start again, with another size if need be. Raises StoreFull or StoreError."""
        self.size = size
        if self._data is None:
            await (await self._landed()).reset(size)
        else:
            self._data, self._sha256 = bytearray(), None
            await self._fit(size)

    async def expect(self, size: int) -> None:
        """The whole size has become known after the beginning. Raises StoreFull or StoreError."""
        self.size = size
        if self._data is None:
            await (await self._landed()).expect(size)
        else:
            await self._fit(size)

    async def _fit(self, size: int | None) -> None:
        self.most = UNKNOWN if size is None else MOST
        if size is not None and size > self.most:
            await self._landed()

    async def discard(self) -> None:
        """Forget it. More than once is fine."""
        try:
            if self._file is not None and not self._closing:
                await self._file.discard()
        finally:
            self.close()

    async def reject(self) -> None:
        """Set the bytes aside as evidence, which takes a file. More than once is fine."""
        try:
            if not self._closing:
                await (await self._landed()).reject()
        finally:
            self.close()

    def close(self) -> None:
        """Forget what is in memory; a file stays for whoever claims `key` next."""
        if self._closing:
            return
        self._closing = True
        if self._file is not None:
            self._file.close()
        self._on_closed(self)

    def settled(self, sha256: str) -> bytes:
        """All of it, to be published. Raises IntegrityError where it is known not to be `sha256`, or isn't as long as it should be."""
        assert self._data is not None
        if self.size not in {None, len(self._data)}:
            raise IntegrityError("a download", expected=f"{self.size} bytes", got=f"{len(self._data)}")
        if self._sha256 not in {None, sha256}:
            raise IntegrityError("a download", expected=sha256, got=str(self._sha256))
        return bytes(self._data)

    async def _landed(self) -> FileSpool:
        """The file spool that it goes on in, with all that has come."""
        async with self._landing:
            if self._data is not None:
                file = await self._land(self.key, self.size)
                try:
                    if self._data:
                        await file.write(0, [bytes(self._data)])
                except BaseException:
                    await asyncio.shield(file.discard())
                    raise
                self._file, self._data = file, None
            assert self._file is not None
            return self._file
