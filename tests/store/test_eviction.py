"""Room for what comes: booked before it is used, made by letting the coldest go, and accounted for exactly."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pypicache.errors import StoreFull
from pypicache.events import BlobEvicted, Event
from pypicache.rules.eviction import DAY, Limits
from pypicache.store.blobs import SpoolBusy
from pypicache.store.disk import DiskBlobStore
from pypicache.store.keeper import Keeper
from pypicache.store.linkrecord import LinkRecord, place_of
from pypicache.store.links import LinkStore
from tests.clock import ManualClock
from tests.store.accounts import Account, account, weight, wrong_blobs
from tests.store.conftest import Program, names

Make = Callable[[Limits], AbstractAsyncContextManager[DiskBlobStore]]
K = 1000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def make(root: Path, clock: ManualClock, events: list[Event]) -> Make:
    def make_store(limits: Limits) -> DiskBlobStore:
        return DiskBlobStore(root, limits=limits, observe=events.append, now=clock)

    return make_store


def content(number: int, size: int = 10 * K) -> bytes:
    return (b"%d " % number * size)[:size]


def name(number: int, size: int = 10 * K) -> str:
    return hashlib.sha256(content(number, size)).hexdigest()


async def put(store: DiskBlobStore, number: int, size: int = 10 * K) -> str:
    """Publish a file of that number; it counts as used now."""
    data, sha256 = content(number, size), name(number, size)
    spool = await store.spool(sha256, size)
    try:
        await spool.write(0, [data])
        (await store.publish(spool, sha256)).close()
    finally:
        spool.close()
    use(store, number, size)
    return sha256


def use(store: DiskBlobStore, number: int, size: int = 10 * K) -> bool:
    blob = store.open(name(number, size))
    if blob is None:
        return False
    blob.close()
    return True


def there(store: DiskBlobStore, numbers: range, size: int = 10 * K) -> list[int]:
    """Which of the files are stored, without using them."""
    return [n for n in numbers if store.keeper.files.look(name(n, size)) is not None]


def told(store: DiskBlobStore) -> Account:
    totals = store.keeper.totals()
    return Account(totals.blobs, totals.count, totals.spools, totals.links)


def room_for(files: int, store_root: Path, size: int = 10 * K) -> Limits:
    """Limits that hold so many files, and the few bytes that are always there."""
    fixed = sum(path.stat().st_size for path in store_root.iterdir() if path.is_file())
    return Limits(max_size=files * size + fixed)


@pytest.fixture
async def ten(make: Make, root: Path, clock: ManualClock) -> AsyncIterator[DiskBlobStore]:
    """A cache that holds ten files and has them; the first was used longest ago."""
    async with make(Limits()):
        pass
    async with make(room_for(10, root)) as store:
        for number in range(10):
            await put(store, number)
            clock.advance(60)
            store.keeper.uses.flush()
        yield store


async def test_the_longest_unused_goes_first(
    ten: DiskBlobStore, events: list[Event], clock: ManualClock
) -> None:
    use(ten, 0)
    clock.advance(60)
    await put(ten, 10)
    await put(ten, 11)
    assert there(ten, range(12)) == [0, 3, 4, 5, 6, 7, 8, 9, 10, 11]
    await asyncio.sleep(0)
    gone = [event for event in events if isinstance(event, BlobEvicted)]
    assert [(each.sha256, each.size, each.why) for each in gone] == [
        (name(n), 10 * K, "size") for n in (1, 2)
    ]
    assert gone[0].unused_for == 9 * 60 + 60


async def test_a_file_that_is_read_stays(ten: DiskBlobStore) -> None:
    """Also when another process reads it: the lock is the file's."""
    reader = ten.open(name(0))
    with ten.keeper.files.path(name(1)).open("rb") as elsewhere:
        fcntl.flock(elsewhere, fcntl.LOCK_SH)
        os.utime(ten.keeper.files.path(name(0)), (0, 0))
        ten.keeper.uses._noted.clear()
        await put(ten, 10)
        assert there(ten, range(11)) == [0, 1, 3, 4, 5, 6, 7, 8, 9, 10]
    assert reader is not None
    reader.close()


async def test_when_everything_is_read_nothing_more_is_stored(ten: DiskBlobStore, root: Path) -> None:
    readers = [ten.open(name(number)) for number in range(10)]
    with pytest.raises(StoreFull, match="max_size"):
        await put(ten, 10)
    assert names(root / "spool") == set()
    for reader in readers:
        assert reader is not None
        reader.close()
    await put(ten, 10)


async def test_a_file_larger_than_the_cache_evicts_nothing(ten: DiskBlobStore) -> None:
    with pytest.raises(StoreFull):
        await ten.spool("large", 101 * K)
    assert there(ten, range(10)) == list(range(10))


async def test_a_size_that_becomes_known_and_is_too_large_evicts_nothing(ten: DiskBlobStore) -> None:
    await ten.delete(name(9))
    spool = await ten.spool("of unknown size", None)
    await spool.write(0, [b"x" * K])
    with pytest.raises(StoreFull):
        await spool.expect(200 * K)
    await spool.discard()
    assert there(ten, range(10)) == list(range(9))


async def test_a_size_that_is_never_known_takes_room_as_it_comes(ten: DiskBlobStore, root: Path) -> None:
    spool = await ten.spool("of unknown size", None)
    for step in range(25):
        await spool.write(step * K, [b"x" * K])
        assert told(ten) == account(root)
    assert there(ten, range(10)) == [3, 4, 5, 6, 7, 8, 9]
    await spool.discard()
    assert told(ten) == account(root) == Account(70 * K, 7, 0, 0)


async def test_downloads_under_way_count_with_their_whole_size(ten: DiskBlobStore) -> None:
    """Space is taken before the first byte, so many downloads at once don't overshoot together."""
    spools = [await ten.spool(f"download {number}", 20 * K) for number in range(4)]
    assert there(ten, range(10)) == [8, 9]
    last = await ten.spool("one more", 20 * K)
    with pytest.raises(StoreFull):
        await ten.spool("one too many", 20 * K)
    for spool in (*spools, last):
        await spool.discard()


async def test_a_broken_download_goes_before_any_file(ten: DiskBlobStore, root: Path) -> None:
    """One that nobody writes; one under way stays."""
    await ten.delete(name(8))
    await ten.delete(name(9))
    for number, key in enumerate(("left", "under way")):
        spool = await ten.spool(key, 10 * K)
        await spool.write(0, [content(number)[: 5 * K]])
        if key == "left":
            spool.close()
    await put(ten, 20)
    assert there(ten, range(8)) == list(range(8))
    assert len(list((root / "spool").glob("*.part"))) == 1
    assert told(ten) == account(root)


async def test_what_was_set_aside_goes_first_of_all(ten: DiskBlobStore, root: Path) -> None:
    await ten.delete(name(9))
    spool = await ten.spool("wrong", 10 * K)
    await spool.write(0, [content(9)])
    await spool.reject()
    await put(ten, 9)
    assert there(ten, range(10)) == list(range(10))
    assert names(root / "quarantine") == set()


async def test_what_is_spared_stays(ten: DiskBlobStore) -> None:
    ten.keeper.evictor.spared = lambda candidate: candidate.sha256 in {name(0), name(2)}
    await put(ten, 10)
    await put(ten, 11)
    assert there(ten, range(12)) == [0, 2, 4, 5, 6, 7, 8, 9, 10, 11]


async def test_a_cache_too_large_for_new_limits_shrinks_at_the_next_download(
    ten: DiskBlobStore, make: Make, root: Path
) -> None:
    async with make(room_for(3, root)) as store:
        await put(store, 10)
        assert there(store, range(11)) == [8, 9, 10]


async def test_room_is_left_on_the_file_system(small_disk: Path) -> None:
    """`min_free`, by what the file system says."""
    root = small_disk / "cache"
    if os.statvfs(small_disk).f_blocks > 4096:
        pytest.skip("no small file system can be mounted here")
    async with DiskBlobStore(root, limits=Limits(min_free=1 << 20)) as store:
        for number in range(8):
            await put(store, number, 700 * K)
        found = os.statvfs(root)
        assert found.f_bavail * found.f_frsize >= 1 << 20
        assert 3 <= len(there(store, range(8), 700 * K)) <= 4
        with pytest.raises(StoreFull):
            await store.spool("larger than what may be used", 3 << 20)


async def test_uses_survive_a_restart(ten: DiskBlobStore, make: Make, root: Path, clock: ManualClock) -> None:
    use(ten, 0)
    async with make(room_for(10, root)) as store:
        ten.keeper.uses.flush()
        await put(store, 10)
        assert there(store, range(3)) == [0, 2]


async def test_a_file_used_often_outlasts_one_used_later(ten: DiskBlobStore, clock: ManualClock) -> None:
    for _ in range(8):
        use(ten, 0)
    clock.advance(DAY)
    for number in range(1, 10):
        use(ten, number)
    clock.advance(60)
    await put(ten, 10)
    assert 0 in there(ten, range(10))


async def test_reading_a_file_tells_no_use(ten: DiskBlobStore) -> None:
    """A backup, the scrub: only what clients ask for counts."""
    before = ten.keeper.files.look(name(0))
    assert ten.keeper.verify(name(0)) is None
    assert ten.keeper.files.look(name(0)) == before


async def test_a_clock_that_was_ahead_makes_nothing_stay_for_ever(
    ten: DiskBlobStore, clock: ManualClock
) -> None:
    """A file used "in three years" counts as one used now, once it is used again."""
    ten.keeper.files.used(name(0), 1, clock() + 1000 * DAY)
    clock.advance(60)
    use(ten, 0)
    ten.keeper.uses.flush()
    found = ten.keeper.files.look(name(0))
    assert found is not None
    assert found.used_at == clock()


# The sums


async def test_the_sums_are_those_of_the_directory(make: Make, root: Path) -> None:
    async with make(Limits()) as store:
        await put(store, 1)
        await put(store, 1)
        await put(store, 2, 0)
        kept = await store.spool("kept", 50 * K)
        await kept.write(0, [b"x" * K])
        kept.close()
        unknown = await store.spool("of unknown size", None)
        await unknown.write(5 * K, [b"x" * K])
        await unknown.write(0, [b"x" * K])
        assert told(store) == account(root) == Account(10 * K, 2, 56 * K, 0)
        await unknown.reset(30 * K)
        assert told(store) == account(root)
        unknown.close()
        again = await store.spool("kept", 40 * K, resume=True)
        assert told(store) == account(root) == Account(10 * K, 2, 70 * K, 0)
        await again.reject()
        await store.delete(name(1))
        assert told(store) == account(root) == Account(0, 1, 30 * K, 0)


async def test_links_are_in_the_sums(make: Make, root: Path) -> None:
    async with make(Limits()) as store, LinkStore(root, usage=store.keeper.usage) as links:
        record = LinkRecord(index="i", project="p", path="a/b.whl", filename="b.whl", url="u", origin="o")
        await links.put(record)
        await links.put(
            LinkRecord(index="i", project="p", path="c.whl", filename="c.whl", url="u", origin="o")
        )
        await links.put(record)
        assert told(store) == account(root)
        assert told(store).links > 0
        await links.delete("i", "c.whl")
        assert told(store) == account(root)
        (root / "links" / place_of("i", "a/b.whl")).unlink()
        assert store.keeper.count().links == 0


async def test_damage_that_is_set_aside_leaves_the_sums(make: Make, root: Path) -> None:
    async with make(Limits()) as store:
        await put(store, 1)
        os.truncate(store.keeper.files.path(name(1)), 5)
        assert store.open(name(1), 10 * K) is None
        await store.settled()
        assert told(store) == account(root) == Account(0, 0, 0, 0)


@pytest.mark.parametrize("damage", [b"", b"x", b"pypiuse1" + b"\xff" * 8 * 769, bytes(100_000)])
async def test_damaged_sums_are_counted_anew(make: Make, root: Path, damage: bytes) -> None:
    async with make(Limits()) as store:
        for number in range(20):
            await put(store, number)
    (root / "usage").write_bytes(damage)
    async with make(Limits()) as store:
        while not store.keeper.evictor.surveyed:
            store.keeper.evictor.survey()
        assert told(store) == account(root) == Account(200 * K, 20, 0, 0)


async def test_files_come_and_go_while_they_are_counted(make: Make, root: Path) -> None:
    """A pass is exact, whatever happens beside it."""
    async with make(Limits()) as store:

        def passes() -> None:
            for _ in range(3 * 256):
                store.keeper.evictor.survey()

        counting = asyncio.create_task(asyncio.to_thread(passes))
        number = 0
        while not counting.done():
            await put(store, number, K)
            if number % 3 == 0:
                await store.delete(name(number // 2, K))
            number += 1
        await counting
        assert told(store) == account(root)


async def test_two_processes_share_the_sums(make: Make, root: Path, program: Program) -> None:
    """Room that one has booked isn't the other's."""
    other = program(
        "import asyncio, sys\nfrom pathlib import Path\nfrom pypicache.store.disk import DiskBlobStore\n"
        "async def main():\n"
        "    async with DiskBlobStore(Path(sys.argv[1])) as store:\n"
        "        await store.spool('theirs', 60_000)\n"
        "        print('booked', flush=True)\n"
        "        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)\n"
        "asyncio.run(main())",
        root,
    )
    assert other.stdout is not None
    assert await asyncio.to_thread(other.stdout.readline) == "booked\n"
    async with make(room_for(10, root)) as store:
        assert told(store).spools == 60 * K
        with pytest.raises(StoreFull):
            await store.spool("ours", 50 * K)
        other.kill()
        await asyncio.to_thread(other.wait)
        # What a dead process had booked is nobody's, and goes first.
        await (await store.spool("ours", 50 * K)).discard()
        assert told(store) == account(root) == Account(0, 0, 0, 0)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "use", "delete", "begin", "write", "leave", "discard", "reject", "reset"]),
        st.integers(0, 6),
        st.sampled_from([0, 1, K, 10 * K, 40 * K, 90 * K, None]),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
async def test_whatever_is_done_the_sums_are_right_and_within_the_limit(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, int | None]]
) -> None:
    root = tmp_path_factory.mktemp("steps") / "cache"
    async with DiskBlobStore(root):
        pass
    limits = room_for(10, root)
    assert limits.max_size is not None
    async with DiskBlobStore(root, limits=limits) as store:
        spools: dict[int, Any] = {}
        for what, number, size in steps:
            await do(store, spools, what, number, size)
            assert told(store) == account(root)
            assert store.keeper.room.held <= limits.max_size
        for spool in spools.values():
            spool.close()


async def do(store: DiskBlobStore, spools: dict[int, Any], what: str, number: int, size: int | None) -> None:
    try:
        if what == "put":
            await put(store, number, size or 0)
        elif what == "use":
            use(store, number, size or 0)
        elif what == "delete":
            await store.delete(name(number, size or 0))
        elif what == "begin" and number not in spools:
            spools[number] = await store.spool(f"spool {number}", size, resume=number % 2 == 0)
        elif number in spools:
            await do_spool(spools, what, number, size)
    except (StoreFull, SpoolBusy):
        if number in spools:
            await spools.pop(number).discard()


async def do_spool(spools: dict[int, Any], what: str, number: int, size: int | None) -> None:
    spool = spools[number]
    match what:
        case "write":
            most = (spool.size if spool.size is not None else 90 * K) - number * K
            await spool.write(number * K, [b"x" * min(size or K, max(0, most))])
        case "leave":
            spools.pop(number).close()
        case "discard":
            await spools.pop(number).discard()
        case "reject":
            await spools.pop(number).reject()
        case "reset":
            await spool.reset(size)


CHURN = """
import asyncio, hashlib, itertools, sys
from pathlib import Path
from pypicache.rules.eviction import Limits
from pypicache.store.disk import DiskBlobStore
async def main():
    async with DiskBlobStore(Path(sys.argv[1]), limits=Limits(max_size=300_000), threads=2) as store:
        print("ready", flush=True)
        for number in itertools.count():
            data = b"%d " % number * 4000
            spool = await store.spool(str(number % 3), len(data))
            await spool.write(0, [data])
            if number % 7 == 6:
                spool.close()
                continue
            (await store.publish(spool, hashlib.sha256(data).hexdigest())).close()
            print(number, flush=True)
asyncio.run(main())
"""


@pytest.mark.parametrize("lines", [30, 31, 37, 41])
async def test_l8_a_kill_in_the_middle_of_evicting_and_publishing(
    root: Path, program: Program, lines: int
) -> None:
    """The next start knows what is there: the sums are the directory's, and every blob is whole."""
    other = program(CHURN, root)
    assert other.stdout is not None
    for _ in range(lines):
        await asyncio.to_thread(other.stdout.readline)
    other.kill()
    await asyncio.to_thread(other.wait)
    with Keeper(root) as keeper:
        totals, truth = keeper.totals(), account(root)
        assert (totals.blobs, totals.count, totals.spools) == (truth.blobs, truth.count, truth.spools)
        assert weight(root) <= 300_000
    assert truth.count > 3
    assert wrong_blobs(root) == []


KILLED = """
import os, signal, sys
from pathlib import Path
from pypicache.store.keeper import Keeper
with Keeper(Path(sys.argv[1])) as keeper, keeper.usage.locked(**{sys.argv[2]: Path(sys.argv[3]).name}):
    Path(sys.argv[3]).unlink()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("kind", ["blob", "link"])
async def test_l8_a_kill_between_a_file_and_its_sum_is_made_good(
    ten: DiskBlobStore, root: Path, program: Program, kind: str
) -> None:
    """By whoever looks next, and by the next start: nothing else is counted for it."""
    async with LinkStore(root, usage=ten.keeper.usage) as links:
        for path in ("a.whl", "b.whl"):
            await links.put(LinkRecord(index="i", project="p", path=path, filename=path, url="u", origin="o"))
    place = root / ("blobs/sha256" if kind == "blob" else "links")
    first, second, *_ = (path for path in place.rglob("*") if path.is_file())
    assert await asyncio.to_thread(program(KILLED, root, kind, first).wait) == -signal.SIGKILL
    assert not first.exists()
    assert told(ten) != account(root)
    ten.keeper.mend()
    assert told(ten) == account(root)
    assert await asyncio.to_thread(program(KILLED, root, kind, second).wait) == -signal.SIGKILL
    assert told(ten) != account(root)
    with Keeper(root):
        assert told(ten) == account(root)
    assert ten.keeper.usage.sums.torn == []


# Without a daemon


@pytest.fixture
def keeper(root: Path) -> Iterator[Keeper]:
    with Keeper(root) as opened:
        yield opened


async def test_a_bare_directory_is_looked_after(ten: DiskBlobStore, root: Path) -> None:
    """What the commands are made of, beside a daemon or without one."""
    with Keeper(root) as keeper:
        assert {found.sha256 for found in keeper.scan()} == {name(number) for number in range(10)}
        assert keeper.totals().count == 10
        assert keeper.delete(name(0)) == 10 * K
        assert keeper.delete(name(0)) is None
        assert keeper.delete("../../etc/passwd") is None
    assert told(ten) == account(root)


async def test_damage_is_found_and_set_aside(ten: DiskBlobStore, root: Path) -> None:
    keeper = ten.keeper
    path = keeper.files.path(name(3))
    data = bytearray(path.read_bytes())
    data[5000] ^= 1
    path.write_bytes(bytes(data))
    assert keeper.verify(name(2)) is None
    found = keeper.verify(name(3))
    assert found is not None
    assert (found.path, path.exists()) == (path, True)
    assert keeper.verify(name(3), repair=True) == found
    assert not path.exists()
    assert keeper.verify(name(3)) is None
    assert told(ten) == account(root)


async def test_strays_are_found(ten: DiskBlobStore, root: Path) -> None:
    blobs = root / "blobs" / "sha256"
    home = ten.keeper.files.path(name(0)).parent
    (blobs / "README").write_bytes(b"")
    (home / "x.tmp").write_bytes(b"")
    (home / ("f" * 64)).write_bytes(b"at a wrong place")
    link, fifo = (home / (home.parent.name + home.name + digit * 60) for digit in "ab")
    link.symlink_to("nowhere")
    os.mkfifo(fifo)
    (blobs / "zz").mkdir()
    found = {damage.path for damage in ten.keeper.strays()}
    assert found == {blobs / "README", home / "x.tmp", home / ("f" * 64), link, fifo, blobs / "zz"}
