"""The janitor: what is cared for behind the daemon's back, when, and by whom."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import math
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import msgspec
import pytest

from pypicache.errors import StoreFull
from pypicache.events import BlobEvicted, Event, StoreTrouble
from pypicache.rules.eviction import DAY, Limits
from pypicache.rules.scrub import PLACES, due, pause
from pypicache.simple.model import Digest
from pypicache.store import evictor
from pypicache.store import janitor as module
from pypicache.store.disk import DiskBlobStore
from pypicache.store.janitor import Care, Janitor
from pypicache.store.keeper import Keeper
from pypicache.store.linkrecord import LinkRecord
from pypicache.store.links import LinkStore
from pypicache.store.scrub import Scrub
from tests.clock import ManualClock
from tests.store.accounts import account
from tests.store.conftest import names

K = 1000


class Heard:
    """An observer whose news can be waited for."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._news = asyncio.Event()

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        self._news.set()

    @property
    def evicted(self) -> dict[str, str]:
        """What was evicted, and why."""
        return {event.sha256: event.why for event in self.events if isinstance(event, BlobEvicted)}

    async def until(self, done: Callable[[], bool]) -> None:
        """Wait for news until that is so."""
        async with asyncio.timeout(10):
            while not done():
                self._news.clear()
                await self._news.wait()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
async def heard() -> Heard:
    return Heard()


@pytest.fixture
async def store(root: Path, clock: ManualClock, heard: Heard) -> AsyncIterator[DiskBlobStore]:
    async with DiskBlobStore(root, observe=heard, now=clock) as opened:
        yield opened


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for seconds."""
    for name in ("TICK", "PAUSE", "FLUSH", "QUOTAS", "RETRY"):
        monkeypatch.setattr(module, name, 0.01)


def tended(
    store: DiskBlobStore, heard: Heard, clock: ManualClock, care: Care
) -> contextlib.AbstractAsyncContextManager[Janitor]:
    return Janitor(store.keeper, care=care, observe=heard, now=clock)


async def put(store: DiskBlobStore, what: str, size: int = 10 * K) -> str:
    data = (what.encode() * size)[:size]
    sha256 = hashlib.sha256(data).hexdigest()
    spool = await store.spool(what, size)
    await spool.write(0, [data])
    (await store.publish(spool, sha256)).close()
    return sha256


async def link(links: LinkStore, sha256: str, project: str, index: str = "root/pypi") -> None:
    filename = f"{project}-{sha256[:8]}.whl"
    record = LinkRecord(
        index=index, project=project, path=filename, filename=filename, url="u", origin="o", sha256=sha256
    )
    await links.put(record)


def fixed(root: Path) -> int:
    return sum(path.stat().st_size for path in root.iterdir() if path.is_file()) + 200


# Room


async def test_headroom_is_kept(store: DiskBlobStore, heard: Heard, clock: ManualClock, root: Path) -> None:
    """So that a download of ordinary size waits for no eviction."""
    files = [await put(store, f"file {number}", 1 * K) for number in range(100)]
    limits = Limits(max_size=100 * K + fixed(root))
    async with tended(store, heard, clock, Care(limits=limits)):
        await heard.until(lambda: len(heard.evicted) >= 2)
    assert store.keeper.room.short(limits.max_size // 50 if limits.max_size else 0) == 0
    assert set(heard.evicted) <= set(files)
    assert len(heard.evicted) < 6


async def test_a_cache_over_new_limits_shrinks_and_says_when_it_cannot(
    store: DiskBlobStore, heard: Heard, clock: ManualClock, root: Path
) -> None:
    sha256 = await put(store, "read for ever")
    others = [await put(store, f"file {number}") for number in range(5)]
    reader = store.open(sha256)
    assert reader is not None
    async with tended(store, heard, clock, Care()) as janitor:
        janitor.change(Care(limits=Limits(max_size=5 * K)))
        await heard.until(lambda: any(isinstance(event, StoreTrouble) for event in heard.events))
    assert set(heard.evicted) == set(others)
    reader.close()


async def test_the_sums_are_mended_at_the_start(
    store: DiskBlobStore, heard: Heard, clock: ManualClock, root: Path
) -> None:
    """Somebody has deleted files, and left a file behind, while nobody looked."""
    gone, kept = await put(store, "gone"), await put(store, "kept")
    store.keeper.files.path(gone).unlink()
    assert store.keeper.totals().count == 2
    async with tended(store, heard, clock, Care()) as janitor:
        await janitor.surveyed.wait()
        totals = store.keeper.totals()
    assert (totals.blobs, totals.count) == (account(root).blobs, 1)
    assert store.keeper.files.look(kept) is not None


async def test_pauses_between_the_steps_of_a_pass_are_no_work(
    store: DiskBlobStore, clock: ManualClock
) -> None:
    """How long a pass takes decides how long its findings are believed: a leisurely one isn't believed for minutes."""
    evictor = store.keeper.evictor
    await put(store, "something")
    evictor.survey()
    await asyncio.to_thread(time.sleep, 0.4)
    began = time.monotonic()
    while evictor.passing:
        evictor.survey()
    assert evictor._took < time.monotonic() - began + 0.2
    assert evictor.free(lambda: 1 if store.keeper.totals().count else 0) == 1


async def test_one_process_looks_after_the_cache_until_it_ends(
    store: DiskBlobStore, heard: Heard, clock: ManualClock
) -> None:
    async with tended(store, heard, clock, Care()) as second:
        async with tended(store, heard, clock, Care()) as first:
            # Whoever of the two was first has it; the lock tells them apart as it does processes.
            has = [janitor for janitor in (first, second) if janitor._claim()]
            assert len(has) == 1
        assert second._claim()


async def test_use_times_are_written_down_now_and_then(
    store: DiskBlobStore, heard: Heard, clock: ManualClock
) -> None:
    sha256 = await put(store, "used")
    clock.advance(100)
    blob = store.open(sha256)
    assert blob is not None
    blob.close()
    async with tended(store, heard, clock, Care()):
        while len(store.keeper.uses):
            await asyncio.to_thread(time.sleep, 0.01)
    found = store.keeper.files.look(sha256)
    assert found is not None
    assert found.used_at == clock()


# Age


async def test_what_nobody_used_for_too_long_goes(
    store: DiskBlobStore, heard: Heard, clock: ManualClock
) -> None:
    old, read = await put(store, "old"), await put(store, "old and read")
    reader = store.open(read)
    clock.advance(6 * DAY)
    fresh = await put(store, "fresh")
    clock.advance(5 * DAY)
    async with tended(store, heard, clock, Care(limits=Limits(max_age=10 * DAY))) as janitor:
        await janitor.surveyed.wait()
        await heard.until(lambda: old in heard.evicted)
    assert heard.evicted == {old: "age"}
    assert store.keeper.files.look(fresh) is not None
    assert reader is not None
    reader.close()


async def test_l10_a_clock_set_ahead_while_it_runs_expires_nothing(
    store: DiskBlobStore, heard: Heard, clock: ManualClock
) -> None:
    sha256 = await put(store, "in use")
    async with tended(store, heard, clock, Care(limits=Limits(max_age=2 * DAY))) as janitor:
        clock.jump(3 * DAY)
        found = store.keeper.files.look(sha256)
        assert found is not None
        janitor._anchor = (clock() - 3 * DAY, time.monotonic())  # the pass before was a moment ago
        await janitor._expire([found])
    assert heard.evicted == {}


# Pins and quotas


async def test_pinned_projects_are_spared(
    store: DiskBlobStore, heard: Heard, clock: ManualClock, root: Path
) -> None:
    async with LinkStore(root, usage=store.keeper.usage) as links:
        files = {}
        for project in ("acme-a", "other", "acme-b", "another"):
            files[project] = await put(store, project)
            await link(links, files[project], project)
            clock.advance(DAY)
        care = Care(
            limits=Limits(max_size=40 * K + 4 * 500 + fixed(root)), pinned=lambda project: "acme" in project
        )
        async with tended(store, heard, clock, care):
            for number in range(2):
                await put(store, f"new {number}")
            await heard.until(lambda: len(heard.evicted) >= 2)
            assert set(heard.evicted) >= {files["other"], files["another"]}
            assert not set(heard.evicted) & {files["acme-a"], files["acme-b"]}
            with pytest.raises(StoreFull):
                await store.spool("nothing else may go", 25 * K)


async def test_a_file_that_was_pinned_a_moment_ago_is_spared(
    store: DiskBlobStore, heard: Heard, clock: ManualClock, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evictor, "DEAR", math.inf)  # however slow the machine is
    async with LinkStore(root, usage=store.keeper.usage) as links:
        care = Care(limits=Limits(max_size=30 * K + fixed(root)), pinned=lambda project: project == "acme")
        async with tended(store, heard, clock, care):
            other = await put(store, "other")
            clock.advance(60)
            await put(store, "makes the links be read", 20 * K)
            with contextlib.suppress(StoreFull):
                await put(store, "makes room", 15 * K)
            assert other in heard.evicted or store.keeper.files.look(other) is None
            sha256 = await put(store, "acme")
            await link(links, sha256, "acme")
            clock.advance(60)
            for number in range(3):
                clock.advance(60)
                await put(store, f"new {number}", 15 * K)
            assert store.keeper.files.look(sha256) is not None


async def test_an_index_keeps_to_its_quota(
    store: DiskBlobStore, heard: Heard, clock: ManualClock, root: Path
) -> None:
    """Its coldest go, and nobody else's; what is linked later counts too."""
    async with LinkStore(root, usage=store.keeper.usage) as links:

        async def fill(index: str, count: int, since: int = 0) -> list[str]:
            made = []
            for number in range(since, since + count):
                made.append(await put(store, f"{index} {number}"))
                await link(links, made[-1], f"p{number}", index)
                clock.advance(DAY)
            return made

        theirs = await fill("root/pypi", 5)
        ours = await fill("corp", 6)
        async with tended(store, heard, clock, Care(quotas={"corp": 45 * K})):
            await heard.until(lambda: len(heard.evicted) >= 2)
            assert heard.evicted == dict.fromkeys(ours[:2], "quota")
            ours += await fill("corp", 2, since=6)
            await heard.until(lambda: len(heard.evicted) >= 4)
        assert heard.evicted == dict.fromkeys(ours[:4], "quota")
        assert all(store.keeper.files.look(sha256) is not None for sha256 in theirs)


async def test_links_to_files_long_gone_are_forgotten(
    store: DiskBlobStore, heard: Heard, clock: ManualClock, root: Path
) -> None:
    """Before they crowd out the files; not those of stored files, nor those that hold the only digest."""
    async with LinkStore(root, usage=store.keeper.usage) as links:
        kept = await put(store, "stored")
        digests = (Digest("sha256", "0" * 64),)
        for number in range(200):
            path = f"gone-{number}.whl"
            record = LinkRecord(
                index="i", project="p", path=path, filename=path, url="u", origin="o", sha256=f"{number:064x}"
            )
            await links.put(msgspec.structs.replace(record, digests=digests if number else ()))
        record = LinkRecord(
            index="i", project="p", path="s.whl", filename="s.whl", url="u", origin="o", sha256=kept
        )
        await links.put(msgspec.structs.replace(record, digests=digests))
        before = store.keeper.usage.sums.links
        care = Care(limits=Limits(max_size=4 * before + 20 * K + fixed(root)))
        async with tended(store, heard, clock, care):
            async with asyncio.timeout(10):
                while store.keeper.usage.sums.links > before * 3 // 5:
                    await asyncio.to_thread(time.sleep, 0.01)
        assert store.keeper.totals().links == account(root).links
        assert links.get("i", "gone-0.whl") is not None
        assert links.get("i", "s.whl") is not None
        assert len(await links.by_filename("i", "s.whl")) == 1


# The scrub


@pytest.fixture
def keeper(root: Path) -> Keeper:
    opened = Keeper(root)
    opened.open()
    return opened


def damage_all(root: Path, sha256s: Mapping[str, str]) -> None:
    blobs = root / "blobs" / "sha256"

    def path(name: str) -> Path:
        return blobs / sha256s[name][:2] / sha256s[name][2:4] / sha256s[name]

    data = bytearray(path("flipped").read_bytes())
    data[-1] ^= 0x80
    path("flipped").write_bytes(bytes(data))
    os.truncate(path("truncated"), 10)
    path("replaced").write_bytes(b"something else")
    path("linked").unlink()
    path("linked").symlink_to(path("sound"))
    path("fifo").unlink()
    os.mkfifo(path("fifo"))
    path("directory").unlink()
    path("directory").mkdir()
    (path("sound").parent / "README").write_bytes(b"")
    (blobs / "stray").write_bytes(b"")


async def test_the_scrub_finds_every_kind_of_damage(store: DiskBlobStore, root: Path) -> None:
    """What it sets aside is fetched again when it is asked for; what is sound stays."""
    kinds = ("sound", "flipped", "truncated", "replaced", "linked", "fifo", "directory")
    files = {kind: await put(store, kind) for kind in kinds}
    damage_all(root, files)
    found = await asyncio.to_thread(Scrub(store.keeper).step, 0, PLACES)
    assert {each.path.name for each in found} == {*files.values(), "README", "stray"} - {files["sound"]}
    assert len(names(root / "quarantine")) == 6  # links and FIFOs are removed
    for kind, sha256 in files.items():
        blob = store.open(sha256)
        assert (blob is None) == (kind != "sound")
        if blob is not None:
            blob.close()
    assert store.keeper.totals().count == 1
    assert await asyncio.to_thread(Scrub(store.keeper).step, 0, PLACES) == []


async def test_the_scrub_goes_on_where_it_was(store: DiskBlobStore) -> None:
    sha256 = await put(store, "anything")
    place = int(sha256[:4], 16)
    scrub = Scrub(store.keeper)
    os.truncate(store.keeper.files.path(sha256), 1)
    assert scrub.place() == 0
    assert await asyncio.to_thread(scrub.step, 0, place) == []
    assert Scrub(store.keeper).place() == place
    assert len(await asyncio.to_thread(scrub.step, place, 1)) == 1


@pytest.mark.parametrize("text", [b"", b"\n", b"nonsense", b"-5\n", b"99999999\n", b"\xff" * 30])
def test_a_damaged_note_of_the_place_is_no_trouble(keeper: Keeper, root: Path, text: bytes) -> None:
    (root / "scrub").write_bytes(text)
    assert 0 <= Scrub(keeper).place() < PLACES
    keeper.close()


async def test_the_scrub_runs_behind(store: DiskBlobStore, heard: Heard, clock: ManualClock) -> None:
    """In the time that is asked for, and it ends at once with the janitor."""
    sha256 = await put(store, "to be damaged")
    os.truncate(store.keeper.files.path(sha256), 1)
    async with tended(store, heard, clock, Care(scrub=0.5)):
        await heard.until(lambda: any(isinstance(event, StoreTrouble) for event in heard.events))
    assert sha256 in str(heard.events[-1])
    assert store.open(sha256) is None


async def test_a_scrub_that_is_stopped_ends_in_the_middle_of_a_file(store: DiskBlobStore) -> None:
    sha256 = await put(store, "large", 20 << 20)
    scrub = Scrub(store.keeper)
    scrub.stop.set()
    assert await asyncio.to_thread(scrub.step, int(sha256[:4], 16), 1) == []
    assert store.keeper.verify(sha256, repair=True, stop=scrub.stop) is None
    assert store.keeper.files.look(sha256) is not None


@pytest.mark.parametrize(
    ("elapsed", "expected"), [(0.0, 7), (15 * DAY, 7 + PLACES // 2), (30 * DAY, 7 + PLACES)]
)
def test_a_scrub_is_spread_evenly(elapsed: float, expected: int) -> None:
    assert due(begun_at=7, elapsed=elapsed, period=30 * DAY) == expected


def test_looks_at_what_is_due_are_neither_many_nor_rare() -> None:
    assert pause(1.0) == 0.25
    assert pause(30 * DAY) == pytest.approx(39.55, abs=0.01)
    assert pause(3650 * DAY) == 60


# Many files


def plant(root: Path, count: int) -> None:
    """So many blobs of no bytes, without the store."""
    for number in range(count):
        sha256 = hashlib.sha256(b"%d" % number).hexdigest()
        directory = root / "blobs" / "sha256" / sha256[:2] / sha256[2:4]
        directory.mkdir(parents=True, exist_ok=True)
        os.close(os.open(directory / sha256, os.O_CREAT | os.O_WRONLY, 0o600))


@pytest.mark.parametrize(
    "count", [1000, pytest.param(1_000_000, marks=[pytest.mark.soak, pytest.mark.timeout(900)])]
)
async def test_a_start_with_many_files_serves_at_once(
    root: Path, heard: Heard, clock: ManualClock, count: int
) -> None:
    """Counting goes on behind, in short steps: nobody waits for the whole of it."""
    async with DiskBlobStore(root):
        pass
    (root / "blobs" / "sha256").mkdir(exist_ok=True)
    await asyncio.to_thread(plant, root, count)
    for path in (root / "blobs").rglob("*"):
        if path.is_dir():
            path.chmod(0o700)
    began = time.monotonic()
    async with (
        DiskBlobStore(root, observe=heard, now=clock) as store,
        tended(store, heard, clock, Care()) as janitor,
    ):
        sha256 = await put(store, "served while it counts")
        blob = store.open(sha256)
        assert blob is not None
        blob.close()
        served = time.monotonic() - began
        assert not janitor.surveyed.is_set()
        await janitor.surveyed.wait()
        counted = time.monotonic() - began
        assert store.keeper.totals().count == count + 1
    assert served < 1.0
    assert served < counted
