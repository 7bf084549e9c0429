"""Reserving space, and what is done where it can't be."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pypicache.store.reserve import reserve


@pytest.fixture(params=["a file", "a device, which can't reserve"])
def descriptor(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[int]:
    path = tmp_path / "file" if request.param == "a file" else Path("/dev/null")
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    yield fd
    os.close(fd)


def test_the_size_stays(descriptor: int) -> None:
    reserve(descriptor, 4096)
    assert os.fstat(descriptor).st_size == 0


def test_more_than_there_is(descriptor: int) -> None:
    with pytest.raises(OSError, match=r".") as caught:
        reserve(descriptor, 1 << 62)
    assert caught.value.errno in {errno.ENOSPC, errno.EFBIG}
