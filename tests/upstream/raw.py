"""A server whose answers are bytes, in the test's own loop: for heads and bodies that no HTTP library would send.

`tests.origin` is the whole scripted index; this one knows nothing of indexes, sends what it is told, and keeps
what it was asked.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Literal, Self

from tests.waiting import end_connections, stop_accepting

PRIME = "/prime"
"""Where a client asks for nothing but a connection: it isn't counted as asked, and has an empty answer."""

Then = Literal["keep", "close", "reset", "hang", "repeat"]


@dataclass(frozen=True, slots=True)
class Answer:
    """Bytes, and what happens to the connection after them; `repeat` sends them until the client leaves."""

    data: bytes
    then: Then = "keep"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came: header names in lower case."""

    target: str
    headers: Mapping[str, str]


def reply(
    body: bytes | str = b"",
    status: int = 200,
    then: Then = "keep",
    *,
    length: int | None = None,
    **headers: str,
) -> Answer:
    """An ordinary response; `content_type="text/html"` is a header. `length` is what Content-Length says."""
    body = body.encode() if isinstance(body, str) else body
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else "Odd"
    lines = [f"HTTP/1.1 {status} {phrase}"]
    lines += [f"{name.replace('_', '-').title()}: {value}" for name, value in headers.items()]
    if status not in {204, 304} and "transfer_encoding" not in headers:
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    return Answer("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body, then)


class RawServer:
    """Answers by path; the answers for a path are given in turn, the last one for ever. No answer is a 404."""

    def __init__(self, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        self.connections = 0
        """How many were made."""
        self.used = 0
        """How many of them something was asked on."""
        self.asked: list[Asked] = []
        self._host = host
        self._tls = tls
        self._answers: dict[str, list[Answer]] = {PRIME: [reply()]}
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, self._host, 0, ssl=self._tls)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await stop_accepting(self._server)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await end_connections(self.port)

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        return f"{'https' if self._tls else 'http'}://{self._host}:{self.port}"

    @property
    def simple(self) -> str:
        """Its index's root."""
        return f"{self.url}/simple/"

    @property
    def targets(self) -> list[str]:
        """What was asked for, in order."""
        return [asked.target for asked in self.asked]

    def on(self, target: str, *answers: Answer) -> None:
        """How to answer that target from now on."""
        self._answers[target] = list(answers)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            going = await self._exchange(reader, writer, first=True)
            while going:
                going = await self._exchange(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _exchange(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, first: bool = False
    ) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        self.used += first
        fields = (line.partition(":") for line in head[1:] if line)
        asked = Asked(head[0].split(" ")[1], {name.lower(): value.strip() for name, _, value in fields})
        if asked.target != PRIME:
            self.asked.append(asked)
        answers = self._answers.get(asked.target, [reply(status=404)])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        writer.write(answer.data)
        await writer.drain()
        while answer.then == "repeat":
            writer.write(answer.data)
            await writer.drain()
        if answer.then == "hang":
            await reader.read()
        if answer.then == "reset":
            sock: socket.socket = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if answer.then == "close":
            writer.close()
            await writer.wait_closed()
        return answer.then == "keep"
