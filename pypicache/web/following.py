"""What the client will want next, fetched ahead: pages after metadata (`index.ahead`), wheels after the first of them (`index.together`)."""

from __future__ import annotations

import gzip
from collections.abc import Collection, Sequence
from concurrent.futures import Executor

from aiohttp import web

from pypicache.index.ahead import WORTH_READING, Ahead
from pypicache.index.locate import SIDECAR
from pypicache.index.serving import Opened, Serving
from pypicache.web.address import Network
from pypicache.web.record import client_of
from pypicache.web.sender import read_small


class Following:
    """Sees what goes out of files. `dependencies` and `wheels` name the indexes where these are wanted; `trusted` proxies say who their clients are."""

    def __init__(
        self,
        ahead: Ahead,
        *,
        dependencies: Collection[str],
        wheels: Collection[str],
        trusted: Sequence[Network],
        disk: Executor,
    ) -> None:
        self._ahead = ahead
        self._dependencies = dependencies
        self._wheels = wheels
        self._trusted = trusted
        self._disk = disk
        self.awaited = ahead.awaited
        """Entered while a client waits for metadata: see `Ahead.awaited`."""

    async def metadata(
        self,
        request: web.BaseRequest,
        index: Serving,
        path: tuple[str, ...],
        opened: Opened,
        answer: web.Response,
    ) -> None:
        """A wheel's metadata go out. What was read for the answer isn't read again."""
        if opened.wheel is not None and index.name in self._wheels:
            wheel = (*path[:-1], path[-1].removesuffix(SIDECAR))
            self._ahead.wheels.given(client_of(request, self._trusted), index, wheel, opened.wheel)
        sha256, size = opened.content.sha256, opened.content.size
        if index.name not in self._dependencies or sha256 is None or size is None or size > WORTH_READING:
            return
        if self._ahead.due(index.name, sha256):
            self._ahead.fetch(index, await self._read(opened, size, answer))

    def file(self, request: web.BaseRequest, index: Serving, path: tuple[str, ...]) -> None:
        """A client has come for a file."""
        if index.name in self._wheels:
            self._ahead.wheels.asked(client_of(request, self._trusted), index, path)

    async def _read(self, opened: Opened, size: int, answer: web.Response) -> bytes:
        body = bytes(answer.body) if isinstance(answer.body, bytes | bytearray) else b""
        if not body:  # the client has it already
            return bytes(await read_small(opened.content, 0, size, self._disk))
        return gzip.decompress(body) if "Content-Encoding" in answer.headers else body
