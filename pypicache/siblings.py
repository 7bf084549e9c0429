"""What the workers of a daemon tell each other: each its metrics, through a Unix socket that only their user can reach.

It decides nothing; a worker that doesn't answer in time is left out. It may import nothing of the package but errors.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

PATIENCE = 2.0
"""Seconds for a sibling to answer."""


class Siblings:
    """The worker with that `number` of `count`, whose sockets are in `directory`."""

    def __init__(self, directory: Path, number: int, count: int) -> None:
        self._directory = directory
        self._number = number
        self._count = count

    @asynccontextmanager
    async def tell(self, own: Callable[[], Awaitable[bytes]]) -> AsyncIterator[None]:
        """Tell whoever asks what `own` gives, meanwhile."""

        async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                writer.write(await own())
                await writer.drain()
            writer.close()

        with self._reach() as directory:
            path = f"{directory}/{self._number}"
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)  # noqa: PTH108 - a path through a descriptor
            server = await asyncio.start_unix_server(answer, path)
            (self._directory / str(self._number)).chmod(0o600)
        try:
            yield
        finally:
            server.close()

    def ask(self) -> Iterator[bytes]:
        """What the others tell. Blocking."""
        for number in range(self._count):
            if number != self._number:
                with contextlib.suppress(OSError):
                    yield self._of(number)

    def _of(self, number: int) -> bytes:
        with self._reach() as directory, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(PATIENCE)
            sock.connect(f"{directory}/{number}")
            return b"".join(iter(lambda: sock.recv(1 << 16), b""))

    @contextlib.contextmanager
    def _reach(self) -> Iterator[str]:
        """The directory by a short name: the names of sockets have no more than a hundred bytes."""
        self._directory.mkdir(mode=0o700, exist_ok=True)
        fd = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield f"/proc/self/fd/{fd}" if Path("/proc/self/fd").exists() else str(self._directory)
        finally:
            os.close(fd)
