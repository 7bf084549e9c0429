"""The logs of a serving process: both written by one sink, as configured, and as a reload configures them anew.

It opens the log file again when it is told to (SIGUSR1), and when the configuration names another one. What the
lines look like is decided in `lines` and `web.access`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pypicache import lines
from pypicache.config import schema
from pypicache.errors import PypicacheError
from pypicache.sink import Sink
from pypicache.web.access import AccessLog

log = logging.getLogger(__name__)


def open_log(settings: schema.Log) -> Sink:
    """The log, before there is an event loop: every line is written at once. Raises PypicacheError."""
    sink = Sink()
    lines.setup(settings, sink)
    if settings.file is not None:
        try:
            sink.direct(settings.file)
        except OSError as error:
            raise PypicacheError(f"log.file: {settings.file} can't be opened: {error.strerror}") from error
    return sink


class Logs:
    """The log and the access log while the loop runs. The file is opened again whenever `again` is set."""

    def __init__(self, settings: schema.Log, sink: Sink, again: asyncio.Event) -> None:
        self._settings = settings
        self._sink = sink
        self._again = again
        self.access = AccessLog(sink.write, settings, journal=lines.in_journal(settings))

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """A thread writes meanwhile; leaving waits a moment for the last lines."""
        with self._sink.threaded():
            async with self.access:
                yield

    def follow(self, config: schema.Config) -> None:
        """Log as that configuration says, soon."""
        if config.log != self._settings:
            self._settings = config.log
            self._again.set()

    async def keep(self) -> None:
        """Do so whenever that is due, until cancelled."""
        while True:
            await self._again.wait()
            self._again.clear()
            await self.reopen()

    async def reopen(self) -> None:
        """Open the file again, and take the form that is configured by now."""
        settings = self._settings
        self.access.flush()
        try:
            await asyncio.to_thread(self._sink.direct, settings.file)
        except OSError as error:
            log.error("log.file: %s can't be opened: %s", settings.file, error.strerror)  # noqa: TRY400 - the reason is all there is to it
        lines.setup(settings, self._sink)
        self.access.configure(settings, journal=lines.in_journal(settings))
