"""What a resolver will ask for next, fetched ahead: the pages of what a wheel requires, and the metadata on them.

When a wheel's metadata is served, the pages of the projects that it requires are asked for in the background, as a
client would ask for them: pages that are held and fresh cost nothing, layers decide who may be asked, and the
resolver finds the answer there or on its way. Where a page leaves little to guess (`rules.likely`), the metadata of the wheel
that the resolver will look at there are fetched too, and it goes on with what they require. So the whole
chain is ahead of a resolver by a round trip at each step, and of pip, which asks for one page after the other, by all of them.

A client that asks for many things at once (uv, for fifty) has nobody ahead of it: while more than `CROWD` sidecars are being asked for, nothing is
fetched ahead, which would cost what clients need.

It is polite: a mirror is asked for nothing twice, for no page that nobody requires, and for no wheel (that is `together`). It is bounded:
a sidecar and a project count once in ten minutes, a chain has `DEPTH` steps, so many things are asked for at once, and what is too much
is left to the client. Failures are nobody's: the client that comes for it is told.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from types import TracebackType
from typing import Self

from pypicache.errors import PypicacheError
from pypicache.index.content import Content
from pypicache.index.entry import Page
from pypicache.index.locate import SIDECAR
from pypicache.index.lru import ByteLRU
from pypicache.index.serving import Serving
from pypicache.index.tasks import Tasks
from pypicache.index.together import Together
from pypicache.offload import Offload
from pypicache.rules.likely import likely
from pypicache.simple.links import decode_path
from pypicache.simple.metadata import requires
from pypicache.simple.model import ProjectName

AGAIN = 600.0
"""Seconds for which one sidecar, or one project's page, isn't looked at again."""

AT_ONCE = 24
"""Pages that are asked for at the same time, and as many sidecars: together what one uv asks for, and fewer than a mirror's connections."""

WAITING = 256
"""Projects that are asked for or wait for it; beyond, nothing is fetched ahead."""

DEPTH = 8
"""Steps from what a client asked for; real applications have five or six."""

CROWD = 6
"""Sidecars that clients wait for, beyond which whoever asks is no slower than what is fetched ahead."""

SPECIFIERS = "packaging.specifiers"
"""What `likely` needs and takes 20 ms to import: neither a start waits for it, nor the loop."""

SEEN = 8192
"""Sidecars and projects that are remembered."""

WORTH_READING = 256 << 10
"""Bytes up to which a sidecar is looked at for what it requires."""

WORTH_GUESSING = 512 << 10
"""Bytes of a page up to which a wheel is looked for on it: more takes a thread longer than a round trip."""


class Ahead:
    """Asks for pages and metadata ahead. Use as an async context manager. `clock` is monotonic, in seconds."""

    def __init__(self, *, clock: Callable[[], float], offload: Offload) -> None:
        self._clock = clock
        self._offload = offload
        self._tasks = Tasks()
        self._pages = asyncio.Semaphore(AT_ONCE)
        self._sidecars = asyncio.Semaphore(AT_ONCE)
        self._seen: ByteLRU[tuple[str, str], float] = ByteLRU(SEEN)
        self._asked: set[tuple[str, ProjectName]] = set()
        self._awaited = 0
        self.wheels = Together(clock=clock, tasks=self._tasks)
        """The wheels, of which nothing is fetched before a client comes for one."""

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._tasks.__aexit__(kind, error, trace)

    def due(self, index: str, name: str) -> bool:
        """Whether that sidecar (any name that its bytes have) is worth being looked at; from then on it isn't for a while."""
        seen = self._seen.get((index, name))
        if seen is not None and self._clock() - seen < AGAIN:
            return False
        self._seen.put((index, name), self._clock(), 1)
        return True

    @contextmanager
    def awaited(self) -> Iterator[None]:
        """A client waits for a sidecar, or is being sent one."""
        self._awaited += 1
        try:
            yield
        finally:
            self._awaited -= 1

    def fetch(self, index: Serving, metadata: bytes, *, depth: int = DEPTH) -> None:
        """Have what the core metadata require asked for, in the order in which it stands there; not in a crowd."""
        if self._awaited > CROWD:
            return
        for project, specifier in requires(metadata).items():
            key = index.name, project
            if key in self._asked or len(self._asked) >= WAITING:
                continue
            self._asked.add(key)
            task = self._tasks.start(
                self._project(index, project, specifier, depth), name=f"page of {project}, ahead"
            )
            task.add_done_callback(lambda _, key=key: self._asked.discard(key))  # type: ignore[misc]

    async def _project(self, index: Serving, project: ProjectName, specifier: str, depth: int) -> None:
        try:
            async with self._pages:
                page = await index.page(project)
            if depth > 1 and len(page.data) <= WORTH_GUESSING and self.due(index.name, f"{project} page"):
                async with self._sidecars:
                    await self._metadata(index, page, specifier, depth)
        except (PypicacheError, OSError):
            return

    async def _metadata(self, index: Serving, page: Page, specifier: str, depth: int) -> None:
        """The metadata of the wheel that the page leaves to guess, and what they require."""
        if SPECIFIERS not in sys.modules:
            await asyncio.to_thread(import_module, SPECIFIERS)
        found = await self._offload.run(len(page.data), likely, page.data, specifier)
        path = None if found is None else decode_path(found + SIDECAR)
        if path is None:
            return
        content = (await index.open_file(path, page.project)).content
        try:
            size, sha256 = await content.whole(), content.sha256
            if size <= WORTH_READING and sha256 is not None and self.due(index.name, sha256):
                self.fetch(index, await _read(content, size), depth=depth - 1)
        finally:
            content.close()


async def _read(content: Content, size: int) -> bytes:
    if content.data is not None:
        return content.data
    fd = content.fileno()
    return await (content.read(0, size) if fd is None else asyncio.to_thread(os.pread, fd, size, 0))
