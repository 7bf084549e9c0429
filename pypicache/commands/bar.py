"""A progress bar for work that takes long: on a terminal only, on standard error, with rate and time left."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text


class _Amount(ProgressColumn):
    """How much is done: things, or bytes with their rate."""

    def __init__(self) -> None:
        super().__init__()
        self._things = MofNCompleteColumn()
        self._bytes = DownloadColumn(binary_units=True)
        self._rate = TransferSpeedColumn()

    def render(self, task: Task) -> Text:
        """As it is now."""
        if task.fields["things"]:
            return self._things.render(task)
        return Text(" ").join((self._bytes.render(task), self._rate.render(task)))


class Bar:
    """Shows how far it is. A context manager; takes what `care.progress.Progress` says. `counts` things instead of bytes."""

    def __init__(self, *, counts: bool = False, quiet: bool = False) -> None:
        self._counts = counts
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            _Amount(),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=Console(stderr=True),
            disable=quiet or not sys.stderr.isatty(),
        )
        self._task = self._progress.add_task("", total=None, things=True)

    def begin(self, what: str, total: int) -> None:
        """Another stage begins; that of pages is of things always."""
        self._progress.reset(
            self._task, total=total, description=what, things=self._counts or what == "pages"
        )

    def step(self, count: int) -> None:
        """So much more is done."""
        self._progress.advance(self._task, count)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
