"""What a file link needs, kept beside the blobs and outliving the page: one small file for each link.

A page may go (a mirror forgets it, the page store is set aside) and a client still holds a link from a lock
file. The record that the link leads to says which blob it was, of which index and file, and what was last
thought of it, so that a stored file is served even then (contract.md section 3).

A record is at `links/abc/<name>-<path>`: half a SHA-256 of (index, file name), then half a SHA-256 of
(index, path), both with lengths before the parts, so that no two can run together; `abc` are the first digits.
So all links to one file name of one index are in one directory of at most a few hundred entries, and
`by_filename`, which devpi's `+f` links need, is one listing of it and no second index that could disagree.

Records carry a checksum and repeat their key; one that is damaged or stands in a wrong place is removed and
counts as absent. The memory before them is checked by a stat on each use: another process may have
written. It judges nothing. It may not import anything of the package but errors, events, its own folder
and `simple.model` for digests.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import os
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from pypicache.errors import StoreError
from pypicache.events import Observer
from pypicache.store.files import (
    entries,
    make_directories,
    private_directory,
    replace_file,
    store_error,
)
from pypicache.store.linkrecord import (
    MAX_RECORD,
    LinkRecord,
    State,
    dump,
    half,
    parse,
    place_of,
    read,
    read_record,
    state_of,
)
from pypicache.store.root import prepare_root
from pypicache.store.threads import Batches, Threads
from pypicache.store.trouble import Trouble
from pypicache.store.usage import Usage

QUIET = 0.25
"""Seconds without a new record after which those that came are written (see `Batches`). What a kill loses so is what tells a link
from another: a stored file is found again by the digest that its page gives, and without one it is fetched again."""

PATIENCE = 2.0
"""Seconds that a disk which hangs may hold up the end."""

_STALE = 60.0


class LinkStore:
    """Link records below `root/links`. Use as an async context manager.

    `remember` is how many records are held in memory. `now` gives seconds since the epoch. `usage` is told what
    records weigh; one that isn't open is told in vain. `shared`: other processes look for them, so none is put off.
    """

    def __init__(
        self,
        root: Path,
        *,
        remember: int = 4096,
        observe: Observer | None = None,
        now: Callable[[], float] = time.time,
        usage: Usage | None = None,
        shared: bool = False,
    ) -> None:
        self._root = root
        self._usage = usage or Usage(root / "usage")
        self._links = root / "links"
        self._temporary = root / "links" / "tmp"
        self._remember = remember
        self._now = now
        self._trouble = Trouble("links", observe=observe)
        self._threads = Threads(count=1, name="links")
        self._writes = Batches(self._threads, quiet=0.0 if shared else QUIET)
        self._memory: OrderedDict[tuple[str, str], tuple[State, LinkRecord]] = OrderedDict()
        self._numbers = itertools.count()

    async def __aenter__(self) -> Self:
        try:
            await self._threads.run(self._start)
        except BaseException:
            await self._threads.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with contextlib.suppress(StoreError, TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    await self.settle()
        finally:
            await self._threads.close()

    def hurry(self) -> None:
        """Write at once what waits for it to become quiet."""
        self._writes.hurry()

    async def settle(self) -> None:
        """Have all of it on the disk: somebody is about to look there."""
        await self._writes.run(_nothing, now=True)

    def get(self, index: str, path: str) -> LinkRecord | None:
        """The record of that link; None when there is none. On the event loop: one stat, or one small file's read."""
        held, file = self._memory.get((index, path)), self._file(index, path)
        try:
            if held is not None and held[0] == state_of(os.lstat(file)):
                self._memory.move_to_end((index, path))
                return held[1]
            state, data = read(file)
        except FileNotFoundError:
            self._memory.pop((index, path), None)
            return None
        except OSError as error:
            if not Path(file).is_symlink():
                self._trouble.tell("a link record can't be read", error.strerror or "")
                return None
            data = b""
        record = parse(data)
        if record is None or (record.index, record.path) != (index, path):
            self._trouble.tell("a damaged link record was removed", Path(file).name)
            with contextlib.suppress(StoreError):  # in the writer's thread: before whatever is put there next
                self._threads.start(self._delete, Path(file))
            return None
        self._keep(record, state)
        return record

    async def put(self, record: LinkRecord) -> None:
        """Write the record, whole or not at all, in place of what was there. Raises StoreFull or StoreError."""
        write = functools.partial(self._write, record, next(self._numbers))
        self._keep(record, await self._writes.run(write, now=True))

    def put_behind(self, record: LinkRecord) -> asyncio.Future[State]:
        """The same when it is quiet. The future is done when it has been written, or couldn't be."""
        future = self._writes.add(functools.partial(self._write, record, next(self._numbers)))
        future.add_done_callback(functools.partial(self._written, record))
        return future

    def _written(self, record: LinkRecord, future: asyncio.Future[State]) -> None:
        if not future.cancelled() and future.exception() is None:
            self._keep(record, future.result())

    async def delete(self, index: str, path: str) -> bool:
        """Forget the link; whether it was there. Raises StoreError."""
        self._memory.pop((index, path), None)
        delete = functools.partial(self._delete, Path(self._file(index, path)))
        return await self._writes.run(delete, now=True)

    async def by_filename(self, index: str, filename: str) -> tuple[LinkRecord, ...]:
        """Every record of that index whose file has this name, in the order of their paths. Off the loop."""
        prefix = half(index, filename)
        look = functools.partial(_matching, self._links / prefix[:3], prefix)
        found = await self._writes.run(look, now=True)
        records = (r for r in found if (r.index, r.filename) == (index, filename))
        return tuple(sorted(records, key=lambda record: record.path))

    def _file(self, index: str, path: str) -> str:  # a `Path` would take longer to make than to open
        return f"{self._links}/{place_of(index, path)}"

    def _keep(self, record: LinkRecord, state: State) -> None:
        self._memory[record.index, record.path] = (state, record)
        self._memory.move_to_end((record.index, record.path))
        if len(self._memory) > self._remember:
            self._memory.popitem(last=False)

    # In a thread, from here on.

    def _start(self) -> None:
        prepare_root(self._root)
        private_directory(self._links)
        private_directory(self._temporary)
        # A put takes milliseconds, so a temporary file that is older is a dead process's.
        with contextlib.suppress(OSError):
            for path in tuple(self._temporary.iterdir()):
                with contextlib.suppress(OSError):
                    if self._now() - path.lstat().st_mtime > _STALE:
                        path.unlink()

    def _write(self, record: LinkRecord, number: int) -> State:
        data = dump(record)
        if len(data) > MAX_RECORD:
            raise StoreError(f"a link record of {len(data)} bytes is too long to keep")
        file = Path(self._file(record.index, record.path))
        try:
            make_directories(file.parent, self._links)
            with self._usage.locked(link=file.name) as sums:
                before = _size(file)
                replace_file(file, self._temporary / f"{os.getpid()}-{number}", data)
                sums.link(file.name, len(data) - before)
            return state_of(file.lstat())
        except OSError as error:
            raise store_error("the cache can't write a link record", error) from error

    def _delete(self, file: Path) -> bool:
        try:
            with self._usage.locked(link=file.name) as sums:
                size = _size(file)
                file.unlink()
                sums.link(file.name, -size)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise store_error("the cache can't delete a link record", error) from error
        return True


def _nothing() -> None:
    """To be done last."""


def _matching(directory: Path, prefix: str) -> list[LinkRecord]:
    named = (entry.path for entry in entries(directory, depth=1) if entry.name.startswith(prefix))
    return [record for record in map(read_record, named) if record is not None]


def _size(file: Path) -> int:
    """The record's size; 0 when there is none."""
    try:
        return file.lstat().st_size
    except OSError:
        return 0
