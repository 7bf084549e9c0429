"""Where the lines of the log go: standard error, or a file. Whoever writes a line never waits for it to be written.

A disk that hangs, a full one or a pipe that nobody reads would otherwise hold up the event loop. So a thread writes; what
waits for it is bounded, and what there was no room for, or what couldn't be written, is counted and told once
writing works again. It knows nothing of what a line says, and imports nothing of the package.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger(__name__)

ROOM = 4 << 20
"""Characters that may wait to be written."""

PATIENCE = 2.0
"""Seconds that the end waits for the last lines to be written."""

_STDERR = 2


class Sink:
    """Takes lines. Until `threaded`, and after it, they are written at once."""

    def __init__(self, *, room: int = ROOM) -> None:
        self._room = room
        self._fd = _STDERR
        self._path: Path | None = None
        self._waiting: list[str] = []
        self._size = 0
        self._lost = 0
        self._why = ""
        self._writing = threading.Lock()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._ended = False

    def direct(self, path: Path | None) -> None:
        """Write to that file from now on, None: to standard error. The same file is opened again. Blocking; raises OSError."""
        fd = _STDERR
        if path is not None:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        with self._writing:
            self._write_waiting()  # where they were meant for
            before, self._fd, self._path = self._fd, fd, path
        if before != _STDERR:
            os.close(before)

    def reopen(self) -> None:
        """Open the file again, which has been renamed, most likely. Blocking; raises OSError, and then goes on with the old one."""
        self.direct(self._path)

    def write(self, text: str) -> None:
        """Have it written: whole lines. It neither waits nor raises."""
        with self._changed:
            if self._thread is not None:
                if self._size + len(text) > self._room:
                    self._lose(text, "they came faster than they could be written")
                else:
                    if not self._waiting:  # else the thread knows already
                        self._changed.notify()
                    self._waiting.append(text)
                    self._size += len(text)
                return
        with self._writing:
            self._put(text)

    @contextmanager
    def threaded(self) -> Iterator[None]:
        """Have a thread write meanwhile. Leaving waits a moment for what it has left to write."""
        thread = threading.Thread(target=self._run, name="log", daemon=True)
        with self._changed:
            self._thread, self._ended = thread, False
        thread.start()
        try:
            yield
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify()
            thread.join(PATIENCE)
            if not thread.is_alive():
                self._thread = None

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._ended)
                if not self._waiting:
                    return
            with self._writing:
                fine = self._write_waiting()
            if fine:
                self._tell()

    def _write_waiting(self) -> bool:
        """Write what waits; whether it could be written. `_writing` is held."""
        with self._changed:
            text, self._waiting, self._size = "".join(self._waiting), [], 0
        return self._put(text)

    def _put(self, text: str) -> bool:
        data = memoryview(text.encode("utf-8", "backslashreplace"))
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError as error:
            self._lose(text, error.strerror or str(error))
            return False
        return True

    def _lose(self, text: str, why: str) -> None:
        self._lost += text.count("\n")
        self._why = why

    def _tell(self) -> None:
        """Tell of what was lost, now that writing works."""
        if self._lost:
            lost, self._lost = self._lost, 0
            log.warning("%d lines of the log were lost: %s", lost, self._why)
