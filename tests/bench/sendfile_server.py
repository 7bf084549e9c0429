"""The peer that the file benchmark compares with: the event loop's own sendfile, and nothing else.

`python -m tests.bench.sendfile_server FILE` serves that file at every path, over connections that stay open, and
prints its port. It parses as little of HTTP as a benchmark's client needs.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path


class Server(asyncio.Protocol):
    """One connection: a request's head is read, the file goes out, and so on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._size = path.stat().st_size
        self._head = b""
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._head += data
        if self._head.endswith(b"\r\n\r\n"):
            self._head = b""
            self._task = asyncio.get_running_loop().create_task(self._send())

    async def _send(self) -> None:
        self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % self._size)
        with self._path.open("rb") as file:
            await asyncio.get_running_loop().sendfile(self._transport, file, 0, self._size, fallback=False)


async def main(path: Path) -> None:
    """Serve for ever."""
    server = await asyncio.get_running_loop().create_server(lambda: Server(path), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
