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
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)


class Bar:
    """Shows how far it is. A context manager; takes what `care.progress.Progress` says. `counts` things instead of bytes."""

    def __init__(self, *, counts: bool = False, quiet: bool = False) -> None:
        amounts: tuple[ProgressColumn, ...] = (
            (MofNCompleteColumn(),) if counts else (DownloadColumn(binary_units=True), TransferSpeedColumn())
        )
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            *amounts,
            TimeRemainingColumn(elapsed_when_finished=True),
            console=Console(stderr=True),
            disable=quiet or not sys.stderr.isatty(),
        )
        self._task = self._progress.add_task("", total=None)

    def begin(self, what: str, total: int) -> None:
        """Another stage begins."""
        self._progress.reset(self._task, total=total, description=what)

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
