from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from pathlib import Path

import pytest

from pypicache.store import soundness
from pypicache.store.diskpages import DiskPageStore
from pypicache.store.linkrecord import LinkRecord, place_of
from pypicache.store.links import LinkStore


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A page database with something in it, closed."""

    async def make() -> None:
        async with DiskPageStore(tmp_path / "pages") as pages:
            pages.put({f"page:{number}": os.urandom(5000) for number in range(50)})
            await pages.flush()

    asyncio.run(make())
    return tmp_path / "pages" / "cache.db"


def test_a_database_that_is_fine(database: Path, tmp_path: Path) -> None:
    assert soundness.database(database.parent) is None
    assert soundness.database(tmp_path / "none") is None


def test_a_database_that_somebody_writes_to_is_fine(database: Path) -> None:
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as writing:
        writing.execute("BEGIN IMMEDIATE")
        assert soundness.database(database.parent) is None


@pytest.mark.parametrize(
    "how", ["head", "middle", "cut", "empty", "foreign", "folder", "link", "odd key", "no text", "a pickle"]
)
def test_a_database_that_is_damaged(database: Path, how: str) -> None:
    data = bytearray(database.read_bytes())
    match how:
        case "head":
            data[:100] = os.urandom(100)
        case "middle":
            data[4096:] = os.urandom(len(data) - 4096)
        case "cut":
            del data[len(data) // 2 :]
        case "empty":
            data.clear()
    database.write_bytes(data)
    match how:
        case "foreign":
            with contextlib.closing(sqlite3.connect(database)) as opened:
                opened.execute("DROP TABLE Cache")
        case "odd key" | "no text" | "a pickle":
            change = {"odd key": "key = x'ff'", "no text": "key = cast(x'ff' AS text)", "a pickle": "raw = 0"}
            with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as opened:
                opened.execute(f"UPDATE Cache SET {change[how]} WHERE rowid = (SELECT min(rowid) FROM Cache)")
        case "folder":
            database.unlink()
            database.mkdir()
        case "link":
            database.rename(database.with_name("elsewhere"))
            database.symlink_to("elsewhere")
    assert soundness.database(database.parent) is not None


def test_links_are_told_apart_from_what_is_none(tmp_path: Path) -> None:
    record = LinkRecord(
        index="root/pypi",
        project="demo",
        path="a/demo-1.tar.gz",
        filename="demo-1.tar.gz",
        url="u",
        origin="m",
    )

    async def put() -> None:
        async with LinkStore(tmp_path) as links:
            await links.put(record)

    asyncio.run(put())
    place = tmp_path / "links" / place_of("root/pypi", record.path)
    seen: list[int] = []
    assert list(soundness.links(tmp_path, lambda: seen.append(1))) == []
    assert (place.is_file(), seen) == (True, [1])
    (tmp_path / "links" / "tmp" / "x").write_bytes(b"being written")
    (tmp_path / "links" / "xyz").mkdir()
    place.with_name("f" * 65).symlink_to(place)
    found = {str(each.path.relative_to(tmp_path / "links")) for each in soundness.links(tmp_path)}
    assert found == {"xyz", f"{place.parent.name}/{'f' * 65}"}
