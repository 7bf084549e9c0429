"""Small files that stay in memory until they are verified: what is promised of every spool, and what is different."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from subprocess import Popen

import pytest

from pypicache.errors import IntegrityError, StoreFull
from pypicache.rules.eviction import Limits
from pypicache.store import light
from pypicache.store.blobs import Spool, SpoolBusy
from pypicache.store.disk import DiskBlobStore
from pypicache.store.parts import part_name
from tests.store.accounts import Account, account
from tests.store.conftest import open_descriptors

DATA = bytes(range(256)) * 100
SHA256 = hashlib.sha256(DATA).hexdigest()
LARGE = DATA * 60

HOLDER = """
import asyncio, sys
from pathlib import Path
from pypicache.store.disk import DiskBlobStore

async def main():
    async with DiskBlobStore(Path(sys.argv[1])) as store:
        spool = await store.spool("key", None, resume=True, small=True)
        await spool.write(0, [b"some"])
        print("claimed", spool.data == b"some", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
async def store(root: Path) -> AsyncIterator[DiskBlobStore]:
    async with DiskBlobStore(root) as opened:
        yield opened


async def begin(store: DiskBlobStore, size: int | None = None, key: str = "key") -> Spool:
    return await store.spool(key, size, resume=True, small=True)


def told(store: DiskBlobStore) -> Account:
    """What the store says it holds."""
    totals = store.keeper.totals()
    return Account(totals.blobs, totals.count, totals.spools, totals.links)


def modes(root: Path) -> list[int]:
    return [path.stat().st_mode & 0o777 for path in root.glob("blobs/sha256/*/*/*")]


def names(root: Path) -> set[str]:
    return {path.name for path in (root / "spool").iterdir()}


def evidence(root: Path) -> list[bytes]:
    return [path.read_bytes() for path in (root / "quarantine").iterdir()]


def in_memory(spool: Spool) -> bytes | None:
    return None if spool.data is None else bytes(spool.data)


def content(store: DiskBlobStore, data: bytes) -> bytes | None:
    blob = store.open(hashlib.sha256(data).hexdigest())
    if blob is None:
        return None
    try:
        return os.pread(blob.fileno(), blob.size + 1, 0)
    finally:
        blob.close()


async def publish(store: DiskBlobStore, spool: Spool, data: bytes) -> None:
    await spool.write(0, [data[:1000], data[1000:]])
    (await store.publish(spool, await spool.digest("sha256"))).close()


async def test_nothing_is_on_the_disk_before_all_of_it_is(store: DiskBlobStore, root: Path) -> None:
    before = open_descriptors()
    spool = await begin(store)
    await spool.write(0, [DATA[:1000]])
    await spool.write(1000, [DATA[1000:2000], DATA[2000:]])
    assert spool.held == ((0, len(DATA)),)
    assert in_memory(spool) == DATA
    assert (names(root), told(store)) == (set(), account(root))
    assert await spool.digest("sha256") == SHA256
    assert await spool.digest("md5") == hashlib.md5(DATA, usedforsecurity=False).hexdigest()
    (await store.publish(spool, SHA256)).close()
    assert content(store, DATA) == DATA
    assert modes(root) == [0o600]
    assert (names(root), told(store)) == (set(), account(root))
    assert open_descriptors() == before


@pytest.mark.parametrize("size", [None, len(LARGE)])
async def test_a_file_that_turns_out_large_goes_on_in_a_file(
    store: DiskBlobStore, root: Path, size: int | None
) -> None:
    """Whether or not its size is known: here the mirror tells it late, or not at all."""
    spool = await begin(store)
    await spool.write(0, [LARGE[: light.UNKNOWN]])
    assert in_memory(spool) is not None
    if size is not None:
        await spool.expect(size)
    await spool.write(light.UNKNOWN, [LARGE[light.UNKNOWN :]])
    assert in_memory(spool) is None
    assert os.pread(spool.fileno(), len(LARGE), 0) == LARGE
    assert names(root) == {part_name("key"), part_name("key") + ".journal"}
    (await store.publish(spool, await spool.digest("sha256"))).close()
    assert content(store, LARGE) == LARGE
    assert (names(root), told(store)) == (set(), account(root))


async def test_bytes_out_of_order_go_to_a_file(store: DiskBlobStore) -> None:
    spool = await begin(store, len(DATA))
    await spool.write(0, [DATA[:10]])
    await asyncio.gather(spool.write(20, [DATA[20:]]), spool.write(10, [DATA[10:20]]))
    assert (spool.data, spool.held) == (None, ((0, len(DATA)),))
    assert await spool.digest("sha256") == SHA256
    (await store.publish(spool, SHA256)).close()
    assert content(store, DATA) == DATA


async def test_it_can_begin_again(store: DiskBlobStore) -> None:
    spool = await begin(store)
    await spool.write(0, [b"other bytes"])
    await spool.reset(len(DATA))
    assert (spool.held, spool.size) == ((), len(DATA))
    await publish(store, spool, DATA)
    assert content(store, DATA) == DATA


async def test_one_that_is_cut_short_is_no_blob(store: DiskBlobStore, root: Path) -> None:
    spool = await begin(store, len(DATA) + 1)
    await spool.write(0, [DATA])
    with pytest.raises(IntegrityError):
        await store.publish(spool, SHA256)
    await spool.discard()
    assert (content(store, DATA), names(root), told(store)) == (None, set(), account(root))


async def test_one_that_is_known_to_be_another_is_no_blob(store: DiskBlobStore) -> None:
    spool = await begin(store)
    await spool.write(0, [DATA[1:]])
    assert await spool.digest("sha256") != SHA256
    with pytest.raises(IntegrityError):
        await store.publish(spool, SHA256)
    await spool.discard()
    assert content(store, DATA) is None


async def test_wrong_bytes_are_set_aside_as_evidence(store: DiskBlobStore, root: Path) -> None:
    spool = await begin(store, len(DATA))
    await spool.write(0, [DATA])
    await spool.reject()
    assert evidence(root) == [DATA]
    assert (names(root), told(store)) == (set(), account(root))


async def test_what_has_no_room_is_no_blob_and_leaves_nothing(root: Path) -> None:
    async with DiskBlobStore(root, limits=Limits(max_size=1000)) as store:
        spool = await begin(store, len(DATA))
        await spool.write(0, [DATA])
        with pytest.raises(StoreFull):
            await store.publish(spool, SHA256)
        assert in_memory(spool) == DATA  # for those who wait for it
        await spool.discard()
        assert (names(root), told(store)) == (set(), account(root))


async def test_what_an_earlier_writer_left_in_a_file_is_gone_on_with_there(store: DiskBlobStore) -> None:
    first = await store.spool("key", len(DATA))
    await first.write(0, [DATA[:100]])
    first.close()
    again = await begin(store, len(DATA))
    assert (again.data, again.held) == (None, ((0, 100),))
    again.close()


async def test_no_more_is_gathered_than_there_is_memory_for(store: DiskBlobStore) -> None:
    many = [await begin(store, light.MOST, f"key {number}") for number in range(light.ALL // light.MOST)]
    assert all(spool.data is not None for spool in many)
    assert (await begin(store, 1, "one more")).data is None
    many[0].close()
    assert (await begin(store, 1, "another")).data is not None


async def test_only_one_gathers_it(store: DiskBlobStore, root: Path) -> None:
    """In this process, in another store on the same directory, and afresh when the first one has let go."""
    spool = await begin(store)
    async with DiskBlobStore(root) as other:
        for each in (store, other):
            with pytest.raises(SpoolBusy):
                await begin(each)
            with pytest.raises(SpoolBusy):
                await each.spool("key", 5)
        spool.close()
        await publish(other, await begin(other), DATA)
    assert content(store, DATA) == DATA


async def test_a_claim_falls_with_its_process(
    store: DiskBlobStore, root: Path, program: Callable[..., Popen[str]]
) -> None:
    holder = program(HOLDER, root)
    assert holder.stdout is not None
    assert await asyncio.to_thread(holder.stdout.readline) == "claimed True\n"
    with pytest.raises(SpoolBusy):
        await begin(store)
    holder.kill()
    await asyncio.to_thread(holder.wait)
    await publish(store, await begin(store), DATA)
    assert (content(store, DATA), names(root)) == (DATA, set())


async def test_many_small_files_that_wait_for_the_disk_leave_it_to_others(
    store: DiskBlobStore, root: Path
) -> None:
    """They share a thread: whoever reads or deletes has the others, however slow the disk is at making files."""
    contents = [b"%d" % number for number in range(20)]
    with (root / "usage").open("rb") as sums:
        fcntl.flock(sums, fcntl.LOCK_EX)  # nobody comes by a name meanwhile
        publishing = []
        for number, data in enumerate(contents):
            spool = await begin(store, len(data), key=f"key {number}")
            await spool.write(0, [data])
            work = store.publish(spool, hashlib.sha256(data).hexdigest())
            publishing.append(asyncio.ensure_future(work))
        await asyncio.wait(publishing, timeout=0.05)  # all that will begin have begun
        async with asyncio.timeout(5):
            assert await store.beginning_with("ffffffff") is None
        assert not any(task.done() for task in publishing)
    for data, blob in zip(contents, await asyncio.gather(*publishing), strict=True):
        assert os.pread(blob.fileno(), 10, 0) == data
        blob.close()
