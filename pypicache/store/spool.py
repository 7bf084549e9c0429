"""A file that is arriving, by its descriptor.

The disk and the memory store differ only in where such a file comes from and how its name goes away;
everything between is here.

A spool's own state is touched on the event loop only, except for the running hash, which the writing
threads share under a lock. Its descriptor is closed once, after the last thread that uses it has
ended: a number closed under a running pwritev would be another file's by the time it writes.

::

    filling --publish or discard--> closing --last thread ended--> closed

It may not know of paths, names or locks beyond what it is given to call.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import threading
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from pypicache.errors import IntegrityError, StoreError
from pypicache.rules import pieces
from pypicache.rules.pieces import Spans
from pypicache.store import journal
from pypicache.store.files import hash_into, store_error, write_at
from pypicache.store.reserve import reserve
from pypicache.store.threads import Threads

T = TypeVar("T")

CATCH_UP = 4 << 20
"""Bytes that one write may hash of what lies beyond it: a bound on how long it takes."""


class Booking(Protocol):
    """Where space is booked before it is used (`room.Room`)."""

    def take(self, size: int) -> None:
        """Book so many bytes. Raises StoreFull."""
        ...

    def give(self, size: int) -> None:
        """Give so many bytes back."""
        ...


class FileSpool:
    """Implements `blobs.Spool` over an open file, which it owns from here on.

    `remove` takes the file's name away, if it still is this file's, given the descriptor; `set_aside` moves it to
    where damage is kept; both are called in a thread. `closed` is called on the event loop when the descriptor has
    been closed. `journal` is the descriptor of its journal, if it has one, and `held` what that says is there.
    `room` books the space, of which `booked` is booked already.
    """

    def __init__(
        self,
        *,
        key: str,
        size: int | None,
        fd: int,
        threads: Threads,
        remove: Callable[[int], None],
        closed: Callable[[], object],
        set_aside: Callable[[int], None] | None = None,
        journal: int = -1,
        held: Spans = (),
        reserves: bool = True,
        room: Booking | None = None,
        booked: int = 0,
    ) -> None:
        self.key = key
        self.size = size
        self._fd = fd
        self._threads = threads
        self._remove = remove
        self._set_aside = set_aside or remove
        self._on_closed = closed
        self._journal = journal
        self._reserves = reserves
        self._room = room
        self._booked = booked
        self._jobs = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._closing = False
        self._lock = threading.Lock()
        self._hash = hashlib.sha256()
        self._hashed = 0  # the running hash covers bytes [0, _hashed)
        self._held = held
        self.data = None

    @property
    def held(self) -> Spans:
        """The spans of bytes that are there: half-open, sorted, apart."""
        return self._held

    @property
    def end(self) -> int:
        """Where the last byte that was written ends."""
        return self._held[-1][1] if self._held else 0

    def fileno(self) -> int:
        """The descriptor, for pread, sendfile and dup. Raises ValueError when closed."""
        if self._closing:
            raise ValueError("the spool is closed")
        return self._fd

    async def write(self, offset: int, buffers: Sequence[bytes]) -> None:
        """Put these bytes there: one hop to a thread, which hashes too. Raises StoreFull or StoreError."""
        await self.run(lambda: self._write(offset, tuple(buffers)))

    async def idle(self) -> None:
        """Wait until no thread works on it, for those whose callers were cancelled too."""
        await self._idle.wait()

    async def digest(self, algorithm: str) -> str:
        """The hexadecimal digest of bytes [0, end). Raises StoreError, also for an algorithm that isn't known."""
        await self.idle()
        return await self.run(lambda: self._digest(algorithm))

    async def reset(self, size: int | None) -> None:
        """Forget all bytes and start again, with room for `size`. Raises StoreFull or StoreError."""
        await self.idle()  # a write whose caller was cancelled must not land after this
        self.size = size
        await self.run(self.start_over)

    async def expect(self, size: int) -> None:
        """The whole size has become known: have room for it. Raises StoreFull or StoreError."""
        self.size = size
        await self.run(self.go_on)

    async def discard(self) -> None:
        """Remove it; readers that duplicated the descriptor can read on. More than once is fine."""
        await self._end_with(self._remove)

    async def reject(self) -> None:
        """Set the bytes aside as evidence; readers that duplicated the descriptor can read on. More than once is fine."""
        await self._end_with(self._set_aside)

    async def _end_with(self, what: Callable[[int], None]) -> None:
        if self._closing:
            return
        try:
            await self.run(lambda: self._take_away(what))
        except OSError as error:
            raise store_error("the cache can't remove a partial file", error) from error
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the descriptor and its lock as soon as no thread uses them; the name stays."""
        if self._closing:
            return
        self._closing = True
        if not self._jobs:
            self._close_now()

    async def run(self, work: Callable[[], T], *, undo: Callable[[T], object] | None = None) -> T:
        """Do it in a thread, with the descriptor kept open meanwhile. Raises StoreError when closed."""
        if self._closing:
            raise StoreError("the spool is closed")
        self._jobs += 1
        self._idle.clear()
        return await self._threads.run(work, undo=undo, ended=self._ended)

    def _ended(self) -> None:
        self._jobs -= 1
        if not self._jobs:
            self._idle.set()
            if self._closing:
                self._close_now()

    def _close_now(self) -> None:
        # A reader's duplicate shares the lock, so it wouldn't fall with this descriptor: it is given up by name.
        try:
            fcntl.flock(self._fd, fcntl.LOCK_UN)
        finally:
            os.close(self._fd)
            if self._journal >= 0:
                os.close(self._journal)
            self._on_closed()

    # In a thread, from here on.

    def start_over(self) -> None:
        """Empty the file and reserve its space; blocking. Raises StoreFull or StoreError."""
        try:
            # First the journal: it must never claim what isn't there.
            self._note(())
            os.ftruncate(self._fd, 0)
            with self._lock:
                self._hash, self._hashed, self._held = hashlib.sha256(), 0, ()
                self._book(self.size or 0)
            if self.size and self._reserves:
                reserve(self._fd, self.size)
        except OSError as error:
            raise store_error("the cache has no room for a download", error) from error

    def go_on(self) -> None:
        """Reserve the space for what is missing of a file that has begun; blocking. Raises StoreFull or StoreError."""
        try:
            with self._lock:
                self._book(max(self.size or 0, self._booked))
                self._note(self._held)
            if self.size and self._reserves:
                reserve(self._fd, self.size)
        except OSError as error:
            raise store_error("the cache has no room for a download", error) from error

    def _book(self, size: int) -> None:
        """Have just that many bytes booked. Raises StoreFull."""
        if self._room is not None:
            if size > self._booked:
                self._room.take(size - self._booked)
            else:
                self._room.give(self._booked - size)
        self._booked = size

    @property
    def booked(self) -> int:
        """How many bytes are booked for it."""
        return self._booked

    def published(self) -> None:
        """What was booked for it is the blob's now."""
        self._booked = 0

    def _take_away(self, what: Callable[[int], None]) -> None:
        what(self._fd)
        with self._lock:
            self._book(0)

    def _write(self, offset: int, buffers: Sequence[bytes]) -> None:
        size = sum(map(len, buffers))
        end = offset + size if size else 0
        with self._lock:
            if offset < self._hashed:  # bytes that were hashed are about to change
                self._hash, self._hashed = hashlib.sha256(), 0
            if end > self._booked:
                self._book(end)
        try:
            length = write_at(self._fd, offset, buffers)
            with self._lock:
                if offset < self._hashed:  # they were, by another thread, while these were written
                    self._hash, self._hashed = hashlib.sha256(), 0
                self._held = pieces.add(self._held, (offset, offset + length))
                self._note(self._held)
                if offset == self._hashed:
                    for buffer in buffers:
                        self._hash.update(buffer)
                    self._hashed += length
                # Pieces that came before their turn are hashed when the front reaches them, a few at a time.
                front = min(pieces.mark(self._held), self._hashed + CATCH_UP)
                hash_into(self._hash, self._fd, self._hashed, front)
                self._hashed = max(self._hashed, front)
        except OSError as error:
            raise store_error("the cache can't write a download", error) from error

    def _note(self, held: Spans) -> None:
        if self._journal >= 0:
            journal.write(self._journal, journal.Entry(self.size, held))

    def _digest(self, algorithm: str) -> str:
        try:
            if algorithm == "sha256":
                with self._lock:  # what arrived out of order is caught up with
                    running = self._hash.copy()
                    hash_into(running, self._fd, self._hashed, self.end)
                    self._hash, self._hashed = running, self.end
                    return running.hexdigest()
            hasher = hashlib.new(algorithm, usedforsecurity=False)
            hash_into(hasher, self._fd, 0, self.end)
            return hasher.hexdigest()
        except OSError as error:
            raise store_error("the cache can't read a download back", error) from error
        except (ValueError, TypeError) as error:
            raise StoreError(f"no digest by {algorithm!r}") from error

    def settle(self, sha256: str) -> None:
        """Make the file exactly its bytes, and refuse what is known not to be `sha256`; blocking.

        The caller of publish has verified it; this costs nothing and catches the caller that has not.
        """
        whole = ((0, self.end),) if self.end else ()
        if self._held != whole or (self.size is not None and self.end != self.size):
            raise IntegrityError(
                "a download", expected=f"{self.size} bytes", got=f"{self.end}, with {self._held}"
            )
        with self._lock:
            if self._hashed == self.end and (got := self._hash.hexdigest()) != sha256:
                raise IntegrityError("a download", expected=sha256, got=got)
        os.ftruncate(self._fd, self.end)  # gives back what was reserved beyond the end
