"""The daemon's own key: made once, the same for all, known to nobody else."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pypicache.errors import StoreError
from pypicache.store.key import own_key, read_key
from tests.nobody import as_nobody, open_folder


def test_it_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    assert read_key(tmp_path) is None
    key = own_key(tmp_path)
    assert (len(key), own_key(tmp_path), read_key(tmp_path)) == (32, key, key)
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_processes_that_start_together_have_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(own_key, [tmp_path] * 40))) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


@pytest.mark.parametrize("damage", [b"", b"short", b"x" * 33])
def test_what_is_no_key_is_replaced(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "key").write_bytes(damage)
    (tmp_path / "key").chmod(0o600)
    assert len(own_key(tmp_path)) == 32


def test_one_that_others_could_know_is_none() -> None:
    with open_folder() as folder:
        (folder / "key").write_bytes(b"x" * 32)
        (folder / "key").chmod(0o644)
        assert read_key(folder) is None
        if os.geteuid() == 0:
            os.chown(folder / "key", 65534, 65534)
        assert as_nobody(lambda: read_key(folder)) == "None"


def test_a_link_is_no_key(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"x" * 32)
    (tmp_path / "key").symlink_to(tmp_path / "elsewhere")
    assert own_key(tmp_path) != b"x" * 32
    assert (tmp_path / "elsewhere").read_bytes() == b"x" * 32


def test_a_folder_stands_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "key").mkdir()
    with pytest.raises(StoreError):
        own_key(tmp_path)
