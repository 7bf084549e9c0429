"""Network to disk, with both kept busy: one task reads, another writes what has gathered.

While a write is under way, pieces gather and go out together, so a fast mirror gives full batches and a
slow one is never waited for: what little came is written as soon as the disk is idle. A mirror that is much
faster than the disk is made to wait. It knows neither files nor mirrors.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

BATCH = 1 << 20
"""Bytes that make a full write."""

AHEAD = 1 << 20
"""Bytes that may wait for the disk before the mirror is made to wait: what a `kill -9` loses, beside a write under way."""


class Pump:
    """Carries one stream to its end, or until `write` says that no more is wanted.

    `write` is given pieces in order, about `BATCH` bytes of them at a time.
    """

    def __init__(self, chunks: AsyncIterator[bytes], write: Callable[[list[bytes]], Awaitable[bool]]) -> None:
        self._chunks = chunks
        self._write = write
        self._pending: list[bytes] = []
        self._waiting = 0
        self._ended = False
        self._more = asyncio.Event()
        self._room = asyncio.Event()

    async def run(self) -> None:
        """Until the stream ends. What came before a break is written; then the break is raised."""
        reader = asyncio.ensure_future(self._read())
        wanted = False
        try:
            # The writer ends after the reader, or on its own.
            wanted = await self._write_all()
        finally:
            if not wanted:
                reader.cancel()
                await asyncio.gather(reader, return_exceptions=True)
        if wanted:
            await reader

    async def _read(self) -> None:
        try:
            async for chunk in self._chunks:
                self._pending.append(chunk)
                self._waiting += len(chunk)
                self._more.set()
                while self._waiting >= AHEAD:
                    self._room.clear()
                    await self._room.wait()
        finally:
            self._ended = True
            self._more.set()

    async def _write_all(self) -> bool:
        """Write until the stream has ended, or no more is wanted: False then."""
        while not (self._ended and not self._pending):
            await self._more.wait()
            self._more.clear()
            while self._pending:
                batch, size = take(self._pending, BATCH)
                if not await self._write(batch):
                    return False
                self._waiting -= size
                self._room.set()
        return True


def take(pending: list[bytes], most: int) -> tuple[list[bytes], int]:
    """Remove pieces from the front, at least one and at most `most` bytes of them; the pieces and their sum."""
    count = size = 0
    for piece in pending:
        if count and size + len(piece) > most:
            break
        count += 1
        size += len(piece)
    batch = pending[:count]
    del pending[:count]
    return batch, size


async def skipping(skip: int, chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """The chunks but for the first `skip` bytes."""
    async for chunk in chunks:
        if skip < len(chunk):
            yield chunk[skip:] if skip else chunk
        skip = max(0, skip - len(chunk))
