"""A7: when the list of all projects is asked for, waited for, believed and kept."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from pypicache.errors import NotFound, PypicacheError, UpstreamError, UpstreamRefused, UpstreamTimeout
from pypicache.events import ListRefreshed, MirrorFailed
from pypicache.index.entry import Outcome
from pypicache.index.lists import ProjectLists, sliced
from pypicache.offload import Offload
from pypicache.rules.freshness import Windows
from pypicache.store.lists import ListStore
from pypicache.upstream.source import ListCopy, NotModified, Validators
from tests.clock import ManualClock
from tests.fakes import Recorder

WINDOWS = Windows(ttl=600, patience=1, stale_while_revalidate=3600, stale_if_error=86400, negative_ttl=60)
DOWN = UpstreamRefused("mirror", "connection refused")


def listed(*names: str) -> bytes:
    return json.dumps(
        {"meta": {"api-version": "1.0"}, "projects": [{"name": name} for name in names]}
    ).encode()


@dataclass
class FakeBody:
    """A list that arrives in pieces; an error is raised where it stands."""

    script: Sequence[bytes | PypicacheError | asyncio.Event]
    origin: str
    etag: str | None = None
    url: str = "https://mirror.example.org/simple/"
    content_type: str | None = "application/json"
    validators: Validators = field(init=False)

    def __post_init__(self) -> None:
        self.validators = Validators(origin=self.origin, etag=self.etag)

    async def pieces(self) -> AsyncIterator[bytes]:
        for step in self.script:
            if isinstance(step, PypicacheError):
                raise step
            if isinstance(step, asyncio.Event):
                await step.wait()
            else:
                yield step

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


@dataclass
class FakeCopy:
    """One mirror's list, as a test has it at the moment."""

    answer: Sequence[bytes | PypicacheError | asyncio.Event] | PypicacheError
    origin: str = "mirror"
    etag: str | None = None
    asked: list[Validators | None] = field(default_factory=list)

    async def open(self, known: Validators | None = None) -> FakeBody | NotModified:
        self.asked.append(known)
        if isinstance(self.answer, PypicacheError):
            raise self.answer
        if known is not None and known.etag is not None and known.etag == self.etag:
            return NotModified(known)
        return FakeBody(self.answer, self.origin, etag=self.etag)


class FakeLists:
    """Some mirrors' lists."""

    def __init__(self, *copies: FakeCopy) -> None:
        self.copies = copies

    def lists(self) -> Sequence[ListCopy]:
        return self.copies


Make = Callable[..., ProjectLists]


@pytest.fixture
def mirror() -> FakeCopy:
    return FakeCopy([listed("a", "b")])


@pytest.fixture
def told() -> Recorder:
    return Recorder()


@pytest.fixture
async def make(tmp_path: Path, clock: ManualClock, mirror: FakeCopy, told: Recorder) -> AsyncIterator[Make]:
    async with Offload(inline=1 << 20) as offload, ListStore(tmp_path) as store:
        opened: list[ProjectLists] = []

        def lists(*copies: FakeCopy, offline: bool = False, within: float = 5.0) -> ProjectLists:
            opened.append(
                ProjectLists(
                    index="root/pypi",
                    source=FakeLists(*(copies or (mirror,))),
                    store=store,
                    windows=WINDOWS,
                    offload=offload,
                    clock=clock,
                    observer=told,
                    offline=offline,
                    within=within,
                )
            )
            return opened[-1]

        yield lists
        for each in opened:
            await each.__aexit__(None, None, None)


async def read(lists: ProjectLists, *, revalidate: bool = False) -> tuple[list[str], Outcome]:
    opened = await lists.open("json", revalidate=revalidate)
    try:
        fd = opened.content.fileno()
        assert fd is not None
        data = os.pread(fd, 10_000, 0)
    finally:
        opened.content.close()
    return [project["name"] for project in json.loads(data)["projects"]], opened.outcome


async def landed(lists: ProjectLists) -> None:
    """Wait for the question that is out, if one is."""
    if lists._flight is not None:
        await asyncio.wait({lists._flight})


async def test_list_is_asked_for_once_and_then_held(make: Make, mirror: FakeCopy, told: Recorder) -> None:
    lists = make()
    assert await read(lists) == (["a", "b"], Outcome.MISS)
    assert await read(lists) == (["a", "b"], Outcome.HIT)
    assert len(mirror.asked) == 1
    assert [event.count for event in told.events if isinstance(event, ListRefreshed)] == [2]


async def test_requests_that_come_together_share_one_question(make: Make, mirror: FakeCopy) -> None:
    lists = make()
    answers = await asyncio.gather(*(read(lists) for _ in range(10)))
    assert {tuple(names) for names, _ in answers} == {("a", "b")}
    assert len(mirror.asked) == 1


async def test_old_list_goes_out_at_once_and_is_refreshed_behind(
    make: Make, mirror: FakeCopy, clock: ManualClock
) -> None:
    lists = make()
    await read(lists)
    gate = asyncio.Event()
    mirror.answer = [gate, listed("a", "b", "c")]
    clock.advance(601)
    assert await read(lists) == (["a", "b"], Outcome.STALE)
    assert await read(lists) == (["a", "b"], Outcome.STALE)
    gate.set()
    await landed(lists)
    assert await read(lists) == (["a", "b", "c"], Outcome.HIT)
    assert len(mirror.asked) == 2


async def test_unchanged_list_is_only_confirmed(
    make: Make, mirror: FakeCopy, clock: ManualClock, told: Recorder
) -> None:
    mirror.etag = '"x"'
    lists = make()
    await read(lists)
    clock.advance(601)
    await read(lists)
    await landed(lists)
    assert await read(lists) == (["a", "b"], Outcome.HIT)
    assert [event.changed for event in told.events if isinstance(event, ListRefreshed)] == [True, False]


async def test_client_that_insists_waits_for_the_mirror(
    make: Make, mirror: FakeCopy, clock: ManualClock
) -> None:
    lists = make()
    await read(lists)
    mirror.answer = [listed("z")]
    clock.advance(6)
    assert await read(lists, revalidate=True) == (["z"], Outcome.REVALIDATED)
    mirror.answer = DOWN
    clock.advance(6)
    assert await read(lists, revalidate=True) == (["z"], Outcome.STALE_IF_ERROR)


BAD: dict[str, Sequence[bytes | PypicacheError | asyncio.Event] | PypicacheError] = {
    "outage": DOWN,
    "silence": UpstreamTimeout("mirror", "no answer"),
    "breaks in the middle": [listed("a", "b")[:40], DOWN],
    "ends early": [listed("a", "b")[:-3]],
    "garbage": [b'{"projects": [}{]}'],
    "captive portal": [b"<html><a href='/login'>Login</a></html>"],
    "gone": NotFound("404"),
    "nothing": [],
}


@pytest.mark.parametrize("bad", BAD)
async def test_bad_answer_never_replaces_a_good_one(
    make: Make, mirror: FakeCopy, clock: ManualClock, tmp_path: Path, bad: str
) -> None:
    lists = make()
    await read(lists)
    mirror.answer = BAD[bad]
    for wait in (601, 7200, 86400 * 40):
        clock.advance(wait)
        names, outcome = await read(lists)
        assert names == ["a", "b"]
        assert outcome in {Outcome.STALE, Outcome.STALE_IF_ERROR}
        await landed(lists)
    assert len([path for path in (tmp_path / "lists").rglob("*") if path.is_file()]) == 5
    mirror.answer = [listed("c")]
    clock.advance(100)
    await read(lists)
    await landed(lists)
    assert (await read(lists))[0] == ["c"]


@pytest.mark.parametrize("bad", ["gone", "captive portal", "nothing"])
async def test_mirror_without_a_list_is_a_clear_no_for_a_while(
    make: Make, mirror: FakeCopy, clock: ManualClock, bad: str
) -> None:
    mirror.answer = BAD[bad]
    lists = make()
    for _ in range(3):
        with pytest.raises(NotFound, match="offers no list"):
            await read(lists)
    assert len(mirror.asked) == 1
    clock.advance(61)
    mirror.answer = [listed("a")]
    assert (await read(lists))[0] == ["a"]


@pytest.mark.parametrize("bad", ["outage", "silence", "breaks in the middle", "ends early", "garbage"])
async def test_outage_without_a_list_is_told_at_once(
    make: Make, mirror: FakeCopy, clock: ManualClock, bad: str
) -> None:
    """Silence isn't absence: 503, and the mirror isn't asked for each client anew."""
    mirror.answer = BAD[bad]
    lists = make()
    for _ in range(3):
        with pytest.raises(UpstreamError):
            await read(lists)
    assert len(mirror.asked) == 1
    clock.advance(6)
    mirror.answer = [listed("a")]
    assert (await read(lists))[0] == ["a"]


async def test_list_that_takes_long_goes_on_behind(make: Make, mirror: FakeCopy) -> None:
    gate = asyncio.Event()
    mirror.answer = [gate, listed("a")]
    lists = make(within=0.01)
    with pytest.raises(UpstreamError, match="on its way") as caught:
        await read(lists)
    assert caught.value.retry_after == 5
    gate.set()
    await landed(lists)
    assert await read(lists) == (["a"], Outcome.HIT)
    assert len(mirror.asked) == 1


@pytest.mark.parametrize("bad", ["outage", "gone", "ends early", "captive portal"])
async def test_next_mirror_is_asked(make: Make, told: Recorder, bad: str) -> None:
    lists = make(FakeCopy(BAD[bad], "one"), FakeCopy([listed("z")], "two"))
    assert await read(lists) == (["z"], Outcome.MISS)
    assert [event.origin for event in told.events if isinstance(event, MirrorFailed)] == ["one"]


async def test_one_no_and_one_silence_are_no_no(make: Make) -> None:
    with pytest.raises(UpstreamError):
        await read(make(FakeCopy(NotFound("404"), "one"), FakeCopy(DOWN, "two")))


async def test_offline_gives_what_is_held(make: Make, mirror: FakeCopy, clock: ManualClock) -> None:
    offline = make(offline=True)
    with pytest.raises(UpstreamError, match="offline"):
        await read(offline)
    assert not mirror.asked
    await read(make())
    clock.advance(86400 * 400)
    assert await read(offline) == (["a", "b"], Outcome.HIT)


async def test_stored_files_that_vanished_are_fetched_again(
    make: Make, mirror: FakeCopy, tmp_path: Path
) -> None:
    mirror.etag = '"x"'
    lists = make()
    await read(lists)
    for path in (tmp_path / "lists").rglob("*.json"):
        path.unlink()
    assert (await read(lists))[0] == ["a", "b"]
    assert len(mirror.asked) == 2


async def test_slices_are_of_one_size_whatever_comes() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for size in (1, 0, 5, 12, 3):
            yield b"x" * size

    assert [len(piece) async for piece in sliced(pieces(), 4)] == [4, 4, 4, 4, 4, 1]
    assert [piece async for piece in sliced(pieces(), 100)] == [b"x" * 21]
