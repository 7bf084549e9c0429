"""The page store: what is put is got, and no trouble below reaches who asks."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import random
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from pypicache.errors import StoreError
from pypicache.events import Event, StoreTrouble
from pypicache.store.diskpages import DiskPageStore
from pypicache.store.pages import PageStore
from tests.store.conftest import Program, make_directory, mode_of, move, names, open_descriptors

LARGE = random.Random(1).randbytes(3 << 20)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "pages"


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
async def pages(directory: Path, events: list[Event]) -> AsyncIterator[DiskPageStore]:
    async with DiskPageStore(directory, retry=0.01, observe=events.append) as opened:
        yield opened


def told(events: list[Event]) -> str:
    return "\n".join(event.reason for event in events if isinstance(event, StoreTrouble))


@contextlib.contextmanager
def database(directory: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(directory / "cache.db", isolation_level=None)) as connection:
        yield connection


async def stored(pages: PageStore, **values: bytes) -> None:
    pages.put(values)
    await pages.flush()


async def usable(pages: DiskPageStore) -> None:
    """Wait until a value is stored, so until there is a database again."""
    async with asyncio.timeout(5):
        await stored(pages, probe=b"probe")
        assert pages.usable


@pytest.mark.parametrize("value", [b"", b"x", b"\0" * 100, LARGE], ids=len)
async def test_what_is_put_is_got(pages: DiskPageStore, directory: Path, value: bytes) -> None:
    pages.put({"a": value, "b": b"other"})
    assert await pages.get("a") == value
    await pages.flush()
    assert await pages.get("a") == value
    assert await pages.get("b") == b"other"
    assert await pages.get("c") is None


async def test_it_survives_a_restart(directory: Path) -> None:
    async with DiskPageStore(directory) as pages:
        pages.put({"a": b"1", "b": b"2"})
    async with DiskPageStore(directory) as pages:
        assert await pages.get("a") == b"1"
        pages.drop(("a", "nothing"))
    async with DiskPageStore(directory) as pages:
        assert await pages.get("a") is None
        assert await pages.get("b") == b"2"


async def test_what_waits_is_got_at_once_and_in_order(pages: DiskPageStore) -> None:
    for n in range(100):
        pages.put({"key": b"%d" % n})
        assert await pages.get("key") == b"%d" % n
        pages.drop(("key",))
        assert await pages.get("key") is None
    pages.put({"key": b"last"})
    await pages.flush()
    assert await pages.get("key") == b"last"


async def test_keys_that_are_no_text_are_never_found(pages: DiskPageStore) -> None:
    await stored(pages, **{"\ud800": b"1", "caf\u00e9": b"2", "nul\0": b"3"})
    assert await pages.get("\ud800") is None
    assert await pages.get("caf\u00e9") == b"2"
    assert await pages.get("nul\0") == b"3"
    pages.drop(("\ud800",))
    await pages.flush()


async def test_a_clock_that_jumps_loses_nothing(
    directory: Path, pages: DiskPageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`expire` is for garbage: a page kept for 30 days is found after a step of 3 days, and one of a minute goes."""
    now = time.time()
    pages.put({"page": b"1"}, expire=30 * 86400)
    pages.put({"absence": b"1"}, expire=60)
    await pages.flush()
    monkeypatch.setattr("diskcache.core.time.time", lambda: now + 31 * 86400)
    assert await pages.get("page") == b"1"
    assert await pages.get("absence") is None
    await stored(pages, more=b"1")
    with database(directory) as connection:
        assert connection.execute("SELECT count(*) FROM Cache WHERE key = 'absence'").fetchone() == (0,)


async def test_the_size_is_bounded(directory: Path) -> None:
    async with DiskPageStore(directory, size_limit=2 << 20) as pages:
        for n in range(100):
            await stored(pages, **{f"key{n}": os.urandom(100_000)})
        assert await pages.get("key99") is not None
        assert await pages.get("key0") is None
    assert (directory / "cache.db").stat().st_size < 3 << 20


async def test_the_directory_is_private_and_has_no_other_files(pages: DiskPageStore, directory: Path) -> None:
    """Values are in the database, whatever their size: no orphans, no short files."""
    await stored(pages, large=LARGE)
    assert mode_of(directory) == 0o700
    assert names(directory) <= {"cache.db", "cache.db-wal", "cache.db-shm"}


async def test_a_directory_that_others_can_write_to_is_refused(directory: Path) -> None:
    make_directory(directory, 0o777)
    before = open_descriptors()
    with pytest.raises(StoreError, match="chmod go-w"):
        async with DiskPageStore(directory):
            pass
    assert open_descriptors() == before


async def test_every_descriptor_is_given_back(directory: Path) -> None:
    before = open_descriptors()
    async with DiskPageStore(directory) as pages:
        await stored(pages, a=b"1")
        assert await pages.get("a") == b"1"
    assert open_descriptors() == before


async def test_a_closed_store_has_nothing(directory: Path) -> None:
    async with DiskPageStore(directory) as pages:
        await stored(pages, a=b"1")
    assert await pages.get("a") is None


# What somebody else wrote into the database (CVE-2025-69872)


class Bomb:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.mark),)


async def test_a_planted_pickle_runs_no_code(
    pages: DiskPageStore, directory: Path, tmp_path: Path, events: list[Event]
) -> None:
    mark = tmp_path / "code ran"
    planted = pickle.dumps(Bomb(mark))
    await stored(pages, key=b"value", other=b"fine")
    with database(directory) as connection:
        connection.execute("UPDATE Cache SET mode = 4, value = ? WHERE key = 'key'", (planted,))
    assert await pages.get("key") is None
    assert await pages.get("other") == b"fine"
    await pages.flush()
    assert not mark.exists()
    assert "row was removed" in told(events)
    with database(directory) as connection:
        assert connection.execute("SELECT count(*) FROM Cache WHERE key = 'key'").fetchone() == (0,)
    pickle.loads(planted)
    assert mark.exists()  # so the bomb was a live one


async def test_a_planted_pickle_as_a_key_runs_no_code(
    pages: DiskPageStore, directory: Path, tmp_path: Path
) -> None:
    mark = tmp_path / "code ran"
    await stored(pages, key=b"value")
    with database(directory) as connection:
        connection.execute("UPDATE Cache SET raw = 0, key = ?", (pickle.dumps(Bomb(mark)),))
    assert await pages.get("key") is None
    await stored(pages, key=b"value")
    assert await pages.get("key") == b"value"
    assert not mark.exists()


@pytest.mark.parametrize("mode", [0, 2, 3, 4, 99, "x", None])
@pytest.mark.parametrize("value", [None, "text", 7, b"bytes"])
async def test_planted_file_names_are_neither_read_nor_removed(
    pages: DiskPageStore, directory: Path, tmp_path: Path, mode: object, value: object
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    await stored(pages, key=b"value")
    with database(directory) as connection:
        connection.execute("UPDATE Cache SET mode = ?, value = ?, filename = ?", (mode, value, str(secret)))
    assert await pages.get("key") is None
    pages.drop(("key",))
    await stored(pages, key=b"new")
    assert await pages.get("key") == b"new"
    assert secret.read_bytes() == b"secret"


@pytest.mark.parametrize(
    ("key", "value"),
    [("disk_pickle_protocol", 5), ("disk_nonsense", 1), ("_directory", "elsewhere"), ("sqlite_evil", "1")],
)
async def test_planted_settings_are_not_followed(directory: Path, key: str, value: object) -> None:
    async with DiskPageStore(directory) as pages:
        await stored(pages, a=b"1")
    with database(directory) as connection:
        connection.execute("INSERT OR REPLACE INTO Settings VALUES (?, ?)", (key, value))
    async with DiskPageStore(directory) as pages:
        await usable(pages)
    with database(directory) as connection:
        assert connection.execute("SELECT value FROM Settings WHERE key = ?", (key,)).fetchone() in {
            None,
            (0,),
        }


# L6: damage.


@pytest.mark.parametrize("swap", [False, True])
async def test_a_value_that_was_changed_or_moved_is_not_served(
    pages: DiskPageStore, directory: Path, events: list[Event], swap: bool
) -> None:
    """SQLite has no checksums: each value carries one, with its key."""
    await stored(pages, a=b"value of a", b=b"value of b")
    with database(directory) as connection:
        if swap:
            connection.execute("UPDATE Cache SET value = (SELECT value FROM Cache WHERE key = 'b')")
        else:
            connection.execute(
                "UPDATE Cache SET value = CAST(replace(value, 'a', 'x') AS BLOB) WHERE key = 'a'"
            )
    assert await pages.get("a") is None
    assert "checksum" in told(events)
    assert await pages.get("b") == b"value of b"


LEAVE = """
import asyncio, os, sys
from pathlib import Path
from pypicache.store.diskpages import DiskPageStore
async def main():
    async with DiskPageStore(Path(sys.argv[1])) as pages:
        for n in range(300):
            pages.put({f"key{n}": b"%d " % n * 1000})
        await pages.flush()
        os._exit(0)
asyncio.run(main())
"""


def garbage_header(directory: Path) -> None:
    with (directory / "cache.db").open("r+b") as file:
        file.write(b"garbage " * 16)


def garbage_middle(directory: Path) -> None:
    size = (directory / "cache.db").stat().st_size
    with (directory / "cache.db").open("r+b") as file:
        file.seek(size // 4)
        file.write(random.Random(2).randbytes(size // 2))


def zero_length(directory: Path) -> None:
    os.truncate(directory / "cache.db", 0)


def cut_short(directory: Path) -> None:
    os.truncate(directory / "cache.db", (directory / "cache.db").stat().st_size // 2 + 100)


def no_journal(directory: Path) -> None:
    (directory / "cache.db-wal").unlink(missing_ok=True)


def garbage_journal(directory: Path) -> None:
    (directory / "cache.db-wal").write_bytes(random.Random(3).randbytes(100_000))


def garbage_shared_memory(directory: Path) -> None:
    (directory / "cache.db-shm").write_bytes(random.Random(4).randbytes(32768))


def no_database(directory: Path) -> None:
    (directory / "cache.db").unlink()


def a_directory(directory: Path) -> None:
    (directory / "cache.db").unlink()
    (directory / "cache.db").mkdir()


DAMAGE = [
    garbage_header, garbage_middle, zero_length, cut_short, no_journal, garbage_journal, garbage_shared_memory, no_database,
    a_directory,
]  # fmt: skip


async def nothing_wrong_is_served(pages: DiskPageStore) -> None:
    for n in range(300):
        assert await pages.get(f"key{n}") in {None, b"%d " % n * 1000}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("checkpointed", [True, False])
async def test_a_database_damaged_before_the_start(
    directory: Path, program: Program, damage: Callable[[Path], None], checkpointed: bool
) -> None:
    """Open within 5 s, no wrong value, and writable again."""
    other = program(LEAVE, directory)
    assert await asyncio.to_thread(other.wait) == 0
    assert (directory / "cache.db-wal").stat().st_size
    if checkpointed:
        with database(directory) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    damage(directory)
    begun = time.monotonic()
    async with DiskPageStore(directory, retry=0.01) as pages:
        assert time.monotonic() - begun < 5
        await nothing_wrong_is_served(pages)
        await usable(pages)
        await nothing_wrong_is_served(pages)
    async with DiskPageStore(directory, retry=0.01) as pages:
        assert await pages.get("probe") == b"probe"


@pytest.mark.parametrize("damage", [garbage_header, garbage_middle])
async def test_a_database_damaged_while_open(
    directory: Path, pages: DiskPageStore, events: list[Event], damage: Callable[[Path], None]
) -> None:
    await stored(pages, **{f"key{n}": b"%d " % n * 1000 for n in range(300)})
    with database(directory) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        # Changes the counter by which the store's connections know that what they hold in memory is old.
        connection.execute("UPDATE Settings SET value = value WHERE key = 'hits'")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    damage(directory)
    await nothing_wrong_is_served(pages)
    async with asyncio.timeout(10):
        while "set aside" not in told(events):
            await stored(pages, **{f"new{n}": b"new" * 1000 for n in range(50)})
            await nothing_wrong_is_served(pages)
        await usable(pages)
    kept = [name for name in names(directory.parent) if ".corrupt-" in name]
    assert len(kept) == 1


async def test_a_database_cut_to_nothing_under_another_process(directory: Path, program: Program) -> None:
    """Left alone, diskcache retries for a minute, since the other process still holds the lock of the journal."""
    async with DiskPageStore(directory) as pages:
        await stored(pages, a=b"1")
    other = program(LOCK, directory, "UPDATE Settings SET value = value")
    assert other.stdout is not None
    assert await asyncio.to_thread(other.stdout.readline) == "locked\n"
    zero_length(directory)
    begun = time.monotonic()
    async with DiskPageStore(directory, retry=0.01) as pages:
        assert time.monotonic() - begun < 5
        await usable(pages)
        assert await pages.get("a") is None


async def test_two_stores_that_see_the_same_damage_set_aside_one_database(directory: Path) -> None:
    """The second finds another database in its place, and takes that."""
    async with DiskPageStore(directory, retry=0.01) as one, DiskPageStore(directory, retry=0.01) as two:
        await stored(one, a=b"1")
        await stored(two, b=b"2")
        garbage_header(directory)
        os.truncate(directory / "cache.db-wal", 0)
        for pages in (one, two):
            await usable(pages)
        await stored(one, c=b"3")
        assert await two.get("c") == b"3"
        assert names(directory.parent) - {"pages"} == {
            next(n for n in names(directory.parent) if ".corrupt-" in n)
        }


async def test_only_the_newest_damaged_database_is_kept(directory: Path) -> None:
    for n in range(3):
        async with DiskPageStore(directory, now=lambda: 1000.0 + n) as pages:  # noqa: B023 - used in this round only
            await stored(pages, a=b"1")
        garbage_header(directory)
    async with DiskPageStore(directory, now=lambda: 2000.0):
        pass
    assert names(directory.parent) == {"pages", "pages.corrupt-2000"}


async def test_a_database_that_was_taken_away_is_made_anew(directory: Path, pages: DiskPageStore) -> None:
    """Somebody removed the directory, or another process set it aside: nothing is written where nobody reads."""
    await stored(pages, a=b"1")
    move(directory, directory.with_name("elsewhere"))
    await usable(pages)
    assert "cache.db" in names(directory)
    assert await pages.get("a") is None
    assert not any(".corrupt-" in name for name in names(directory.parent))


async def test_two_stores_on_one_directory_share_it(directory: Path, pages: DiskPageStore) -> None:
    async with DiskPageStore(directory) as other:
        await stored(pages, a=b"1")
        assert await other.get("a") == b"1"
        await stored(other, a=b"2")
        assert await pages.get("a") == b"2"
        await asyncio.gather(
            stored(pages, **{f"x{n}": b"1" for n in range(500)}),
            stored(other, **{f"y{n}": b"2" for n in range(500)}),
        )
        assert await pages.get("y499") == b"2"
        assert await other.get("x499") == b"1"
    assert pages.lost == 0


# A database that is locked (L5), full, or can't be written to

LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1] + "/cache.db", isolation_level=None)
connection.execute(sys.argv[2])
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.readline()
connection.execute("COMMIT")
connection.close()
print("free", flush=True)
sys.stdin.readline()
"""


async def test_a_locked_database_holds_up_nobody(
    directory: Path, pages: DiskPageStore, program: Program, events: list[Event]
) -> None:
    """What is stored is read, what is put waits and is got, and is stored when the lock falls."""
    async with DiskPageStore(directory, timeout=0.05, retry=0.01, observe=events.append) as ours:
        await stored(ours, old=b"1")
        other = program(LOCK, directory, "SELECT 1")
        assert other.stdout is not None
        assert other.stdin is not None
        assert await asyncio.to_thread(other.stdout.readline) == "locked\n"
        ours.put({"new": b"2"})
        ours.drop(("old",))
        async with asyncio.timeout(5):
            while "locked" not in told(events):
                begun = time.monotonic()
                assert await ours.get("new") == b"2"
                assert await ours.get("old") is None
                assert await ours.get("neither") is None
                assert time.monotonic() - begun < 1
        other.stdin.write("\n")
        other.stdin.flush()
        assert await asyncio.to_thread(other.stdout.readline) == "free\n"
        async with asyncio.timeout(10):
            await ours.flush()
        assert ours.lost == 0
        assert await pages.get("new") == b"2"
        assert await pages.get("old") is None


async def test_a_database_locked_against_reading_too_is_asked_once_in_a_while(
    directory: Path, program: Program
) -> None:
    now = 0.0
    async with DiskPageStore(directory) as pages:
        await stored(pages, old=b"1")
    with database(directory) as connection:
        connection.execute("PRAGMA journal_mode = delete").fetchall()
    other = program(LOCK, directory, "PRAGMA locking_mode = EXCLUSIVE")
    assert other.stdout is not None
    assert await asyncio.to_thread(other.stdout.readline) == "locked\n"
    begun = time.monotonic()
    async with DiskPageStore(directory, timeout=0.2, close_patience=0.2, clock=lambda: now) as pages:
        assert not pages.usable
        assert await pages.get("old") is None
        pages.put({"new": b"2"})
        assert await pages.get("new") == b"2"
    assert time.monotonic() - begun < 5
    assert not any(".corrupt-" in name for name in names(directory.parent))


async def test_after_a_read_that_failed_the_next_ones_do_not_wait(
    directory: Path, events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every request would else wait for the same lock or the same bad disk, one after the other in the one thread."""
    now = 0.0
    asked: list[str] = []

    def fails(_: object, key: str) -> None:
        asked.append(key)
        raise sqlite3.OperationalError("disk I/O error")

    async with DiskPageStore(directory, retry=1.0, observe=events.append, clock=lambda: now) as pages:
        await stored(pages, key=b"1")
        with monkeypatch.context() as patch:
            patch.setattr("diskcache.Cache.get", fails)
            for n in range(10):
                assert await pages.get(f"key{n}") is None
            assert asked == ["key0"]
        now = 1.1
        assert await pages.get("key") == b"1"
    assert "disk I/O error" in told(events)


async def test_a_queue_that_is_full_loses_the_oldest(
    directory: Path, program: Program, events: list[Event]
) -> None:
    async with DiskPageStore(
        directory, timeout=0.02, retry=0.01, max_count=20, max_bytes=10_000, close_patience=0.1, observe=events.append
    ) as pages:  # fmt: skip
        await stored(pages, purged=b"1")
        other = program(LOCK, directory, "SELECT 1")
        assert other.stdout is not None
        assert await asyncio.to_thread(other.stdout.readline) == "locked\n"
        pages.drop(("purged",))
        for n in range(100):
            pages.put({f"key{n}": b"v" * 100})
        assert 79 <= pages.lost <= 81
        assert "queue is full" in told(events)
        assert await pages.get("key99") == b"v" * 100
        assert await pages.get("purged") is None
        pages.put({"too large": b"v" * 10_001})
        assert await pages.get("too large") is None
        assert await pages.get("key99") == b"v" * 100
    assert "closed before everything was stored" in told(events)


async def test_a_full_disk_loses_values_and_recovers(small_disk: Path, events: list[Event]) -> None:
    directory = small_disk / "pages"
    async with DiskPageStore(directory, retry=0.01, observe=events.append) as pages:
        await stored(pages, old=b"1")
        await stored(pages, large=bytes(random.Random(5).randbytes(6 << 20)))
        assert pages.lost == 1
        assert "can't write" in told(events)
        assert await pages.get("old") == b"1"
        assert await pages.get("large") is None
        await stored(pages, new=b"2")
        assert await pages.get("new") == b"2"
        pages.drop(("old",))
        await pages.flush()
        assert await pages.get("old") is None
    assert not any(".corrupt-" in name for name in names(small_disk))


async def test_a_disk_that_is_full_at_the_start(small_disk: Path, events: list[Event]) -> None:
    filler = small_disk / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    directory = small_disk / "pages"
    async with DiskPageStore(directory, retry=0.01, observe=events.append) as pages:
        pages.put({"a": b"1"})
        assert await pages.get("a") == b"1"
        filler.unlink()
        async with asyncio.timeout(5):
            await pages.flush()
        pages.put({"b": b"2"})
        await usable(pages)
        assert await pages.get("b") == b"2"


async def test_trouble_is_told_once_a_minute(directory: Path, events: list[Event]) -> None:
    now = 0.0
    async with DiskPageStore(directory, max_bytes=10, observe=events.append, clock=lambda: now) as pages:
        for _ in range(1000):
            pages.put({"a": b"x" * 11})
        assert len(events) == 1
        now = 61.0
        pages.put({"a": b"x" * 11})
    assert len(events) == 2
    assert "999 times more" in told(events)


@pytest.mark.parametrize("change", ["key = x'ff'", "key = 7", "raw = 0"])
async def test_a_key_that_is_none_of_ours_hides_no_other(
    pages: DiskPageStore, directory: Path, change: str
) -> None:
    await stored(pages, **{f"key{number}": b"value" for number in range(5)})
    with database(directory) as connection:
        connection.execute(f"UPDATE Cache SET {change} WHERE key = 'key2'")
    assert await pages.keys("key") == ("key0", "key1", "key3", "key4")


async def test_keys_are_those_that_have_a_value_stored_or_waiting(pages: DiskPageStore) -> None:
    pages.put({f"entry:a:{number:04}": b"x" for number in range(1500)})
    await stored(pages, **{"entry:b:x": b"x", "page:y": b"y"})
    pages.put({"entry:b:new": b"x"})
    pages.drop(("entry:a:0003",))
    assert await pages.keys("entry:b:") == ("entry:b:new", "entry:b:x")
    assert len(await pages.keys("entry:")) == 1501
    assert await pages.keys("none") == ()
