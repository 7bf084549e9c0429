"""What is written down once a file or sidecar is there: the record that its link needs, and what its page didn't say.

Writing is nobody's wait: it goes on behind the answer, and `flush` lets it end before all ends. It decides nothing
about what is served.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from pypicache.index.content import Content
from pypicache.index.facts import Facts, missing
from pypicache.index.locate import sidecar_of
from pypicache.index.tasks import Tasks
from pypicache.simple.model import File, ProjectName
from pypicache.store.linkrecord import LinkRecord, State
from pypicache.store.links import LinkStore

log = logging.getLogger(__name__)

PATIENCE = 2.0
"""Seconds that a disk which hangs may hold up the end."""


class Notes:
    """The notes of the index called `index`. Its work belongs to `tasks`; `clock` gives seconds since the epoch."""

    def __init__(
        self,
        *,
        index: str,
        links: LinkStore,
        facts: Facts,
        tasks: Tasks,
        clock: Callable[[], float],
    ) -> None:
        self._index = index
        self._links = links
        self._facts = facts
        self._learning: set[asyncio.Task[None]] = set()
        self._tasks = tasks
        self._clock = clock
        self._keeping: dict[LinkRecord, asyncio.Future[State]] = {}
        self._unwritten: dict[str, LinkRecord] = {}

    def record(self, path: tuple[str, ...]) -> LinkRecord | None:
        """What is remembered of the link: also what isn't on the disk yet, or a file just fetched would be fetched again."""
        key = "/".join(path)
        return self._unwritten.get(key) or self._links.get(self._index, key)

    def remember(
        self,
        path: tuple[str, ...],
        project: ProjectName,
        origin: str,
        listed: File,
        sha256: str | None,
        size: int | None,
        *,
        sidecar: bool,
    ) -> None:
        """Note that the listed file (or its `sidecar`) is stored under that digest."""
        file = sidecar_of(listed) if sidecar else listed
        record = LinkRecord(
            index=self._index,
            project=project,
            path="/".join(path),
            filename=file.filename,
            url=file.url,
            origin=origin,
            sha256=sha256,
            size=size,
            digests=file.hashes,
            stored_at=self._clock(),
        )
        self._unwritten[record.path] = record
        if sidecar or not (unsaid := missing(listed, sha256, size)):
            self.keep(record)
        else:
            self._start(self._learn(record, project, listed, unsaid), file.filename)

    def remember_when_done(
        self,
        task: asyncio.Task[str],
        path: tuple[str, ...],
        project: ProjectName,
        origin: str,
        listed: File,
        content: Content,
        *,
        sidecar: bool,
    ) -> None:
        """The same, once the download has ended well; `task` is the library's."""

        def done(task: asyncio.Task[str]) -> None:
            if not task.cancelled() and task.exception() is None:
                with contextlib.suppress(asyncio.CancelledError):  # all ends
                    self.remember(path, project, origin, listed, task.result(), content.size, sidecar=sidecar)

        task.add_done_callback(done)

    async def _learn(
        self, record: LinkRecord, project: ProjectName, listed: File, unsaid: Mapping[str, str | int]
    ) -> None:
        """Note what the page doesn't say before the record, which is believed to speak of a known file."""
        try:
            await self._facts.learn(project, listed, **unsaid)
        except BaseException:
            self._forget(record)
            raise
        self.keep(record)
        await asyncio.shield(self._keeping[record])

    def keep(self, record: LinkRecord) -> None:
        """Write the record behind, unless the same one is being written."""
        if record not in self._keeping:
            future = self._keeping[record] = self._links.put_behind(record)
            future.add_done_callback(functools.partial(self._kept, record))

    def _kept(self, record: LinkRecord, future: asyncio.Future[State]) -> None:
        del self._keeping[record]
        self._forget(record)
        if not future.cancelled() and (error := future.exception()) is not None:
            log.debug("the record of %s: %s", record.filename, error)

    def _forget(self, record: LinkRecord) -> None:
        if self._unwritten.get(record.path) == record:
            del self._unwritten[record.path]

    async def flush(self) -> None:
        """Wait until what there is to note is noted: the next process wants it, and it is little. `PATIENCE` at most."""
        under_way: set[asyncio.Future[Any]] = {*self._learning, *self._keeping.values()}
        if under_way:
            self._links.hurry()
            await asyncio.wait(under_way, timeout=PATIENCE)

    def _start(self, work: Coroutine[object, object, None], filename: str) -> asyncio.Task[None]:
        task = self._tasks.start(work, name=f"record of {filename}")
        self._learning.add(task)
        task.add_done_callback(self._learning.discard)
        return task
