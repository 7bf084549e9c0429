"""Network to disk, with both kept busy: one task reads, another writes what has gathered.

While a write is under way, pieces gather and go out together, so a fast mirror gives full batches and a
slow one is never waited for: what little came is written as soon as the disk is idle. A mirror that is much
faster than the disk is made to wait. It knows neither files nor mirrors.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

BATCH = 1 << 20
"""Bytes that make a full write."""

AHEAD = 4 << 20
"""Bytes that may wait for the disk before the mirror is made to wait."""


class Pump:
    """Carries one stream to its end. `write` is given pieces in order, about `BATCH` bytes of them at a time."""

    def __init__(self, chunks: AsyncIterator[bytes], write: Callable[[list[bytes]], Awaitable[None]]) -> None:
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
        try:
            # The writer ends after the reader, or fails on its own.
            await self._write_all()
        except BaseException:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)
            raise
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

    async def _write_all(self) -> None:
        while not (self._ended and not self._pending):
            await self._more.wait()
            self._more.clear()
            while self._pending:
                batch, size = take(self._pending, BATCH)
                await self._write(batch)
                self._waiting -= size
                self._room.set()


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


async def skipping(skip: int, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The chunks but for the first `skip` bytes."""
    async for chunk in chunks:
        if skip < len(chunk):
            yield chunk[skip:] if skip else chunk
        skip = max(0, skip - len(chunk))
