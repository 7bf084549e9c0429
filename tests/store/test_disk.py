"""The disk store where it is more than the contract: damage, locks, full disks, kills, owners."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import resource
import shutil
import stat
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

import pytest

from pypicache.errors import StoreError, StoreFull
from pypicache.events import Event, StoreTrouble
from pypicache.store.blobs import Spool, SpoolBusy
from pypicache.store.disk import DiskBlobStore
from pypicache.store.files import write_at
from pypicache.store.keeper import Keeper
from pypicache.store.parts import part_name
from pypicache.store.spool import FileSpool
from tests.store.conftest import Program, make_directory, make_link, names, open_descriptors
from tests.waiting import until_so

DATA = b"the bytes of a wheel " * 1000
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
async def store(root: Path, events: list[Event]) -> AsyncIterator[DiskBlobStore]:
    async with DiskBlobStore(root, observe=events.append) as opened:
        yield opened


def place(root: Path, sha256: str = SHA256) -> Path:
    return root / "blobs" / "sha256" / sha256[:2] / sha256[2:4] / sha256


async def publish(store: DiskBlobStore, data: bytes = DATA, key: str = "key") -> str:
    sha256 = hashlib.sha256(data).hexdigest()
    spool = await store.spool(key, len(data))
    await spool.write(0, [data])
    (await store.publish(spool, sha256)).close()
    return sha256


def files_below(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir()}


def modes_below(root: Path) -> tuple[set[int], set[int]]:
    """The modes of directories, and of all else."""
    directories: set[int] = set()
    files: set[int] = set()
    for path in (root, *root.rglob("*")):
        (directories if path.is_dir() else files).add(stat.S_IMODE(path.lstat().st_mode))
    return directories, files


async def test_the_layout(store: DiskBlobStore, root: Path) -> None:
    await publish(store)
    assert files_below(root) == {
        "format",
        "usage",
        "claims",
        f"blobs/sha256/{SHA256[:2]}/{SHA256[2:4]}/{SHA256}",
    }
    spool = await store.spool("key", 10)
    assert f"spool/{part_name('key')}" in files_below(root)
    await spool.discard()
    assert names(root / "spool") == set()


async def test_nobody_else_may_read_or_write(root: Path) -> None:
    """Directories are 0700 and files 0600, whatever the umask is."""
    before = os.umask(0)
    try:
        async with DiskBlobStore(root) as store:
            await publish(store)
            spool = await store.spool("key", 10)
            assert modes_below(root) == ({0o700}, {0o600})
            await spool.discard()
    finally:
        os.umask(before)


async def test_a_blob_survives_a_restart(store: DiskBlobStore, root: Path) -> None:
    await publish(store)
    async with DiskBlobStore(root) as again:
        blob = again.open(SHA256, len(DATA))
        assert blob is not None
        blob.close()


# What stands where a blob should be, L7 of the catalogue.


@pytest.mark.parametrize("what", ["symlink", "dangling symlink", "fifo", "directory"])
async def test_what_can_not_be_a_blob_is_set_aside_and_replaced(
    store: DiskBlobStore, root: Path, what: str, tmp_path: Path, events: list[Event]
) -> None:
    """Without following it, without hanging, without touching what it points at."""
    path = place(root)
    path.parent.mkdir(parents=True)
    elsewhere = tmp_path / "secret"
    elsewhere.write_bytes(DATA)
    match what:
        case "symlink":
            path.symlink_to(elsewhere)
        case "dangling symlink":
            path.symlink_to("nowhere")
        case "fifo":
            os.mkfifo(path)
        case _:
            path.mkdir()
            (path / "inside").write_bytes(DATA)
    assert store.open(SHA256, len(DATA)) is None
    assert path.name not in names(path.parent)
    assert len(events) == 1
    assert isinstance(events[0], StoreTrouble)
    assert elsewhere.read_bytes() == DATA
    await publish(store)
    blob = store.open(SHA256, len(DATA))
    assert blob is not None
    blob.close()


@pytest.mark.parametrize("what", ["symlink", "fifo", "directory"])
async def test_a_publish_replaces_what_can_not_be_a_blob(store: DiskBlobStore, root: Path, what: str) -> None:
    path = place(root)
    path.parent.mkdir(parents=True)
    match what:
        case "symlink":
            path.symlink_to("nowhere")
        case "fifo":
            os.mkfifo(path)
        case _:
            path.mkdir()
    await publish(store)
    assert path.read_bytes() == DATA
    assert not path.is_symlink()


@pytest.mark.parametrize("length", [0, 1, len(DATA) - 1, len(DATA) + 1])
async def test_a_truncated_or_grown_blob_is_set_aside(
    store: DiskBlobStore, root: Path, length: int, events: list[Event]
) -> None:
    await publish(store)
    os.truncate(place(root), length)
    assert store.open(SHA256, len(DATA)) is None
    await store.settled()
    assert not place(root).exists()
    assert len(names(root / "quarantine")) == 1
    assert len(events) == 1
    await publish(store)
    assert place(root).read_bytes() == DATA


async def test_a_page_that_lies_about_the_size_evicts_nothing(
    store: DiskBlobStore, root: Path, events: list[Event]
) -> None:
    """The digest is the truth; another index's file isn't lost to a wrong size on a hostile page."""
    await publish(store)
    for _ in range(3):
        assert store.open(SHA256, 12) is None
        await store.settled()
    assert events == []
    blob = store.open(SHA256, len(DATA))
    assert blob is not None
    blob.close()


async def test_a_publish_heals_a_damaged_blob(store: DiskBlobStore, root: Path) -> None:
    await publish(store)
    with place(root).open("r+b") as file:
        file.write(b"X")
    await publish(store)
    assert place(root).read_bytes() == DATA


@pytest.mark.parametrize("small", [False, True])
@pytest.mark.parametrize("gone", ["", "shard", "blobs", "dangling"])
async def test_directories_that_somebody_has_removed(
    store: DiskBlobStore, root: Path, gone: str, small: bool
) -> None:
    """Those below the blobs' are made again. Without theirs, or with a link in the place of one, a file can't be kept, and that is said."""
    await publish(store)
    match gone:
        case "shard":
            shutil.rmtree(place(root).parent.parent)
        case "blobs":
            shutil.rmtree(root / "blobs")
        case "dangling":
            shutil.rmtree(place(root).parent.parent)
            make_link(place(root).parent.parent, root / "nowhere")
    spool = await store.spool("again", len(DATA), small=small)
    await spool.write(0, [DATA])
    if gone in {"", "shard"}:
        (await store.publish(spool, SHA256)).close()
        assert place(root).read_bytes() == DATA
    else:
        with pytest.raises(StoreError):
            await store.publish(spool, SHA256)
        await spool.discard()


async def test_the_quarantine_is_bounded(store: DiskBlobStore, root: Path) -> None:
    for n in range(40):
        sha256 = await publish(store, b"%d" % n)
        os.truncate(place(root, sha256), 0)
        assert store.open(sha256, 5) is None
        await store.settled()
    assert len(names(root / "quarantine")) == 16


async def test_a_scan_passes_over_what_is_no_blob(store: DiskBlobStore, root: Path, tmp_path: Path) -> None:
    await publish(store)
    blobs = root / "blobs" / "sha256"
    (tmp_path / "outside" / "cd").mkdir(parents=True)
    (tmp_path / "outside" / "cd" / ("c" * 64)).write_bytes(DATA)
    (blobs / "cc").symlink_to(tmp_path / "outside")
    (blobs / "stray").write_bytes(b"")
    (place(root).parent / "README").write_bytes(b"")
    (place(root).parent / ("d" * 64)).symlink_to(place(root))
    os.mkfifo(place(root).parent / ("e" * 64))
    found = list(store.scan())
    assert [(info.sha256, info.size) for info in found] == [(SHA256, len(DATA))]
    assert found[0].used_at >= place(root).stat().st_mtime


# Spools, locks and kills: L8 and L25.

HOLD = """
import asyncio, sys
from pathlib import Path
from pypicache.store.disk import DiskBlobStore
async def main():
    async with DiskBlobStore(Path(sys.argv[1])) as store:
        spool = await store.spool("key", 1000)
        await spool.write(0, [b"partial"])
        print("held", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
asyncio.run(main())
"""


async def test_another_process_holds_the_spool_until_it_dies(
    store: DiskBlobStore, root: Path, program: Program
) -> None:
    other = program(HOLD, root)
    assert other.stdout is not None
    assert await asyncio.to_thread(other.stdout.readline) == "held\n"
    with pytest.raises(SpoolBusy):
        await store.spool("key", 1000)
    async with DiskBlobStore(root):  # a third one starts, and sweeps nothing that is held
        assert (root / "spool" / part_name("key")).read_bytes() == b"partial"
    other.kill()
    await asyncio.to_thread(other.wait)
    await publish(store)
    assert place(root).read_bytes() == DATA


async def dead_writer(program: Program, root: Path) -> None:
    other = program(HOLD, root)
    assert other.stdout is not None
    assert await asyncio.to_thread(other.stdout.readline) == "held\n"
    other.kill()
    await asyncio.to_thread(other.wait)


async def test_what_a_dead_writer_left_is_gone_on_with(root: Path, program: Program) -> None:
    """L8: a start keeps it, and the next writer of the same key has its bytes, if it asks for them."""
    await dead_writer(program, root)
    async with DiskBlobStore(root) as store:
        spool = await store.spool("key", 1000, resume=True)
        assert (spool.held, spool.size) == (((0, 7),), 1000)
        await spool.write(7, [b"!" * 993])
        data = b"partial" + b"!" * 993
        assert await spool.digest("sha256") == hashlib.sha256(data).hexdigest()
        await spool.discard()
        assert names(root / "spool") == set()


@pytest.mark.parametrize("size", [999, None])
async def test_bytes_of_another_file_are_not_gone_on_with(
    root: Path, program: Program, size: int | None
) -> None:
    await dead_writer(program, root)
    async with DiskBlobStore(root) as store:
        spool = await store.spool("key", size, resume=size is not None)
        assert spool.held == ()
        await spool.discard()


@pytest.mark.parametrize("damage", [b"", b"00000000 {}\n", b"x" * 100_000])
async def test_a_damaged_journal_means_that_nothing_is_held(
    root: Path, program: Program, damage: bytes
) -> None:
    await dead_writer(program, root)
    (root / "spool" / (part_name("key") + ".journal")).write_bytes(damage)
    async with DiskBlobStore(root) as store:
        spool = await store.spool("key", 1000, resume=True)
        assert spool.held == ()
        await spool.discard()


async def test_a_journal_that_claims_more_than_there_is_is_not_believed(root: Path, program: Program) -> None:
    await dead_writer(program, root)
    os.truncate(root / "spool" / part_name("key"), 3)
    async with DiskBlobStore(root) as store:
        spool = await store.spool("key", 1000, resume=True)
        assert spool.held == ()
        await spool.discard()


async def test_a_start_sweeps_what_nobody_can_go_on_with(root: Path, program: Program) -> None:
    """Old ones, ones without a journal, journals alone, and what is no file at all."""
    await dead_writer(program, root)
    spools = root / "spool"
    os.utime(spools / part_name("key"), (0, 0))
    (spools / "nojournal.part").write_bytes(b"bytes")
    (spools / "alone.part.journal").write_bytes(b"")
    (spools / "link.part").symlink_to("nowhere")
    os.mkfifo(spools / "fifo.part")
    async with DiskBlobStore(root):
        assert names(spools) == set()


async def test_a_spool_is_followed_by_another_process(
    store: DiskBlobStore, root: Path, program: Program
) -> None:
    assert await store.follow("key") is None
    other = program(HOLD, root)
    assert other.stdout is not None
    assert await asyncio.to_thread(other.stdout.readline) == "held\n"
    partial = await store.follow("key")
    assert partial is not None
    assert await partial.look() == (1000, ((0, 7),))
    assert os.pread(partial.fileno(), 100, 0) == b"partial"
    partial.close()
    partial.close()


async def test_rejected_bytes_are_kept_as_evidence(store: DiskBlobStore, root: Path) -> None:
    spool = await store.spool("key", 5)
    await spool.write(0, [b"wrong"])
    await spool.reject()
    assert names(root / "spool") == set()
    assert [path.read_bytes() for path in (root / "quarantine").iterdir()] == [b"wrong"]


async def test_pieces_out_of_order_are_hashed_when_their_turn_comes(store: DiskBlobStore) -> None:
    parts = [bytes([n]) * 1000 for n in range(5)]
    spool = await store.spool("key", 5000)
    for place in (4, 1, 0, 3, 2):
        await spool.write(place * 1000, [parts[place]])
    assert spool.held == ((0, 5000),)
    assert await spool.digest("sha256") == hashlib.sha256(b"".join(parts)).hexdigest()
    await spool.discard()


async def test_bytes_that_land_after_others_at_their_place_were_hashed_are_hashed_anew(
    store: DiskBlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two threads write the same place: whatever the file has in the end, is what its digest is of."""
    begun, go_on = threading.Event(), threading.Event()

    def write(fd: int, offset: int, buffers: Sequence[bytes]) -> int:
        if buffers[0][:1] == b"b":
            begun.set()
            go_on.wait(10)
        return write_at(fd, offset, buffers)

    monkeypatch.setattr("pypicache.store.spool.write_at", write)
    spool = await store.spool("key", 2000)
    slow = asyncio.ensure_future(spool.write(0, [b"b" * 1000]))
    assert await asyncio.to_thread(begun.wait, 10)
    await spool.write(0, [b"a" * 2000])
    go_on.set()
    await slow
    assert os.pread(spool.fileno(), 2000, 0) == b"b" * 1000 + b"a" * 1000
    assert await spool.digest("sha256") == hashlib.sha256(b"b" * 1000 + b"a" * 1000).hexdigest()
    await spool.discard()


PUBLISH = """
import asyncio, hashlib, sys
from pathlib import Path
from pypicache.store.disk import DiskBlobStore
async def main():
    async with DiskBlobStore(Path(sys.argv[1])) as store:
        print("ready", flush=True)
        for n in range(10**6):
            data = b"%d " % n * 5000
            spool = await store.spool("key", len(data))
            await spool.write(0, [data])
            (await store.publish(spool, hashlib.sha256(data).hexdigest())).close()
            print(n, flush=True)
asyncio.run(main())
"""


@pytest.mark.parametrize("lines", [1, 2, 3, 5, 8, 13, 21, 34])
async def test_a_kill_while_publishing_leaves_whole_blobs_only(
    root: Path, program: Program, lines: int
) -> None:
    other = program(PUBLISH, root)
    assert other.stdout is not None
    for _ in range(lines):
        told = await asyncio.to_thread(other.stdout.readline)
    other.kill()
    await asyncio.to_thread(other.wait)
    async with DiskBlobStore(root) as store:
        # At most the one that was being written is left, for somebody to go on with.
        assert len(names(root / "spool")) in {0, 2}
        found = {info.sha256 for info in store.scan()}
        for sha256 in found:
            assert hashlib.sha256(place(root, sha256).read_bytes()).hexdigest() == sha256
        count = 0 if told == "ready\n" else int(told) + 1
        published = {hashlib.sha256(b"%d " % n * 5000).hexdigest() for n in range(count)}
        assert published <= found


@pytest.mark.parametrize("what", ["symlink", "fifo", "directory"])
async def test_a_spool_s_name_that_is_taken_by_something_else(
    store: DiskBlobStore, root: Path, what: str, tmp_path: Path
) -> None:
    path = root / "spool" / part_name("key")
    elsewhere = tmp_path / "secret"
    elsewhere.write_bytes(DATA)
    match what:
        case "symlink":
            path.symlink_to(elsewhere)
        case "fifo":
            os.mkfifo(path)
        case _:
            path.mkdir()
    await publish(store, b"other bytes")
    assert elsewhere.read_bytes() == DATA


async def test_a_spool_whose_name_was_taken_away_publishes_nothing(store: DiskBlobStore, root: Path) -> None:
    """Another process may have begun a file of that name: it must not be published as ours."""
    spool = await store.spool("key", len(DATA))
    await spool.write(0, [DATA])
    path = root / "spool" / part_name("key")
    path.unlink()
    path.write_bytes(b"somebody else's")
    with pytest.raises(StoreError):
        await store.publish(spool, SHA256)
    await spool.discard()
    assert path.read_bytes() == b"somebody else's"
    assert store.open(SHA256) is None


async def test_space_is_reserved_and_what_is_not_used_given_back(store: DiskBlobStore, root: Path) -> None:
    """The size tells how far the bytes have come, not how many will."""
    size = 1 << 20
    spool = await store.spool("key", size)
    status = os.fstat(spool.fileno())
    assert status.st_size == 0
    reserved = status.st_blocks * 512
    assert reserved == 0 or reserved >= size  # not every file system can
    await spool.write(0, [DATA])
    assert os.fstat(spool.fileno()).st_size == len(DATA)
    spool.size = None
    (await store.publish(spool, SHA256)).close()
    assert place(root).stat().st_blocks * 512 < size


async def test_a_name_that_changes_hands_while_it_is_claimed(
    store: DiskBlobStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between opening and locking, the former writer published or removed the file: the lock on it is worth nothing."""
    path = root / "spool" / part_name("key")
    flock = fcntl.flock
    hands: Iterator[Callable[[], object]] = iter([path.unlink, lambda: path.rename(root / "published")])

    def late(fd: int, operation: int) -> None:
        next(hands, int)()
        flock(fd, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    spool = await store.spool("key", len(DATA))
    await spool.write(0, [DATA])
    assert path.read_bytes() == DATA
    await spool.discard()


async def test_a_reader_s_duplicate_does_not_keep_the_lock(root: Path) -> None:
    """A duplicate shares the lock; a spool that was left when the store closed is free to be swept all the same."""
    async with DiskBlobStore(root) as store:
        reader = os.dup((await store.spool("key", 10)).fileno())
    assert names(root / "spool") == {part_name("key"), part_name("key") + ".journal"}
    async with DiskBlobStore(root):
        assert names(root / "spool") == set()
    os.close(reader)


async def test_a_blob_that_is_replaced_while_it_is_judged_stays(
    store: DiskBlobStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await publish(store)
    path, better = place(root), root / "better"
    better.write_bytes(DATA)
    os.truncate(path, 5)
    pread = os.pread

    def replaced_meanwhile(fd: int, length: int, offset: int) -> bytes:
        if better.exists():
            better.rename(path)
        return pread(fd, length, offset)

    monkeypatch.setattr(os, "pread", replaced_meanwhile)
    assert store.open(SHA256, len(DATA)) is None
    await store.settled()
    assert path.read_bytes() == DATA


# Descriptors


async def test_a_cancelled_write_keeps_its_descriptor_until_its_thread_ends(
    store: DiskBlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A number that was closed under a running pwritev is the next file's."""
    begun, go_on = threading.Event(), threading.Event()
    written: list[bytes] = []
    pwritev = os.pwritev

    def slow(fd: int, buffers: list[bytes], offset: int) -> int:
        begun.set()
        assert go_on.wait(10)
        count = pwritev(fd, buffers, offset)
        written.append(os.pread(fd, 100, 0))
        return count

    monkeypatch.setattr(os, "pwritev", slow)
    before = open_descriptors()
    spool = await store.spool("key", None)
    assert isinstance(spool, FileSpool)
    fd = spool.fileno()
    write = asyncio.create_task(spool.write(0, [b"bytes"]))
    assert await asyncio.to_thread(begun.wait, 10)
    write.cancel()
    await asyncio.gather(write, return_exceptions=True)
    await spool.discard()
    assert os.fstat(fd).st_nlink == 0  # removed, and open still
    go_on.set()
    await spool.idle()
    assert written == [b"bytes"]
    assert open_descriptors() == before


async def test_a_cancelled_claim_leaves_nothing(store: DiskBlobStore, root: Path) -> None:
    before = open_descriptors()
    for steps in range(8):
        claim = asyncio.create_task(store.spool("key", 100))
        for _ in range(steps):
            await asyncio.sleep(0)
        claim.cancel()
        (result,) = await asyncio.gather(claim, return_exceptions=True)
        if not isinstance(result, BaseException):
            await result.discard()
        await (await claim_when_free(store)).discard()
    # What a thread opened for nobody is closed when it has said so.
    await until_so(lambda: open_descriptors() == before and names(root / "spool") == set())


async def claim_when_free(store: DiskBlobStore) -> Spool:
    while True:
        try:
            return await store.spool("key", 100)
        except SpoolBusy:
            await asyncio.sleep(0)


async def test_a_forgotten_blob_is_closed_and_told(store: DiskBlobStore) -> None:
    await publish(store)
    before = open_descriptors()
    blob = store.open(SHA256)
    assert open_descriptors() == before + 1
    with pytest.warns(ResourceWarning, match="never closed"):
        del blob
    assert open_descriptors() == before


# Full disks (L1)


async def take(store: DiskBlobStore, size: int) -> None:
    """Reserve that much, and use it where nothing can be reserved."""
    spool = await store.spool("large", size)
    try:
        await spool.write(0, [bytes(size)])
    finally:
        await spool.discard()


async def test_a_full_disk_says_so_and_recovers(small_disk: Path) -> None:
    root = small_disk / "cache"
    async with DiskBlobStore(root) as store:
        with pytest.raises(StoreFull):
            await take(store, 8 << 20)
        spool = await store.spool("of unknown size", None)
        with pytest.raises(StoreFull):
            await spool.write(0, [bytes(8 << 20)])
        await spool.discard()
        await publish(store)
        assert place(root).read_bytes() == DATA


async def test_no_room_for_a_file_of_that_size(store: DiskBlobStore, root: Path) -> None:
    """RLIMIT_FSIZE fails a write as a full disk does, also where no file system can be mounted."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    spool = await store.spool("key", None)
    await spool.write(0, [b"x" * 1000])
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(StoreFull):
            await spool.write(1000, [bytes(100_000)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert os.pread(spool.fileno(), 1000, 0) == b"x" * 1000
    await spool.reset(len(DATA))
    await spool.write(0, [DATA])
    (await store.publish(spool, SHA256)).close()


async def test_more_than_the_disk_has_is_refused_before_a_byte(store: DiskBlobStore, root: Path) -> None:
    before = open_descriptors()
    with pytest.raises(StoreFull):
        await store.spool("key", 1 << 60)
    assert names(root / "spool") == set()
    assert open_descriptors() == before


# The directory


async def refused(root: Path) -> str:
    before = open_descriptors()
    with pytest.raises(StoreError) as caught:
        async with DiskBlobStore(root):
            pass
    assert open_descriptors() == before
    return str(caught.value)


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
async def test_a_directory_that_others_can_write_to_is_refused(root: Path, mode: int) -> None:
    make_directory(root, mode)
    assert f"chmod go-w {root}" in await refused(root)


async def test_a_directory_inside_that_others_can_write_to_is_refused(root: Path) -> None:
    async with DiskBlobStore(root):
        pass
    (root / "spool").chmod(0o777)
    assert f"chmod go-w {root / 'spool'}" in await refused(root)


async def test_a_directory_of_another_user_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_directory(root)
    us = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: us + 1)
    text = await refused(root)
    assert f"belongs to user {us}" in text
    assert "cache.dir" in text


async def test_a_file_in_place_of_the_directory_is_refused(root: Path) -> None:
    os.mknod(root)
    assert "not a directory" in await refused(root)


@pytest.mark.parametrize("what", ["blobs", "quarantine"])
def test_l26_a_part_of_the_directory_on_another_file_system_is_refused(
    root: Path, small_disk: Path, what: str
) -> None:
    """Nothing could be published there, or set aside."""
    if small_disk.stat().st_dev == root.parent.stat().st_dev:
        pytest.skip("no file system can be mounted here")
    (small_disk / what).mkdir(mode=0o700)
    root.mkdir(mode=0o700)
    (root / what).symlink_to(small_disk / what)
    with pytest.raises(StoreError, match=r"on different file systems.*by cache\.dir"), Keeper(root):
        pass
    assert not [path for path in small_disk.rglob("*") if path.is_file()]


async def test_a_linked_directory_of_ours_is_fine(root: Path, tmp_path: Path) -> None:
    make_directory(tmp_path / "large disk")
    make_link(root, tmp_path / "large disk")
    async with DiskBlobStore(root) as store:
        await publish(store)


@pytest.mark.parametrize(
    ("text", "said"), [("2\n", "later pypicache"), ("999", "later"), ("one\n", "number")]
)
async def test_a_directory_of_another_format_is_refused(root: Path, text: str, said: str) -> None:
    async with DiskBlobStore(root) as store:
        await publish(store)
    (root / "format").write_text(text)
    assert said in await refused(root)
    assert place(root).exists()


@pytest.mark.parametrize("text", ["1", "1\n", "", "\n"])
async def test_a_directory_of_this_format_is_read(root: Path, text: str) -> None:
    async with DiskBlobStore(root) as store:
        await publish(store)
    (root / "format").write_text(text)
    async with DiskBlobStore(root) as store:
        blob = store.open(SHA256)
        assert blob is not None
        blob.close()
    assert (root / "format").read_text().strip() == "1"


async def test_the_lock_is_not_inherited(store: DiskBlobStore, root: Path, program: Program) -> None:
    spool = await store.spool("key", 10)
    assert not os.get_inheritable(spool.fileno())
    await spool.discard()
    with (root / "spool" / part_name("key")).open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(SpoolBusy):
            await store.spool("key", 10)
