"""One download, many readers: over the real store in memory, with scripted copies."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pypicache.errors import (
    Abandoned,
    AllUpstreamsFailed,
    FileNotFound,
    IntegrityError,
    PypicacheError,
    StoreFull,
    UpstreamRefused,
    UpstreamTimeout,
)
from pypicache.events import FileRejected, FileStored, TransferResumed
from pypicache.index.budget import Budget
from pypicache.index.reader import Reader
from pypicache.index.state import State
from pypicache.index.transfer import HOLD, Transfer
from pypicache.rules import pieces
from pypicache.rules.eviction import Limits
from pypicache.rules.finish import GRACE
from pypicache.simple.model import Digest, File
from pypicache.store.disk import DiskBlobStore
from pypicache.store.memory import MemoryBlobStore
from pypicache.upstream.source import Copy, NoneIdle, Share
from tests.clock import ManualClock
from tests.fakes import FakeBody, FakeCopy, Recorder, Script

DATA = bytes(range(256)) * 2000
MIB = 1 << 20
SHA256 = hashlib.sha256(DATA).hexdigest()


def listed(data: bytes = DATA, *, size: int | None = len(DATA), digest: bool = True) -> File:
    hashes = (Digest("sha256", hashlib.sha256(data).hexdigest()),) if digest else ()
    return File(
        filename="a-1.tar.gz", url="https://files.example/packages/a-1.tar.gz", hashes=hashes, size=size
    )


@pytest.fixture
async def store() -> AsyncIterator[MemoryBlobStore]:
    async with MemoryBlobStore() as opened:
        yield opened


Made = Callable[..., tuple[Transfer, asyncio.Task[str]]]


@pytest.fixture
async def begin(store: MemoryBlobStore) -> AsyncIterator[Made]:
    made: list[tuple[Transfer, asyncio.Task[str]]] = []

    def make(
        copies: Sequence[Copy],
        *,
        file: File | None = None,
        observer: Recorder | None = None,
        max_size: int | None = None,
        lanes: Budget | None = None,
    ) -> tuple[Transfer, asyncio.Task[str]]:
        transfer = Transfer(
            key=f"k{len(made)}",
            file=file or listed(),
            copies=copies,
            store=store,
            lanes=lanes or Budget(8),
            observer=observer or Recorder(),
            max_size=max_size,
        )
        made.append((transfer, asyncio.ensure_future(transfer.run())))
        return made[-1]

    yield make
    for transfer, task in made:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        transfer.close()


def reader_of(transfer: Transfer) -> Reader:
    return Reader(transfer, start_task=asyncio.ensure_future)


async def read_all(reader: Reader, marks: list[int] | None = None) -> bytes:
    """What a client gets that takes all it can as it comes; `marks` gets how far it came."""
    taken = b""
    while True:
        mark = await reader.available(len(taken))
        if marks is not None:
            marks.append(mark)
        if mark <= len(taken):
            return taken
        taken += await reader.read(len(taken), mark - len(taken))


def rest(
    data: bytes, *, error: PypicacheError | None = None, upto: int | None = None
) -> Callable[[int, int | None], Script]:
    """A mirror that honours ranges, and breaks at `upto`."""

    def answer(start: int, stop: int | None) -> Script:
        return Script(
            data[start : upto if upto is not None else stop],
            status=206 if start else 200,
            start=start,
            total=len(data),
            error=error,
        )

    return answer


def parts(data: bytes, *, ends: asyncio.Event | None = None) -> Callable[[int, int | None], Script]:
    """A mirror that serves parts, from the first byte on, too; what isn't the front ends with the event."""

    def answer(start: int, stop: int | None) -> Script:
        part = stop is not None or start > 0
        gate = ends if start else None
        return Script(
            data[start:stop],
            status=206 if part else 200,
            start=start,
            total=len(data),
            piece=1 << 20,
            gate=gate,
        )

    return answer


async def test_a_file_arrives_and_is_published(begin: Made, store: MemoryBlobStore) -> None:
    seen = Recorder()
    transfer, task = begin([FakeCopy("a", [rest(DATA)])], observer=seen)
    assert await read_all(reader_of(transfer)) == DATA
    assert await task == SHA256
    blob = store.open(SHA256)
    assert blob is not None
    assert os.pread(blob.fileno(), len(DATA), 0) == DATA
    blob.close()
    assert [event.origin for event in seen.events if isinstance(event, FileStored)] == ["a"]


async def test_readers_get_bytes_before_the_end_and_the_last_only_when_verified(begin: Made) -> None:
    """*Nothing unverified is committed*: the last HOLD bytes are held back."""
    gate = asyncio.Event()
    script = rest(DATA)(0, None)
    script.gate = gate

    def half_then_wait(start: int, stop: int | None) -> Script:
        return Script(DATA[: 3 * HOLD], total=len(DATA), error=UpstreamTimeout("a", "silent"))

    second = Script(DATA[3 * HOLD :], status=206, start=3 * HOLD, total=len(DATA), gate=gate)
    transfer, _ = begin([FakeCopy("a", [half_then_wait, second])])
    reader = reader_of(transfer)
    position = 0
    while position < 3 * HOLD:
        position = await reader.available(position)
    assert not transfer.ended
    gate.set()
    seen = []
    while (mark := await reader.available(position)) > position:
        position = mark
        seen.append((mark, transfer.state))
    assert all(mark <= len(DATA) - HOLD for mark, state in seen if state is not State.PUBLISHED)
    assert seen[-1] == (len(DATA), State.PUBLISHED)


async def test_fifty_readers_one_fill(begin: Made) -> None:
    """*One download, many readers.*"""
    copy = FakeCopy("a", [rest(DATA)])
    transfer, _ = begin([copy])
    bodies = await asyncio.gather(*(read_all(reader_of(transfer)) for _ in range(50)))
    assert set(bodies) == {DATA}
    assert len(copy.opened) == 1


@pytest.mark.parametrize("breaks_at", [1, HOLD, len(DATA) // 2, len(DATA) - 1])
async def test_a_broken_stream_goes_on_at_the_same_byte(begin: Made, breaks_at: int) -> None:
    """*A broken stream goes on elsewhere.*"""
    seen = Recorder()
    copy = FakeCopy(
        "a", [rest(DATA, upto=breaks_at, error=UpstreamRefused("a", "connection reset")), rest(DATA)]
    )
    transfer, _ = begin([copy], observer=seen)
    assert await read_all(reader_of(transfer)) == DATA
    assert [start for start, _, _ in copy.opened] == [0, breaks_at]
    assert [event.offset for event in seen.events if isinstance(event, TransferResumed)] == [breaks_at]


async def test_a_mirror_that_ignores_ranges_has_its_first_bytes_skipped(begin: Made) -> None:
    broken = rest(DATA, upto=100_000, error=UpstreamRefused("a", "reset"))
    whole = Script(DATA, total=len(DATA))
    transfer, _ = begin([FakeCopy("a", [broken, whole])])
    assert await read_all(reader_of(transfer)) == DATA


LARGE = os.urandom(256) * (8 << 10)
"""2 MiB."""


def sharing(answer: Callable[[int, int | None], Script], *, idle: int = 3, **more: Any) -> FakeCopy:
    """A far mirror with idle connections."""
    return FakeCopy(more.pop("origin", "a"), more.pop("steps", [answer]), connections=4, idle=idle, **more)


def large(**more: Any) -> File:
    return listed(LARGE, **{"size": len(LARGE), **more})


async def test_what_lies_idle_brings_a_share_from_the_start(begin: Made) -> None:
    """All of them at once, each but its share, and the front is readable before the others have come."""
    ends = asyncio.Event()
    copy = sharing(parts(LARGE, ends=ends))
    transfer, task = begin([copy], file=large())
    reader = reader_of(transfer)
    third = -(-len(LARGE) // 3)
    assert await reader.available(0) == third
    assert copy.opened == [(0, third, None), (third, 2 * third, None), (2 * third, None, None)]
    assert copy.shares == [Share.FIRST, Share.BESIDE, Share.BESIDE]
    ends.set()
    assert await read_all(reader) == LARGE
    await task
    assert len(copy.opened) == 3


@pytest.mark.parametrize(
    ("file", "copy"),
    [
        (large(digest=False), sharing(parts(LARGE))),
        (large(size=None), sharing(parts(LARGE))),
        (large(), sharing(parts(LARGE), idle=1)),
        (large(), FakeCopy("a", [parts(LARGE)], connections=1, idle=3)),
    ],
    ids=["no digest", "no size", "only one", "one connection"],
)
async def test_what_is_not_shared_out(begin: Made, file: File, copy: FakeCopy) -> None:
    transfer, task = begin([copy], file=file)
    assert await read_all(reader_of(transfer)) == LARGE
    await task
    assert (copy.opened, copy.shares) == ([(0, None, None)], [None])


async def test_shares_take_nothing_of_what_large_files_may_have(begin: Made) -> None:
    lanes = Budget(0)
    copy = sharing(parts(LARGE))
    _, task = begin([copy], file=large(), lanes=lanes)
    await task
    assert len(copy.opened) == 3


async def test_shares_for_which_nothing_was_idle_after_all_are_brought_by_the_first(begin: Made) -> None:
    copy = sharing(parts(LARGE), fails={Share.BESIDE: NoneIdle()})
    transfer, task = begin([copy], file=large())
    assert await read_all(reader_of(transfer)) == LARGE
    await task
    assert transfer.fill is not None
    assert transfer.fill.blame.may_help(copy)
    assert copy.shares == [Share.FIRST, Share.BESIDE, Share.BESIDE, Share.FIRST]


@pytest.mark.parametrize(
    "error",
    [UpstreamRefused("a", "503", http_status=503), UpstreamTimeout("a", "silent"), FileNotFound("gone")],
    ids=str,
)
async def test_a_mirror_that_refuses_all_but_the_first_brings_all_over_that(
    begin: Made, error: PypicacheError
) -> None:
    """What becomes of the others counts for nothing."""
    seen = Recorder()
    copy = sharing(parts(LARGE), fails={Share.BESIDE: error})
    transfer, task = begin([copy], file=large(), observer=seen)
    assert await read_all(reader_of(transfer)) == LARGE
    await task
    assert {type(event) for event in seen.events} == {FileStored}
    assert transfer.fill is not None
    assert not transfer.fill.blame.may_help(copy)


async def test_a_mirror_that_ignores_parts_after_all_is_asked_for_the_whole_file(begin: Made) -> None:
    copy = sharing(lambda _start, _stop: Script(LARGE, total=len(LARGE), piece=MIB))
    other = FakeCopy("b", [rest(LARGE)])
    transfer, task = begin([copy, other], file=large())
    assert await read_all(reader_of(transfer)) == LARGE
    await task
    assert copy.opened[-1] == (0, None, None)
    assert (len(copy.opened), other.opened) == (4, [])


async def test_tries_are_as_many_as_without_shares(begin: Made) -> None:
    """All are refused at first, by a mirror that then thinks better of it."""
    refused = UpstreamRefused("a", "503", http_status=503)
    copy = sharing(parts(LARGE), steps=[refused, refused, refused, parts(LARGE)])
    transfer, task = begin([copy], file=large())
    assert await read_all(reader_of(transfer)) == LARGE
    await task
    assert (copy.opened[3:], copy.shares[3:]) == ([(0, None, None)], [None])


async def test_a_share_that_is_late_is_fetched_by_others(
    begin: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "OVERDUE", 0.1)
    monkeypatch.setattr(pieces, "STEP", 0.05)
    copy = sharing(
        parts(LARGE, ends=asyncio.Event()),
        idle=2,
        steps=[parts(LARGE), parts(LARGE, ends=asyncio.Event()), parts(LARGE)],
    )
    transfer, task = begin([copy], file=large())
    async with asyncio.timeout(5):
        assert await read_all(reader_of(transfer)) == LARGE
    await task


async def test_wrong_bytes_out_of_shares_are_fetched_once_more_as_a_whole(begin: Made) -> None:
    """A mirror's parts may be wrong, or of two states of the file, where the whole is right."""

    def answer(start: int, stop: int | None) -> Script:
        whole = parts(LARGE)(start, stop)
        return whole if not start else replace(whole, data=bytes(len(whole.data)))

    seen = Recorder()
    copy = sharing(answer)
    transfer, task = begin([copy], file=large(), observer=seen)
    await task
    assert transfer.state is State.PUBLISHED
    assert copy.opened[3:] == [(0, None, None)]
    assert [type(event) for event in seen.events] == [FileRejected, FileStored]


async def test_a_silent_mirror_is_overtaken_for_each_of_many_files_that_were_shared_out(
    begin: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many shares there are, there is somebody left to ask the other one."""
    monkeypatch.setattr(pieces, "OVERDUE", 0.1)
    monkeypatch.setattr(pieces, "STEP", 0.05)
    lanes, gate = Budget(8), asyncio.Event()
    made = []
    for _ in range(8):
        silent = Silent("a", [parts(LARGE)], connections=4, idle=3)
        silent.gate = gate
        made.append(begin([silent, FakeCopy("b", [parts(LARGE)])], file=large(), lanes=lanes))
    async with asyncio.timeout(10):
        await asyncio.gather(*(task for _, task in made))
    assert [lanes.take() for _ in range(9)] == [True] * 8 + [False]


async def test_a_lane_that_was_overtaken_brings_nothing_when_it_answers_after_all(
    begin: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "OVERDUE", 0.1)
    monkeypatch.setattr(pieces, "STEP", 0.05)
    slow = Silent("a", [Script(bytes(len(LARGE)), total=len(LARGE))])
    slow.gate = asyncio.Event()
    ends = asyncio.Event()
    other = FakeCopy(
        "b", [lambda start, stop: Script(LARGE[start:stop], total=len(LARGE), piece=MIB, gate=ends)]
    )
    transfer, task = begin([slow, other], file=large())
    await other.reached.wait()
    slow.gate.set()
    ends.set()
    assert await read_all(reader_of(transfer)) == LARGE
    await task
    assert transfer.origins == ("b",)


async def test_the_next_mirror_goes_on_when_the_first_is_dead(begin: Made) -> None:
    first = FakeCopy(
        "a", [rest(DATA, upto=200_000, error=UpstreamRefused("a", "reset")), UpstreamRefused("a", "refused")]
    )
    second = FakeCopy("b", [rest(DATA)])
    transfer, _ = begin([first, second])
    assert await read_all(reader_of(transfer)) == DATA
    assert second.opened[0][0] == 200_000


async def test_a_listed_file_that_a_mirror_does_not_have_is_that_mirrors_fault(begin: Made) -> None:
    transfer, _ = begin([FakeCopy("a", [FileNotFound("404")]), FakeCopy("b", [rest(DATA)])])
    assert await read_all(reader_of(transfer)) == DATA


async def test_all_mirrors_fail(begin: Made) -> None:
    transfer, task = begin(
        [FakeCopy("a", [UpstreamRefused("a", "refused")]), FakeCopy("b", [FileNotFound("404")])]
    )
    with pytest.raises(AllUpstreamsFailed, match=r"a: refused.*b: 404"):
        await read_all(reader_of(transfer))
    with pytest.raises(AllUpstreamsFailed):
        await task


WRONG = DATA[:-1] + b"!"


async def test_wrong_bytes_are_never_published_nor_completed(begin: Made, store: MemoryBlobStore) -> None:
    """*Nothing unverified is committed*: a reader of wrong bytes gets an error before the last of them."""
    seen = Recorder()
    transfer, task = begin([FakeCopy("a", [Script(WRONG, total=len(WRONG))])], observer=seen)
    taken: list[int] = [0]
    with pytest.raises(IntegrityError):
        await read_all(reader_of(transfer), taken)
    assert taken[-1] <= len(DATA) - HOLD
    with pytest.raises(IntegrityError):
        await task
    assert store.open(SHA256) is None
    assert store.open(hashlib.sha256(WRONG).hexdigest()) is None
    assert [event.origin for event in seen.events if isinstance(event, FileRejected)] == ["a"]


async def test_after_wrong_bytes_the_next_mirror_serves_those_who_have_taken_none(begin: Made) -> None:
    gate = asyncio.Event()
    gate.set()
    transfer, _ = begin([FakeCopy("a", [Script(WRONG, total=len(WRONG))]), FakeCopy("b", [rest(DATA)])])
    early, late = reader_of(transfer), reader_of(transfer)
    assert await early.available(0)
    while transfer.epoch == 0:
        await transfer.changed.wait()
    assert await read_all(late) == DATA
    with pytest.raises(IntegrityError, match="other bytes"):
        await early.available(1)


async def test_more_bytes_than_promised_are_refused(begin: Made) -> None:
    transfer, _ = begin([FakeCopy("a", [Script(DATA + b"more")]), FakeCopy("b", [rest(DATA)])])
    assert await read_all(reader_of(transfer)) == DATA


async def test_an_early_end_without_length_is_noticed(begin: Made) -> None:
    """U18: only the size tells, since a body without a length ends cleanly wherever it ends."""
    transfer, _ = begin([FakeCopy("a", [Script(DATA[:1000]), rest(DATA)])])
    assert await read_all(reader_of(transfer)) == DATA


async def test_a_size_that_nobody_knows(begin: Made) -> None:
    transfer, _ = begin([FakeCopy("a", [Script(DATA)])], file=listed(size=None))
    reader = reader_of(transfer)
    await reader.begun()
    assert await read_all(reader) == DATA
    assert reader.size == len(DATA)


async def test_a_file_with_only_an_md5_is_checked_with_it(begin: Made, store: MemoryBlobStore) -> None:
    digest = Digest("md5", hashlib.md5(DATA).hexdigest())
    file = File(filename="a-1.tar.gz", url="https://files.example/a-1.tar.gz", hashes=(digest,))
    transfer, task = begin([FakeCopy("a", [Script(WRONG)]), FakeCopy("b", [Script(DATA)])], file=file)
    assert await task == SHA256
    assert transfer.origins == ("b",)


async def test_a_file_without_digest_is_taken_as_it_comes(begin: Made) -> None:
    _, task = begin([FakeCopy("a", [Script(DATA)])], file=listed(digest=False))
    assert await task == SHA256


async def test_an_empty_file(begin: Made) -> None:
    transfer, _ = begin([FakeCopy("a", [Script(b"", total=0)])], file=listed(b"", size=0))
    assert await read_all(reader_of(transfer)) == b""


async def test_a_file_over_the_limit_is_refused(begin: Made) -> None:
    transfer, _ = begin([FakeCopy("a", [Script(DATA)])], file=listed(size=None), max_size=1000)
    with pytest.raises(AllUpstreamsFailed, match="more than the 1000"):
        await read_all(reader_of(transfer))


async def test_readers_that_leave_stop_nothing(begin: Made) -> None:
    transfer, task = begin([FakeCopy("a", [rest(DATA)])])
    reader = reader_of(transfer)
    reader.close()
    reader.close()
    assert transfer.readers == 0
    assert await task == SHA256


async def test_a_small_file_that_the_store_has_no_room_for_is_served_from_memory(tmp_path: Path) -> None:
    """What has come is verified and whole: no mirror is asked a second time, whether or not the reader has had some."""
    copy = FakeCopy("one", [rest(DATA)])
    async with DiskBlobStore(tmp_path / "cache", limits=Limits(max_size=1000)) as store:
        transfer = Transfer(
            key="k", file=listed(), copies=[copy], store=store, lanes=Budget(8), observer=Recorder()
        )
        early, late = reader_of(transfer), reader_of(transfer)
        reading = asyncio.ensure_future(read_all(early))
        with pytest.raises(StoreFull):
            await transfer.run()
        assert await reading == DATA
        assert await read_all(late) == DATA
        assert len(copy.opened) == 1
        transfer.close()


async def test_a_download_that_nobody_wants_stops_and_is_gone_on_with(
    tmp_path: Path, clock: ManualClock
) -> None:
    """What has come is kept for whoever asks next, and an ending like that is no bug."""
    size = 200 << 20
    file = File(
        filename="a-1.zip", url="https://files.example/a", hashes=(Digest("sha256", "a" * 64),), size=size
    )
    begun = Script(bytes(1 << 20), total=size, length=size, then=asyncio.Event())
    rest_wanted = Script(b"", status=206, start=1 << 20, total=size, then=asyncio.Event())
    first, second = FakeCopy("a", [begun]), FakeCopy("a", [rest_wanted])
    async with DiskBlobStore(tmp_path / "cache") as disk:

        def transfer(copy: FakeCopy) -> Transfer:
            return Transfer(
                key="k",
                file=file,
                copies=[copy],
                store=disk,
                lanes=Budget(8),
                observer=Recorder(),
                monotonic=clock.monotonic,
            )

        left = transfer(first)
        reader = reader_of(left)
        running = asyncio.ensure_future(left.run())
        while left.written < 1 << 20:
            await left.changed.wait()
        reader.close()
        clock.advance(GRACE)
        with pytest.raises(Abandoned, match="nobody wanted it"):
            await running
        again = transfer(second)
        running = asyncio.ensure_future(again.run())
        await second.reached.wait()
        assert (second.opened[0][0], again.written) == (1 << 20, 1 << 20)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


class Silent(FakeCopy):
    """Doesn't answer before the gate opens."""

    gate: asyncio.Event

    async def open(
        self,
        start: int = 0,
        stop: int | None = None,
        *,
        if_range: str | None = None,
        share: Share | None = None,
        asking: Callable[[], object] | None = None,
    ) -> FakeBody:
        self.reached.set()
        await self.gate.wait()
        return await super().open(start, stop, if_range=if_range)


@pytest.mark.parametrize(
    ("wait", "size"),
    [(Reader.begun, None), (lambda reader: reader.available(0), len(DATA)), (Reader.whole, len(DATA))],
    ids=["begun", "available", "whole"],
)
async def test_a_reader_with_patience_is_told_who_is_silent_and_the_download_goes_on(
    begin: Made, wait: Callable[[Reader], Awaitable[object]], size: int | None
) -> None:
    gate = asyncio.Event()
    silent = [Silent(name, [Script(DATA, total=len(DATA))]) for name in "ab"]
    for each in silent:
        each.gate = gate
    refuses = FakeCopy("c", [UpstreamRefused("c", "connection refused")])
    transfer, task = begin([refuses, *silent], file=listed(size=size))
    reader = reader_of(transfer)
    reader.patience = 0.1
    with pytest.raises(AllUpstreamsFailed) as told:
        await wait(reader)
    assert str(told.value) == (
        "a-1.tar.gz: c: connection refused; a: nothing within 0.1 s; b: nothing within 0.1 s"
    )
    gate.set()
    await task
    assert await read_all(reader) == DATA
    reader.close()


async def test_bytes_that_come_are_waited_for_with_patience_too(begin: Made) -> None:
    """However long it takes until those come that the reader wants."""
    gate, data = asyncio.Event(), bytes(HOLD)
    copy = FakeCopy("a", [Script(data, total=HOLD, gate=gate, piece=HOLD // 8)])
    transfer, task = begin([copy], file=listed(data, size=HOLD))
    reader = reader_of(transfer)
    reader.patience = 0.4
    waiting = asyncio.ensure_future(reader.available(0))
    for _ in range(8):
        await asyncio.wait([waiting], timeout=0.1)
        held = transfer.written
        gate.set()
        gate.clear()
        while transfer.written == held:
            await asyncio.wait([waiting], timeout=0.01)
    await task
    assert await waiting == HOLD
    reader.close()


@pytest.mark.parametrize("size", [len(DATA), None])
@pytest.mark.parametrize("silent", [1, 2, 4])
async def test_u9_however_many_mirrors_hang_the_next_one_is_asked(
    begin: Made, monkeypatch: pytest.MonkeyPatch, silent: int, size: int | None
) -> None:
    """Each after a moment, and whether or not the page gives the size; nobody is asked twice."""
    monkeypatch.setattr(pieces, "OVERDUE", 0.1)
    hanging = [Silent(f"silent{number}", [Script(DATA)]) for number in range(silent)]
    for each in hanging:
        each.gate = asyncio.Event()
    works, spare = FakeCopy("works", [Script(DATA, total=len(DATA))]), FakeCopy("spare", [Script(DATA)])
    transfer, task = begin([*hanging, works, spare], file=listed(size=size))
    async with asyncio.timeout(5):
        assert await task == SHA256
    assert (transfer.origins, len(works.opened)) == (("works",), 1)
    assert not spare.opened


@pytest.mark.parametrize("size", [len(DATA), None])
async def test_two_mirrors_that_answer_at_once_after_a_silence_bring_the_file_once(
    begin: Made, monkeypatch: pytest.MonkeyPatch, size: int | None
) -> None:
    """The first of them has it to bring, before its first byte is there, too; the other one may help it."""
    monkeypatch.setattr(pieces, "OVERDUE", 0.1)
    gate = asyncio.Event()
    copies = [Silent(name, [Script(DATA, total=len(DATA))]) for name in "ab"]
    for each in copies:
        each.gate = gate
    _, task = begin(copies, file=listed(size=size))
    async with asyncio.timeout(5):
        for each in copies:
            await each.reached.wait()
        gate.set()
        assert await task == SHA256
    assert len(copies[0].opened) == 1
