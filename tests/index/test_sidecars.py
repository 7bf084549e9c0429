"""Sidecars that are made: the ways to one, in their order; over real stores in memory and scripted copies."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import zipfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Never

import pytest

from pypicache.errors import (
    AllUpstreamsFailed,
    FileNotFound,
    IntegrityError,
    PypicacheError,
    StoreFull,
    UpstreamError,
    UpstreamGarbled,
    UpstreamRefused,
    UpstreamTimeout,
)
from pypicache.events import Event, MirrorFailed, SidecarMade
from pypicache.index import unstored
from pypicache.index.content import Content, Stored
from pypicache.index.extract import Extractor, NoRanges
from pypicache.index.facts import Fact, Facts
from pypicache.index.library import Library
from pypicache.index.sidecars import Sidecar, Sidecars
from pypicache.offload import Offload
from pypicache.simple.model import Digest, File, ProjectName
from pypicache.store.memory import MemoryBlobStore
from pypicache.upstream.source import Copy
from tests.clock import ManualClock
from tests.fakes import DictPages, FakeCopy, FakeSource, Recorder, Script
from tests.wheels import Wheel, wheel

NAME = ProjectName("demo")
DEMO = wheel("demo", "1.0", size=100_000, requires=["other>=2"], requires_python=">=3.8")
OTHER = wheel("demo", "1.0", size=100_000, requires=["evil"])
DEAD = UpstreamRefused("a", "connection refused")


def listed(item: Wheel = DEMO, **fields: Any) -> File:
    given: dict[str, Any] = {"size": len(item.data), "hashes": (Digest("sha256", item.sha256),)}
    return File(filename=item.filename, url=f"https://files.example/{item.filename}", **{**given, **fields})


def ranged(data: bytes) -> Callable[[int, int | None], Script]:
    """A mirror that answers ranges."""
    return lambda start, stop: Script(data[start:stop], status=206, start=start, total=len(data))


def whole(data: bytes) -> Callable[[int, int | None], Script]:
    """A mirror that doesn't."""
    return lambda start, stop: Script(data, total=len(data))


class Told(Recorder):
    """A recorder that can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.something = asyncio.Event()

    def __call__(self, event: Event) -> None:
        super().__call__(event)
        self.something.set()


class FullStore(MemoryBlobStore):
    """A store without room."""

    async def spool(self, key: str, size: int | None, *, resume: bool = False, small: bool = False) -> Never:
        raise StoreFull("no room")


@dataclass
class Bench:
    """What a test works with."""

    source: FakeSource
    store: MemoryBlobStore
    facts: Facts
    sidecars: Sidecars
    clock: ManualClock
    seen: Told
    downloads: list[str] = field(default_factory=list)
    download: bytes | PypicacheError = DEAD

    def mirrors(self, *copies: Copy) -> None:
        self.source.files[DEMO.filename] = copies

    async def put(self, data: bytes) -> None:
        spool = await self.store.spool("test", len(data))
        await spool.write(0, [data])
        (await self.store.publish(spool, hashlib.sha256(data).hexdigest())).close()

    async def open(self, file: File | None = None) -> Sidecar:
        async def open_wheel() -> Content:
            self.downloads.append(DEMO.filename)
            if isinstance(self.download, PypicacheError):
                raise self.download
            await self.put(self.download)
            blob = self.store.open(hashlib.sha256(self.download).hexdigest())
            assert blob is not None
            return Stored(blob)

        return await self.sidecars.open(
            NAME, "a", file or listed(), open_wheel, asyncio.get_running_loop().time()
        )

    async def read(self, file: File | None = None) -> bytes:
        sidecar = await self.open(file)
        content = sidecar.content
        try:
            data = await read(content)
            assert content.sha256 == hashlib.sha256(data).hexdigest()
            return data
        finally:
            content.close()

    async def fact(self) -> Fact:
        return (await self.facts.of(NAME)).of(listed())


async def read(content: Content) -> bytes:
    await content.begun()
    size = await content.whole()
    assert (content.size, await content.available(0), await content.available(size)) == (size, size, size)
    assert await content.aside(0, 1) is None
    fd = content.fileno()
    assert fd is not None
    data = os.pread(fd, size, 0)
    assert data == await content.read(0, size)
    return data


Make = Callable[..., Bench]


@pytest.fixture
async def make(clock: ManualClock) -> AsyncIterator[Make]:
    opened: list[Bench] = []
    async with Offload() as offload:

        def bench(
            *, offline: bool = False, store: MemoryBlobStore | None = None, answer_within: float = 10.0
        ) -> Bench:
            source, blobs, seen = FakeSource(), store or MemoryBlobStore(), Told()
            known = Facts(index="i", store=DictPages())
            sidecars = Sidecars(
                source=source,
                store=blobs,
                facts=known,
                offload=offload,
                clock=clock,
                observer=seen,
                offline=offline,
                answer_within=answer_within,
            )
            opened.append(Bench(source, blobs, known, sidecars, clock, seen))
            return opened[-1]

        yield bench
        for each in opened:
            await each.sidecars.__aexit__(None, None, None)
            await each.store.__aexit__(None, None, None)


async def test_from_a_mirrors_ranges_and_then_kept(make: Make) -> None:
    bench, copy = make(), FakeCopy("a", [ranged(DEMO.data)])
    bench.mirrors(copy)
    assert await bench.read() == DEMO.metadata
    assert await bench.fact() == Fact(
        sidecar=DEMO.metadata_sha256, sidecar_size=len(DEMO.metadata), requires_python=">=3.8"
    )
    assert await bench.read() == DEMO.metadata
    assert [(start, stop) for start, stop, _ in copy.opened] == [
        (len(DEMO.data) - (32 << 10), len(DEMO.data))
    ]
    made = bench.seen.events
    assert made == [
        SidecarMade(filename=DEMO.filename, size=len(DEMO.metadata), origin="a", fetched=32 << 10)
    ]


async def test_from_the_cached_wheel_nobody_is_asked(make: Make) -> None:
    bench, copy = make(offline=True), FakeCopy("a", [ranged(OTHER.data)])
    bench.mirrors(copy)
    await bench.put(DEMO.data)
    assert await bench.read() == DEMO.metadata
    assert not copy.opened
    assert (await bench.fact()).checked


async def test_a_wheel_read_whole_by_ranges_is_verified(make: Make) -> None:
    """All of a small wheel fits into the first range: then its digest counts, as ever."""
    small, evil = wheel("demo", "1.0"), wheel("demo", "1.0", requires=["evil"])
    bench = make()
    bench.mirrors(FakeCopy("a", [ranged(evil.data)]), FakeCopy("b", [ranged(small.data)]))
    file = listed(small, size=None)
    assert await bench.read(file) == small.metadata
    assert (await bench.facts.of(NAME)).of(file).checked
    failed = [event.reason for event in bench.seen.events if isinstance(event, MirrorFailed)]
    assert failed == [f"sent sha256:{evil.sha256} where sha256:{small.sha256} was promised"]


@pytest.mark.parametrize(
    "failing",
    [
        DEAD,
        UpstreamTimeout("a", "silent"),
        FileNotFound("gone"),
        ranged(OTHER.data[:-1]),
        ranged(b"<html>" * 20_000),
        whole(DEMO.data),
        lambda start, stop: Script(DEMO.data[start:stop], status=206, start=start + 1, total=len(DEMO.data)),
        lambda start, stop: Script(
            DEMO.data[start : stop - 1], status=206, start=start, total=len(DEMO.data)
        ),
        lambda start, stop: Script(DEMO.data[start:stop], status=206, start=start, total=len(DEMO.data) + 1),
        lambda start, stop: Script(b"", status=416, total=len(DEMO.data)),
        lambda start, stop: Script(b"", status=206, start=start, total=len(DEMO.data), error=DEAD),
    ],
)
async def test_the_next_mirror_is_asked(
    make: Make, failing: PypicacheError | Callable[[int, int | None], Script]
) -> None:
    bench = make()
    bench.mirrors(FakeCopy("a", [failing]), FakeCopy("b", [ranged(DEMO.data)]))
    assert await bench.read() == DEMO.metadata
    assert not bench.downloads


async def test_without_ranges_the_wheel_is_downloaded(make: Make) -> None:
    bench, copy = make(), FakeCopy("a", [whole(DEMO.data)])
    bench.mirrors(copy)
    bench.download = DEMO.data
    assert await bench.read() == DEMO.metadata
    assert (await bench.fact()).checked
    assert len(bench.downloads) == len(copy.opened) == 1


async def test_a_mirror_without_ranges_is_asked_again_later(make: Make) -> None:
    bench = make()
    copy = FakeCopy("a", [whole(DEMO.data)])
    bench.mirrors(copy)
    for asked in (1, 1, 1, 2):
        with pytest.raises(UpstreamError):
            await bench.open()
        assert len(copy.opened) == asked
        bench.clock.advance(250)


@pytest.mark.parametrize(
    "error",
    [DEAD, UpstreamTimeout("a", "silent"), FileNotFound("no"), UpstreamRefused("a", "404", http_status=404)],
)
async def test_nobody_answers(make: Make, error: PypicacheError) -> None:
    """*Silence is not absence*; and whoever is dead over a range would be over a download."""
    bench = make()
    bench.mirrors(FakeCopy("a", [error]), FakeCopy("b", [error]))
    with pytest.raises(AllUpstreamsFailed):
        await bench.open()
    assert not bench.downloads
    assert await bench.fact() == Fact()


async def test_offline_is_no_absence(make: Make) -> None:
    bench, copy = make(offline=True), FakeCopy("a", [ranged(DEMO.data)])
    bench.mirrors(copy)
    with pytest.raises(UpstreamError, match="offline"):
        await bench.open()
    assert not copy.opened


async def test_only_the_verified_wheel_proves_that_there_is_none(make: Make) -> None:
    """Every mirror sends garbage: that says something of the mirrors. The whole wheel says it of the wheel."""
    bench = make()
    bench.mirrors(FakeCopy("a", [ranged(b"<html>" * 20_000)]))
    with pytest.raises(UpstreamError, match="refused"):
        await bench.open()
    assert (await bench.fact()).unreadable is None
    bench.download = b"<html>" * 20_000
    with pytest.raises(UpstreamGarbled, match="not a zip file"):
        await bench.open()
    assert (await bench.fact()).unreadable is not None
    with pytest.raises(FileNotFound, match="not a zip file"):
        await bench.open()
    assert len(bench.downloads) == 2


async def test_a_sidecar_of_unverified_bytes_is_made_again_from_the_wheel(make: Make) -> None:
    bench = make()
    bench.mirrors(FakeCopy("a", [ranged(OTHER.data)]))
    file = listed(size=None)
    assert await bench.read(file) == OTHER.metadata
    await bench.put(DEMO.data)
    assert await bench.sidecars.kept(NAME, file) is None
    assert await bench.read(file) == DEMO.metadata
    kept = await bench.sidecars.kept(NAME, file)
    assert kept is not None
    kept.close()


async def test_a_sidecar_that_was_removed_is_made_again(make: Make) -> None:
    bench = make()
    bench.mirrors(FakeCopy("a", [ranged(DEMO.data)]))
    await bench.read()
    await bench.store.delete(DEMO.metadata_sha256)
    assert await bench.read() == DEMO.metadata


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
async def test_another_sidecar_than_the_promised_one_is_refused(make: Make, algorithm: str) -> None:
    bench = make()
    bench.mirrors(FakeCopy("a", [ranged(DEMO.data)]))
    promised = Digest(algorithm, "0" * 2 * hashlib.new(algorithm).digest_size)
    with pytest.raises(IntegrityError):
        await bench.open(listed(core_metadata=(promised,)))
    assert await bench.fact() == Fact()
    right = Digest(algorithm, hashlib.new(algorithm, DEMO.metadata).hexdigest())
    assert await bench.read(listed(core_metadata=(right,))) == DEMO.metadata
    if algorithm == "sha256":
        assert await bench.sidecars.kept(NAME, listed(core_metadata=(promised,))) is None


async def test_twenty_requests_are_one_and_outlive_those_who_leave(make: Make) -> None:
    bench, gate, reached = make(), asyncio.Event(), asyncio.Event()

    def wait(start: int, stop: int | None) -> Script:
        reached.set()
        script = ranged(DEMO.data)(start, stop)
        script.gate = gate
        return script

    copy = FakeCopy("a", [wait])
    bench.mirrors(copy)
    asking = [asyncio.ensure_future(bench.open()) for _ in range(20)]
    await reached.wait()
    asking[0].cancel()
    gate.set()
    sidecars = await asyncio.gather(*asking[1:])
    for each in sidecars:
        assert await read(each.content) == DEMO.metadata
        each.content.close()
    assert len(copy.opened) == 1
    assert all(each.collapsed for each in sidecars)


async def test_a_client_is_told_when_it_takes_long(make: Make) -> None:
    """And the work goes on: the next request finds it done."""
    bench, gate = make(answer_within=0.01), asyncio.Event()
    script = ranged(DEMO.data)(len(DEMO.data) - (32 << 10), len(DEMO.data))
    script.gate = gate
    bench.mirrors(FakeCopy("a", [script]))
    with pytest.raises(UpstreamError, match="isn't there yet") as told:
        await bench.open()
    assert told.value.retry_after == 2
    gate.set()
    await bench.seen.something.wait()
    assert await bench.read() == DEMO.metadata


async def test_without_room_it_is_sent_all_the_same(make: Make) -> None:
    bench = make(store=FullStore())
    bench.mirrors(FakeCopy("a", [ranged(DEMO.data)]))
    for _ in range(2):
        assert await bench.read() == DEMO.metadata
    sidecar = await bench.open()
    sidecar.content.close()
    sidecar.content.close()


async def test_a_mirrors_own_sidecar_is_learned_from(make: Make) -> None:
    bench = make()
    await bench.put(DEMO.metadata)
    await bench.sidecars.adopt(NAME, listed(core_metadata=True), "0" * 64)
    assert await bench.fact() == Fact()
    hashed = listed(core_metadata=(Digest("sha256", DEMO.metadata_sha256),))
    await bench.sidecars.adopt(NAME, hashed, DEMO.metadata_sha256)
    assert await bench.fact() == Fact(requires_python=">=3.8")
    await bench.sidecars.adopt(NAME, listed(core_metadata=True), DEMO.metadata_sha256)
    assert (await bench.fact()).sidecar == DEMO.metadata_sha256
    await bench.put(DEMO.data)
    kept = await bench.sidecars.kept(NAME, listed(core_metadata=True))
    assert kept is not None
    assert await read(kept) == DEMO.metadata
    kept.close()


async def test_one_mirror_has_only_so_much_time(clock: ManualClock) -> None:
    """Case 29: a mirror that drips doesn't keep the next one from being asked."""
    size = len(DEMO.data)
    never = ranged(DEMO.data)(size - (32 << 10), size)
    never.gate = asyncio.Event()
    async with Offload() as offload:
        extractor = Extractor(offload=offload, clock=clock, observer=Recorder(), patience=0.01)
        with pytest.raises(UpstreamTimeout, match="no METADATA"):
            await extractor.of_copy(listed(), FakeCopy("a", [never]), size)


@pytest.mark.parametrize(
    "first",
    [
        Script(DEMO.data, total=len(DEMO.data)),
        Script(b"x", status=206, total=None),
        Script(b"xy", status=206, total=100),
        Script(b"", status=416, total=0),
    ],
)
async def test_a_mirror_that_does_not_say_the_size_has_no_ranges(clock: ManualClock, first: Script) -> None:
    async with Offload() as offload:
        extractor = Extractor(offload=offload, clock=clock, observer=Recorder())
        with pytest.raises(NoRanges):
            await extractor.of_copy(listed(), FakeCopy("a", [first]), None)


async def test_a_large_directory_is_fetched(clock: ManualClock) -> None:
    """Over a megabyte of it: in the helper process, and still not the wheel."""
    out = io.BytesIO(b"")
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as made:
        made.writestr("demo-1.0.dist-info/METADATA", DEMO.metadata)
        made.writestr("big", bytes(3 << 20))
        for number in range(13_000):
            made.writestr(f"demo/{number:040}.py", b"")
    data = out.getvalue()
    file = listed(size=len(data), hashes=(Digest("sha256", hashlib.sha256(data).hexdigest()),))
    copy = FakeCopy("a", [ranged(data)])
    async with Offload() as offload:
        found = await Extractor(offload=offload, clock=clock, observer=Recorder()).of_copy(
            file, copy, len(data)
        )
        assert offload.helper_running
    assert (found.content, found.whole, len(copy.opened)) == (DEMO.metadata, False, 3)
    assert found.fetched < len(data) / 2


async def test_a_wheel_that_the_disk_cannot_give_is_read_from_a_mirror(make: Make) -> None:
    bench = make()
    bench.mirrors(FakeCopy("a", [ranged(DEMO.data)]))
    await bench.put(DEMO.data)
    blob = bench.store.open(DEMO.sha256)
    assert blob is not None
    os.ftruncate(blob.fileno(), 1000)
    blob.close()
    assert await bench.read() == DEMO.metadata
    assert (await bench.fact()).unreadable is None


async def test_no_room_for_a_wheel_without_ranges_is_no_absence(make: Make) -> None:
    bench = make()
    bench.mirrors(FakeCopy("a", [whole(DEMO.data)]))
    bench.download = StoreFull("no room")
    with pytest.raises(UpstreamError, match="can't be kept"):
        await bench.open()
    assert await bench.fact() == Fact()


async def test_a_mirrors_sidecar_passes_a_store_without_room() -> None:
    """Whoever asks gets it, verified; and an error stays one."""
    hashes = (Digest("sha256", DEMO.metadata_sha256),)
    file = File(filename=f"{DEMO.filename}.metadata", url="https://files.example/m", hashes=hashes)
    async with FullStore() as store, Library(store=store, observer=Recorder()) as library:
        reader, _ = library.fetch(file, [FakeCopy("a", [whole(DEMO.metadata)])])
        content = await unstored.whole(reader)
        assert await read(content) == DEMO.metadata
        content.close()
        reader, _ = library.fetch(file, [FakeCopy("a", [whole(OTHER.metadata)])])
        with pytest.raises(PypicacheError):
            await unstored.whole(reader)
