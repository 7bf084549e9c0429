"""Whether the cache directory can be used: found out by trying it."""

from __future__ import annotations

import asyncio
import errno
import os
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest

from pypicache.store import condition
from pypicache.store.condition import Condition, find_out
from tests.clock import ManualClock


def test_a_good_directory_is_left_as_it_was(tmp_path: Path) -> None:
    found = find_out(tmp_path)
    assert found.unusable is None
    assert found.free is not None
    assert found.total is not None
    assert 0 < found.free <= found.total
    assert not list(tmp_path.iterdir())


def test_a_directory_that_has_gone(tmp_path: Path) -> None:
    found = find_out(tmp_path / "gone")
    assert found.unusable == "the cache directory can't be written to: No such file or directory"
    assert (found.free, found.total) == (None, None)


@pytest.mark.parametrize(
    ("number", "usable"),
    [(errno.EROFS, False), (errno.EIO, False), (errno.ENOSPC, True), (errno.EDQUOT, True)],
)
def test_a_full_disk_is_no_reason_to_turn_clients_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, usable: bool
) -> None:
    """Files are streamed past it; what can't be written for another reason is broken."""

    def fails(**_: Any) -> Any:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(tempfile, "TemporaryFile", fails)
    found = find_out(tmp_path)
    assert (found.unusable is None) is usable
    assert str(tmp_path) not in (found.unusable or "")


async def test_a_disk_that_hangs_holds_nobody_up_and_is_asked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, asked = threading.Event(), []

    def hangs(root: Path, _: object) -> condition.Found:
        asked.append(root)
        gate.wait(20)
        return condition.Found(None, 1, 2)

    monkeypatch.setattr(condition, "find_out", hangs)
    async with Condition(tmp_path, patience=0.05) as looked:
        first, second = await asyncio.gather(looked.look(), looked.look())
        assert first.unusable == second.unusable == "the cache directory doesn't answer"
        gate.set()
        while (await looked.look()).unusable is not None:
            pass
    assert asked == [tmp_path]


async def test_it_is_asked_once_a_second(tmp_path: Path, clock: ManualClock) -> None:
    root = tmp_path / "cache"
    root.mkdir()
    async with Condition(root, clock=clock) as looked:
        assert (await looked.look()).unusable is None
        root.rmdir()
        assert (await looked.look()).unusable is None
        clock.advance(2)
        assert (await looked.look()).unusable is not None
