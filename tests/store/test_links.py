"""Link records: kept beside the blobs, outliving the page, never trusted when damaged."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypicache.errors import StoreError, StoreFull
from pypicache.events import Event
from pypicache.simple.model import Digest
from pypicache.store.linkrecord import LinkRecord, Sidecar
from pypicache.store.links import LinkStore
from tests.store.conftest import make_link, names, open_descriptors

SHA256 = "ab" * 32
RECORD = LinkRecord(
    index="root/pypi",
    project="demo",
    path="ab/cd/demo-1.0-py3-none-any.whl",
    filename="demo-1.0-py3-none-any.whl",
    url="https://files.example.org/packages/ab/cd/demo-1.0-py3-none-any.whl",
    origin="first",
    sha256=SHA256,
    size=1234,
    digests=(Digest("sha256", SHA256), Digest("md5", "cd" * 16)),
    verdict="hidden: too young",
    stored_at=1700000000.5,
    sidecar=Sidecar(sha256="12" * 32, size=99),
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
async def links(root: Path, events: list[Event]) -> AsyncIterator[LinkStore]:
    async with LinkStore(root, observe=events.append) as opened:
        yield opened


def files(root: Path) -> list[Path]:
    return [path for path in (root / "links").rglob("*") if not path.is_dir()]


async def test_a_record_survives_a_restart(links: LinkStore, root: Path) -> None:
    await links.put(RECORD)
    assert links.get(RECORD.index, RECORD.path) == RECORD
    async with LinkStore(root) as again:
        assert again.get(RECORD.index, RECORD.path) == RECORD


async def test_a_record_with_the_least_in_it(links: LinkStore, root: Path) -> None:
    least = LinkRecord(index="a", project="b", path="c", filename="c", url="d", origin="e")
    await links.put(least)
    async with LinkStore(root) as again:
        assert again.get("a", "c") == least


async def test_what_was_not_put_is_not_there(links: LinkStore) -> None:
    await links.put(RECORD)
    assert links.get(RECORD.index, "other") is None
    assert links.get("other", RECORD.path) is None
    assert links.get(RECORD.index + RECORD.path[0], RECORD.path[1:]) is None


async def test_a_record_is_replaced_and_deleted(links: LinkStore, root: Path) -> None:
    await links.put(RECORD)
    newer = msgspec.structs.replace(RECORD, verdict="ok")
    await links.put(newer)
    assert links.get(RECORD.index, RECORD.path) == newer
    assert await links.delete(RECORD.index, RECORD.path)
    assert not await links.delete(RECORD.index, RECORD.path)
    assert links.get(RECORD.index, RECORD.path) is None
    assert files(root) == []


async def test_another_process_s_change_is_seen_at_once(links: LinkStore, root: Path) -> None:
    """Memory holds no truth: the verdict of one worker is the verdict of all."""
    await links.put(RECORD)
    async with LinkStore(root) as other:
        assert other.get(RECORD.index, RECORD.path) == RECORD
        newer = msgspec.structs.replace(RECORD, verdict="no: denied")
        await other.put(newer)
        assert links.get(RECORD.index, RECORD.path) == newer
        await other.delete(RECORD.index, RECORD.path)
        assert links.get(RECORD.index, RECORD.path) is None


async def test_records_by_file_name(links: LinkStore) -> None:
    """Of one file name there may be several paths; other names and indexes stay out."""
    paths = ["zz/demo-1.0-py3-none-any.whl", "aa/demo-1.0-py3-none-any.whl"]
    for path in paths:
        await links.put(msgspec.structs.replace(RECORD, path=path))
    await links.put(msgspec.structs.replace(RECORD, index="corp"))
    await links.put(msgspec.structs.replace(RECORD, path="aa/demo-2.0.tar.gz", filename="demo-2.0.tar.gz"))
    found = await links.by_filename("root/pypi", RECORD.filename)
    assert [record.path for record in found] == sorted(paths)
    assert await links.by_filename("root/pypi", "nothing-1.0.tar.gz") == ()


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"garbage"),
        lambda path: path.write_bytes(path.read_bytes()[:-10]),
        lambda path: path.write_bytes(path.read_bytes().replace(b"abab", b"acab")),
        lambda path: path.write_bytes(bytes(10 << 20)),
        lambda path: path.write_bytes(b"\n{}"),
        lambda path: (path.unlink(), path.symlink_to("/etc/hostname")),
        lambda path: (path.unlink(), path.symlink_to("nowhere")),
        fifo,
    ],
)
async def test_a_damaged_record_is_ignored_and_removed(
    root: Path, events: list[Event], damage: Callable[[Path], object]
) -> None:
    async with LinkStore(root) as links:
        await links.put(RECORD)
    (path,) = files(root)
    damage(path)
    async with LinkStore(root, observe=events.append) as links:
        assert await links.by_filename(RECORD.index, RECORD.filename) == ()
        assert links.get(RECORD.index, RECORD.path) is None
        assert len(events) == 1
        await links.put(RECORD)
        assert links.get(RECORD.index, RECORD.path) == RECORD
    damage(path)
    async with LinkStore(root) as links:
        assert links.get(RECORD.index, RECORD.path) is None
    assert files(root) == []


async def test_a_record_in_another_s_place_is_ignored(root: Path) -> None:
    other = msgspec.structs.replace(RECORD, path="zz/other.whl", filename="other.whl")
    async with LinkStore(root) as links:
        await links.put(RECORD)
        (mine,) = files(root)
        await links.put(other)
        (theirs,) = set(files(root)) - {mine}
        mine.replace(theirs)
        assert links.get(other.index, other.path) is None


async def test_memory_is_bounded(root: Path) -> None:
    async with LinkStore(root, remember=3) as links:
        for n in range(10):
            await links.put(msgspec.structs.replace(RECORD, path=f"{n}/demo.whl"))
        assert len(links._memory) == 3
        for n in range(10):
            assert links.get(RECORD.index, f"{n}/demo.whl") is not None
        assert len(links._memory) == 3


async def test_a_full_disk_keeps_the_old_record(links: LinkStore, root: Path) -> None:
    await links.put(RECORD)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(StoreFull):
            await links.put(msgspec.structs.replace(RECORD, verdict="x" * 100))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert links.get(RECORD.index, RECORD.path) == RECORD
    assert len(files(root)) == 1


async def test_a_record_without_end_is_refused(links: LinkStore) -> None:
    with pytest.raises(StoreError, match="too long"):
        await links.put(msgspec.structs.replace(RECORD, url="x" * (1 << 20)))


async def test_what_a_dead_process_left_is_swept_and_a_living_one_s_kept(root: Path) -> None:
    async with LinkStore(root):
        pass
    for name, at in (("1-1", 1000), ("1-2", 1990)):
        left = root / "links" / "tmp" / name
        os.close(os.open(left, os.O_CREAT))
        os.utime(left, (at, at))
    async with LinkStore(root, now=lambda: 2000.0):
        assert names(root / "links" / "tmp") == {"1-2"}


async def test_a_linked_shard_or_record_directory_is_no_way_out(
    links: LinkStore, root: Path, tmp_path: Path
) -> None:
    """A temporary name that somebody linked elsewhere isn't followed."""
    target = tmp_path / "target"
    make_link(root / "links" / "tmp" / f"{os.getpid()}-0", target)
    with pytest.raises(StoreError):
        await links.put(RECORD)
    assert "target" not in names(tmp_path)


async def test_many_puts_at_once_leave_one_whole_record(links: LinkStore) -> None:
    versions = [msgspec.structs.replace(RECORD, verdict=f"v{n}") for n in range(50)]
    await asyncio.gather(*(links.put(record) for record in versions))
    assert links.get(RECORD.index, RECORD.path) == versions[-1]


async def test_every_descriptor_is_given_back(root: Path) -> None:
    before = open_descriptors()
    async with LinkStore(root) as links:
        await links.put(RECORD)
        links.get(RECORD.index, RECORD.path)
        await links.by_filename(RECORD.index, RECORD.filename)
    assert open_descriptors() == before


@given(
    one=st.tuples(st.text(max_size=8), st.text(max_size=8)),
    two=st.tuples(st.text(max_size=8), st.text(max_size=8)),
)
def test_no_two_links_share_a_file(one: tuple[str, str], two: tuple[str, str]) -> None:
    links = LinkStore(Path("nowhere"))
    assert (links._file(*one) == links._file(*two)) == (one == two)


async def test_a_record_in_no_hurry_is_written_when_it_is_quiet(links: LinkStore, root: Path) -> None:
    putting = links.put_behind(RECORD)
    assert not files(root)
    await asyncio.wait_for(putting, 30)
    assert links.get(RECORD.index, RECORD.path) == RECORD


@pytest.mark.parametrize("how", ["settle", "delete", "put", "by_filename"])
async def test_who_looks_at_the_disk_finds_what_waits(links: LinkStore, root: Path, how: str) -> None:
    other = msgspec.structs.replace(RECORD, path="ef/01/demo-1.0-py3-none-any.whl")
    putting = links.put_behind(RECORD)
    match how:
        case "settle":
            await links.settle()
        case "delete":
            assert await links.delete(RECORD.index, RECORD.path)
        case "put":
            await links.put(other)
        case _:
            assert await links.by_filename(RECORD.index, RECORD.filename) == (RECORD,)
    assert putting.done()
    assert len(files(root)) == {"settle": 1, "delete": 0, "put": 2, "by_filename": 1}[how]


async def test_what_waits_is_written_before_the_end(root: Path) -> None:
    async with LinkStore(root) as links:
        putting = links.put_behind(RECORD)
    await putting
    assert len(files(root)) == 1


async def test_where_others_look_for_records_none_is_put_off(root: Path) -> None:
    async with LinkStore(root, shared=True) as links:
        putting = links.put_behind(RECORD)
        await asyncio.sleep(0)
        assert links._writes._timer is None
        await putting
        assert len(files(root)) == 1
