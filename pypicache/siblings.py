"""What the workers of a daemon tell each other, through Unix sockets that only their user can reach.

Who asks sends one line that says what it wants to know; the answer is all that comes until the connection ends. It
decides nothing; a worker that doesn't answer in time is told of as one. It may import nothing of the package.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

PATIENCE = 1.0
"""Seconds for a sibling to answer, all in all."""


class Siblings:
    """The worker with that `number` of `count`, whose sockets are in `directory`. Numbers begin at 0."""

    def __init__(self, directory: Path, number: int, count: int) -> None:
        self._directory = directory
        self.number = number
        self._count = count

    @asynccontextmanager
    async def tell(self, own: Callable[[str], Awaitable[bytes]]) -> AsyncIterator[None]:
        """Tell whoever asks for something what `own` gives for it, meanwhile."""

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError, ValueError, TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    wanted = await reader.readline()
                    writer.write(await own(wanted.decode("ascii", "replace").strip()))
                    await writer.drain()
            writer.close()

        with self._reach() as directory:
            path = f"{directory}/{self.number}"
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)  # noqa: PTH108 - a path through a descriptor
            server = await asyncio.start_unix_server(answer, path)
            (self._directory / str(self.number)).chmod(0o600)
        try:
            yield
        finally:
            server.close()

    async def ask(self, wanted: str) -> Mapping[int, bytes | None]:
        """What the others tell, by number, all asked at once; None: that one doesn't answer."""
        others = [number for number in range(self._count) if number != self.number]
        answers = await asyncio.gather(*(self._of(number, wanted) for number in others))
        return dict(zip(others, answers, strict=True))

    async def _of(self, number: int, wanted: str) -> bytes | None:
        writer = None
        try:
            async with asyncio.timeout(PATIENCE):
                with self._reach() as directory:
                    reader, writer = await asyncio.open_unix_connection(f"{directory}/{number}")
                writer.write(f"{wanted}\n".encode())
                return await reader.read() or None
        except (OSError, TimeoutError):
            return None
        finally:
            if writer is not None:
                writer.close()

    @contextlib.contextmanager
    def _reach(self) -> Iterator[str]:
        """The directory by a short name: the names of sockets have no more than a hundred bytes."""
        self._directory.mkdir(mode=0o700, exist_ok=True)
        fd = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield f"/proc/self/fd/{fd}" if Path("/proc/self/fd").exists() else str(self._directory)
        finally:
            os.close(fd)
