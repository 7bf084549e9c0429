"""The processes that a process started: found while it runs, and ended when it has left them behind."""

from __future__ import annotations

from collections.abc import Iterable

import psutil

from tests.waiting import until


def descendants(pid: int) -> list[psutil.Process]:
    """Its children, theirs included; none when it isn't there any more."""
    try:
        return list(psutil.Process(pid).children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def kill(processes: Iterable[psutil.Process]) -> None:
    """End them at once, those that still run."""
    for process in processes:
        if process.is_running():
            process.kill()


def wait(processes: Iterable[psutil.Process], timeout: float) -> None:
    """Wait until none of them runs."""
    until(lambda: not any(map(lives, processes)), timeout)


def lives(process: psutil.Process) -> bool:
    """Whether it runs. One that has ended may wait a second or two until whoever has inherited it takes notice."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
