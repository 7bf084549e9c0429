"""Lists of all projects as files: what counts, and what is left by a crash."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pypicache.errors import StoreError, StoreFull
from pypicache.events import StoreTrouble
from pypicache.store import lists
from pypicache.store.lists import ABANDONED, Draft, ListRecord, ListStore
from tests.fakes import Recorder

INDEX = "root/pypi"


async def publish(store: ListStore, *pieces: bytes, index: str = INDEX) -> ListRecord:
    draft = await store.draft(index)
    for piece in pieces:
        await draft.write({"html": piece, "html.gz": piece[::-1]})
    return await store.publish(draft, checked_at=100.0, count=3, origin="mirror", etag='"x"')


def content(store: ListStore, part: str = "html", index: str = INDEX) -> bytes | None:
    blob = store.open(index, part)
    if blob is None:
        return None
    try:
        return os.pread(blob.fileno(), blob.size + 1, 0)
    finally:
        blob.close()


def files(root: Path) -> list[str]:
    return sorted(
        path.name.partition(".")[2] or path.name for path in (root / "lists").rglob("*") if path.is_file()
    )


async def test_published_list_counts_and_outlives_a_restart(tmp_path: Path) -> None:
    async with ListStore(tmp_path) as store:
        assert (store.held(INDEX), content(store)) == (None, None)
        record = await publish(store, b"one ", b"two")
        assert (content(store), content(store, "html.gz")) == (b"one two", b" enoowt")
        assert content(store, "json") is None
        assert content(store, index="other") is None
    async with ListStore(tmp_path) as store:
        assert store.held(INDEX) == record
        assert content(store) == b"one two"
        blob = store.open(INDEX, "html")
        assert blob is not None
        assert (blob.size, blob.sha256) == (7, record.parts["html"].sha256)
        blob.close()


async def test_next_list_replaces_it_under_readers(tmp_path: Path) -> None:
    """An open part stays what it was; nothing of the old list stays on the disk."""
    async with ListStore(tmp_path) as store:
        await publish(store, b"old")
        old = store.open(INDEX, "html")
        assert old is not None
        await publish(store, b"new!")
        assert content(store) == b"new!"
        assert os.pread(old.fileno(), 10, 0) == b"old"
        old.close()
        assert files(tmp_path) == ["html", "html.gz", "record"]


async def test_draft_never_counts_before_it_is_published(tmp_path: Path) -> None:
    async with ListStore(tmp_path) as store:
        await publish(store, b"old")
        draft = await store.draft(INDEX)
        await draft.write({"html": b"half a l"})
        assert content(store) == b"old"
        await draft.discard()
        await draft.discard()
        assert files(tmp_path) == ["html", "html.gz", "record"]


async def test_what_a_killed_process_left_is_swept_at_a_start(tmp_path: Path) -> None:
    """But not at once: another process might be at it."""
    now = time.time()
    async with ListStore(tmp_path) as store:
        await publish(store, b"old")
        draft = await store.draft(INDEX)
        await draft.write({"html": b"half a l"})
        draft.close()
    async with ListStore(tmp_path, now=lambda: now) as store:
        assert files(tmp_path) == ["html", "html", "html.gz", "record"]
    async with ListStore(tmp_path, now=lambda: now + ABANDONED + 100) as store:
        assert files(tmp_path) == ["html", "html.gz", "record"]
        assert content(store) == b"old"


async def test_another_process_s_list_is_found_when_ours_has_gone(tmp_path: Path) -> None:
    async with ListStore(tmp_path) as ours, ListStore(tmp_path) as theirs:
        await publish(ours, b"ours")
        assert content(theirs) == b"ours"
        await publish(theirs, b"theirs")
        assert content(ours) == b"theirs"


async def test_note_changes_what_is_known_and_not_the_list(tmp_path: Path) -> None:
    async with ListStore(tmp_path) as store:
        record = await publish(store, b"list")
        later = ListRecord(
            **{name: getattr(record, name) for name in record.__struct_fields__} | {"checked_at": 200.0}
        )
        await store.note(later)
        assert store.held(INDEX) == later
    async with ListStore(tmp_path) as store:
        assert store.held(INDEX) == later
        assert content(store) == b"list"


@pytest.mark.parametrize("damage", ["short", "long", "gone", "link", "directory", "record"])
async def test_damaged_list_is_none(tmp_path: Path, damage: str) -> None:
    async with ListStore(tmp_path) as store:
        record = await publish(store, b"list")
    (directory,) = (tmp_path / "lists").iterdir()
    part = directory / f"{record.generation}.html"
    if damage == "record":
        (directory / "record").write_bytes(b"\xff" * 10)
    elif damage in {"short", "long"}:
        part.write_bytes(b"lis" if damage == "short" else b"list!")
    else:
        part.unlink()
        if damage == "link":
            part.symlink_to("/etc/passwd")
        elif damage == "directory":
            part.mkdir()
    told = Recorder()
    async with ListStore(tmp_path, observe=told) as store:
        assert content(store) is None
        assert store.held(INDEX) is None
        await publish(store, b"again")
        assert content(store) == b"again"
    assert bool(told.of(StoreTrouble)) == (damage in {"short", "long", "record"})


async def test_list_that_is_too_large_is_not_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "MAX_BYTES", 10)
    async with ListStore(tmp_path) as store:
        await publish(store, b"old")
        draft = await store.draft(INDEX)
        with pytest.raises(StoreFull):
            await draft.write({"html": b"12345", "json": b"678901"})
        await draft.discard()
        assert content(store) == b"old"


async def test_full_disk_is_told_and_leaves_the_old_list(tmp_path: Path) -> None:
    async with ListStore(tmp_path) as store:
        await publish(store, b"old")
        (directory,) = (tmp_path / "lists").iterdir()
        draft = await store.draft(INDEX)
        # A descriptor on a full device, in the place of the file's own.
        full = os.open("/dev/full", os.O_RDWR)
        await draft.write({"html": b""})
        os.dup2(full, draft._files["html"][0])
        os.close(full)
        with pytest.raises(StoreFull):
            await draft.write({"html": b"data"})
        await draft.discard()
        assert content(store) == b"old"
        assert len(list(directory.iterdir())) == 3


async def test_part_s_name_is_no_path(tmp_path: Path) -> None:
    async with ListStore(tmp_path) as store:
        draft = await store.draft(INDEX)
        assert isinstance(draft, Draft)
        with pytest.raises(StoreError):
            await draft.write({"../x": b""})
        await draft.discard()
