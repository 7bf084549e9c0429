"""Blobs for a proxy to read: their modes and group, in a new cache and in one that is there."""

from __future__ import annotations

import grp
import os
from pathlib import Path

import pytest

from pypicache.errors import StoreError
from pypicache.store.disk import DiskBlobStore
from tests.store.conftest import mode_of
from tests.store.test_disk import place, publish


def shared_group() -> grp.struct_group:
    """A group of this process; another than its own, if it may choose."""
    groups = (group for group in grp.getgrall() if group.gr_gid != os.getegid())
    return next(groups) if os.geteuid() == 0 else grp.getgrgid(os.getegid())


GROUP = shared_group()


def access(root: Path, sha256: str) -> list[tuple[int, bool]]:
    """Modes from the cache directory down to the blob, each with whether the group has it."""
    blob = place(root, sha256)
    paths = [root, root / "blobs", root / "blobs" / "sha256", blob.parent.parent, blob.parent, blob]
    return [(mode_of(path), path.stat().st_gid == GROUP.gr_gid) for path in paths]


SHARED = [(0o710, True), (0o710, True), (0o750, True), (0o750, True), (0o750, True), (0o640, True)]


@pytest.mark.parametrize("umask", [0o077, 0o000])
async def test_a_group_may_read_blobs_and_nothing_else(tmp_path: Path, umask: int) -> None:
    root, before = tmp_path / "cache", os.umask(umask)
    try:
        async with DiskBlobStore(root, group=GROUP.gr_name) as store:
            sha256 = await publish(store)
    finally:
        os.umask(before)
    assert access(root, sha256) == SHARED
    assert {mode_of(root / name) for name in ("spool", "quarantine")} == {0o700}
    assert mode_of(root / "format") == 0o600


async def test_a_cache_that_is_there_is_shared_once(tmp_path: Path) -> None:
    """Shared, withdrawn, and shared again: whatever was published meanwhile is as it should be."""
    root = tmp_path / "cache"
    async with DiskBlobStore(root) as store:
        first = await publish(store)
        assert [mode for mode, _ in access(root, first)] == [0o700] * 5 + [0o600]
    async with DiskBlobStore(root, group=GROUP.gr_name):
        assert access(root, first) == SHARED
    place(root, first).chmod(0o600)
    async with DiskBlobStore(root, group=GROUP.gr_name):
        assert mode_of(place(root, first)) == 0o600, "the second start has no need to look"
    async with DiskBlobStore(root) as store:
        assert mode_of(root / "blobs" / "sha256") == 0o700
        second = await publish(store, b"published while it wasn't shared")
        assert mode_of(place(root, second)) == 0o600
    async with DiskBlobStore(root, group=GROUP.gr_name):
        assert access(root, first) == access(root, second) == SHARED


async def test_a_group_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"server\.accel_group: this system has no group no-such-group"):
        async with DiskBlobStore(tmp_path / "cache", group="no-such-group"):
            pass


async def test_a_group_that_is_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "cache"
    async with DiskBlobStore(root):
        pass
    for name, answer in {"getegid": -1, "getgroups": ()}.items():
        monkeypatch.setattr(os, name, lambda answer=answer: answer)
    own = os.geteuid()
    # Whoever isn't root; the directory is looked at with the same number.
    monkeypatch.setattr(os, "geteuid", lambda: own or 1)
    if own == 0:
        os.chown(root, 1, -1)
        for name in ("blobs", "blobs/sha256", "spool", "quarantine"):
            os.chown(root / name, 1, -1)
    with pytest.raises(StoreError, match=rf"isn't in the group {GROUP.gr_name}.*add its user to the group"):
        async with DiskBlobStore(root, group=GROUP.gr_name):
            pass
