"""Reads that don't hold up the loop: the right bytes, whichever way they come."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pypicache.web import pagecache
from tests.wheels import padding

DATA = padding(3_000_000, seed="pages")


@pytest.fixture
def disk() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as threads:
        yield threads


@pytest.fixture
def fd(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "file").write_bytes(DATA)
    fd = os.open(tmp_path / "file", os.O_RDWR)
    yield fd
    os.close(fd)


tells = pytest.mark.skipif(not hasattr(os, "RWF_NOWAIT"), reason="only Linux can tell")


@tells
async def test_what_was_just_written_is_read_at_once(fd: int) -> None:
    disk = ThreadPoolExecutor(1)
    disk.shutdown()  # a hop to a thread would raise
    assert await pagecache.read(fd, 10, 300_000, disk) == DATA[10:300_010]
    await pagecache.load(fd, 0, len(DATA), disk)


@tells
async def test_what_is_not_in_memory_is_read_in_a_thread(fd: int, disk: ThreadPoolExecutor) -> None:
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    assert await pagecache.read(fd, 10, 300_000, disk) == DATA[10:300_010]
    await pagecache.load(fd, 0, len(DATA), disk)
    found = pagecache.read_in_memory(fd, 2_000_000, 100)
    assert found is not None
    assert bytes(found) == DATA[2_000_000:2_000_100]


async def test_where_nobody_can_tell_a_thread_reads(
    fd: int, disk: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pagecache, "_NOWAIT", None)
    assert pagecache.read_in_memory(fd, 0, 1) is None
    assert await pagecache.read(fd, 10, 300_000, disk) == DATA[10:300_010]
    await pagecache.load(fd, 0, len(DATA), disk)


async def test_the_end_of_the_file_shows(fd: int, disk: ThreadPoolExecutor) -> None:
    assert await pagecache.read(fd, len(DATA) - 5, 10, disk) == DATA[-5:]
    assert await pagecache.read(fd, len(DATA), 10, disk) == b""
    await pagecache.load(fd, len(DATA) - 5, len(DATA) + 5, disk)
