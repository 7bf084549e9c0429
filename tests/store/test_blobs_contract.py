"""What every blob store promises, on each of them."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pypicache.errors import IntegrityError, StoreError
from pypicache.store.blobs import BlobStore, Spool, SpoolBusy
from pypicache.store.disk import DiskBlobStore
from pypicache.store.memory import MemoryBlobStore
from tests.store.conftest import open_descriptors

Make = Callable[[], AbstractAsyncContextManager[BlobStore]]

DATA = bytes(range(256)) * 5000
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture(params=["disk", "disk with fsync", "memory"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    numbers = itertools.count()

    def make_store() -> AbstractAsyncContextManager[BlobStore]:
        if request.param == "memory":
            return MemoryBlobStore()
        return DiskBlobStore(tmp_path / f"cache-{next(numbers)}", fsync="fsync" in request.param)

    return make_store


@pytest.fixture
async def store(make: Make) -> AsyncIterator[BlobStore]:
    async with make() as opened:
        yield opened


async def publish(store: BlobStore, data: bytes, key: str = "a download") -> str:
    sha256 = hashlib.sha256(data).hexdigest()
    spool = await store.spool(key, len(data))
    await spool.write(0, [data])
    (await store.publish(spool, sha256)).close()
    return sha256


def content(store: BlobStore, sha256: str) -> bytes | None:
    blob = store.open(sha256)
    if blob is None:
        return None
    try:
        return os.pread(blob.fileno(), blob.size + 1, 0)
    finally:
        blob.close()


def scanned(store: BlobStore) -> dict[str, int]:
    return {info.sha256: info.size for info in store.scan()}


async def test_a_published_file_is_read_back(store: BlobStore) -> None:
    spool = await store.spool("key", len(DATA))
    await spool.write(0, [DATA[:1000], b"", DATA[1000:4000]])
    await spool.write(4000, [DATA[4000:]])
    assert await spool.digest("sha256") == SHA256
    blob = await store.publish(spool, SHA256)
    assert (blob.sha256, blob.size) == (SHA256, len(DATA))
    assert os.pread(blob.fileno(), len(DATA), 0) == DATA
    blob.close()
    blob.close()
    assert content(store, SHA256) == DATA
    assert scanned(store) == {SHA256: len(DATA)}


async def test_what_is_not_published_is_not_there(store: BlobStore) -> None:
    spool = await store.spool("key", len(DATA))
    await spool.write(0, [DATA])
    assert store.open(SHA256) is None
    assert scanned(store) == {}
    await spool.discard()
    assert store.open(SHA256) is None


@pytest.mark.parametrize("name", ["", "0" * 63, "0" * 64 + "\n", "../" * 20 + "etc", "A" * 64, "\0" * 64])
async def test_a_name_that_is_no_digest_is_not_there(store: BlobStore, name: str) -> None:
    assert store.open(name) is None
    assert not await store.delete(name)


async def test_another_size_than_the_page_says_is_never_served(store: BlobStore) -> None:
    await publish(store, DATA)
    assert store.open(SHA256, len(DATA) + 1) is None
    blob = store.open(SHA256, len(DATA))
    assert blob is not None
    blob.close()


async def test_an_empty_file_is_a_file(store: BlobStore) -> None:
    sha256 = await publish(store, b"")
    assert content(store, sha256) == b""


async def test_publishing_twice_is_fine(store: BlobStore) -> None:
    await publish(store, DATA, "from one mirror")
    first = store.open(SHA256)
    await publish(store, DATA, "from another")
    assert first is not None
    assert os.pread(first.fileno(), len(DATA), 0) == DATA
    first.close()
    assert content(store, SHA256) == DATA
    assert scanned(store) == {SHA256: len(DATA)}


async def test_deleting_leaves_open_files_readable(store: BlobStore) -> None:
    await publish(store, DATA)
    blob = store.open(SHA256)
    assert blob is not None
    assert await store.delete(SHA256)
    assert not await store.delete(SHA256)
    assert store.open(SHA256) is None
    assert os.pread(blob.fileno(), len(DATA), 0) == DATA
    blob.close()


async def test_readers_follow_a_spool_and_outlive_it(store: BlobStore) -> None:
    """A reader that duplicated the descriptor reads on after publish and after discard, and holds no lock."""
    for end in ("publish", "discard"):
        spool = await store.spool("key", len(DATA))
        await spool.write(0, [DATA[:500]])
        reader = os.dup(spool.fileno())
        assert os.pread(reader, 1000, 0) == DATA[:500]
        await spool.write(500, [DATA[500:]])
        if end == "publish":
            (await store.publish(spool, SHA256)).close()
        else:
            await spool.discard()
        again = await store.spool("key", None)
        assert os.pread(reader, len(DATA), 0) == DATA
        os.close(reader)
        await again.discard()


async def test_one_writer_for_one_key(store: BlobStore) -> None:
    spool = await store.spool("key", 10)
    with pytest.raises(SpoolBusy):
        await store.spool("key", 10)
    other = await store.spool("another key", 10)
    await spool.discard()
    await (await store.spool("key", 10)).discard()
    await other.discard()


@pytest.mark.parametrize("key", ["../../etc/passwd", "a/b", "", "x" * 5000, "\0", "caf\u00e9 \ud800"])
async def test_any_text_is_a_key(store: BlobStore, key: str) -> None:
    spool = await store.spool(key, None)
    assert spool.key == key
    await spool.write(0, [DATA])
    assert await spool.digest("sha256") == SHA256
    await spool.discard()


async def test_a_known_wrong_digest_is_refused(store: BlobStore) -> None:
    """Nothing unverified is committed, even when the caller forgot to verify."""
    spool = await store.spool("key", len(DATA))
    await spool.write(0, [DATA])
    with pytest.raises(IntegrityError):
        await store.publish(spool, "0" * 64)
    assert store.open("0" * 64) is None
    await spool.discard()


async def test_a_short_spool_is_refused(store: BlobStore) -> None:
    spool = await store.spool("key", len(DATA) + 1)
    await spool.write(0, [DATA])
    with pytest.raises(IntegrityError):
        await store.publish(spool, SHA256)
    await spool.discard()


async def test_a_reset_spool_starts_again(store: BlobStore) -> None:
    spool = await store.spool("key", 50)
    await spool.write(0, [b"wrong" * 10])
    await spool.reset(len(DATA))
    assert spool.size == len(DATA)
    assert await spool.digest("sha256") == hashlib.sha256().hexdigest()
    await spool.write(0, [DATA])
    (await store.publish(spool, SHA256)).close()
    assert content(store, SHA256) == DATA


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha512", "blake2b", "sha3_256"])
async def test_other_digests_are_read_from_the_file(store: BlobStore, algorithm: str) -> None:
    spool = await store.spool("key", len(DATA))
    await spool.write(0, [DATA])
    assert await spool.digest(algorithm) == hashlib.new(algorithm, DATA).hexdigest()
    await spool.discard()


@pytest.mark.parametrize("algorithm", ["", "sha257", "shake_128"])
async def test_an_unknown_digest_is_an_error(store: BlobStore, algorithm: str) -> None:
    spool = await store.spool("key", None)
    with pytest.raises(StoreError):
        await spool.digest(algorithm)
    await spool.discard()


async def test_a_spool_that_has_ended_takes_nothing(store: BlobStore) -> None:
    spool = await store.spool("key", None)
    await spool.discard()
    await spool.discard()
    with pytest.raises(StoreError):
        await spool.write(0, [b"late"])
    with pytest.raises(ValueError, match="closed"):
        spool.fileno()


async def write_pieces(spool: Spool, data: bytes, pieces: list[tuple[int, int]]) -> None:
    for start, stop in pieces:
        await spool.write(start, [data[start:stop]])


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(8)), again=st.integers(0, 7))
async def test_pieces_in_any_order_give_the_digest_of_the_whole(
    make: Make, order: list[int], again: int
) -> None:
    """Also when a piece is written twice with other bytes first, and when the digest is asked for in between."""
    data = os.urandom(8 * 700 + 13)
    cuts = [*(n * 700 for n in range(8)), len(data)]
    async with make() as store:
        spool = await store.spool("key", len(data))
        await spool.write(cuts[again], [b"\0" * 700])
        await write_pieces(spool, data, [(cuts[n], cuts[n + 1]) for n in order[:4]])
        await spool.digest("sha256")
        await write_pieces(spool, data, [(cuts[n], cuts[n + 1]) for n in order[4:]])
        await spool.write(cuts[again], [data[cuts[again] : cuts[again + 1]]])
        assert await spool.digest("sha256") == hashlib.sha256(data).hexdigest()
        await spool.discard()


async def test_more_buffers_than_the_kernel_takes_at_once(store: BlobStore) -> None:
    pieces = [bytes([n % 256]) * (n % 7) for n in range(5000)]
    spool = await store.spool("key", None)
    await spool.write(0, pieces)
    assert await spool.digest("sha256") == hashlib.sha256(b"".join(pieces)).hexdigest()
    await spool.discard()


async def test_stripes_are_written_side_by_side(store: BlobStore) -> None:
    spool = await store.spool("key", len(DATA))
    step = len(DATA) // 16
    await asyncio.gather(*(spool.write(n * step, [DATA[n * step : (n + 1) * step]]) for n in range(16)))
    assert await spool.digest("sha256") == SHA256
    await spool.discard()


async def test_a_cancelled_write_does_not_land_after_a_reset(store: BlobStore) -> None:
    spool = await store.spool("key", None)
    for _ in range(20):
        write = asyncio.create_task(spool.write(0, [DATA]))
        await asyncio.sleep(0)
        write.cancel()
        await asyncio.gather(write, return_exceptions=True)
        await spool.reset(5)
        await spool.write(0, [b"right"])
        assert os.pread(spool.fileno(), 100, 0) == b"right"
        assert await spool.digest("sha256") == hashlib.sha256(b"right").hexdigest()
    await spool.discard()


async def test_every_descriptor_is_given_back(make: Make) -> None:
    """Whatever is cancelled at whatever step, and whatever is left open when the store closes."""
    before = open_descriptors()
    async with make() as store:
        for steps in range(12):
            task = asyncio.create_task(publish(store, DATA, f"key {steps}"))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await publish(store, DATA, "at last")
        assert content(store, SHA256) == DATA
        await (await store.spool("left open", 10)).write(0, [b"x"])
    assert open_descriptors() == before


async def test_a_closed_store_says_so(make: Make) -> None:
    async with make() as store:
        pass
    with pytest.raises(StoreError):
        await publish(store, DATA)
