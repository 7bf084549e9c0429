"""Replicas: who is asked, in which order, and what their answers come to together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from pypicache.errors import (
    AllUpstreamsFailed,
    FileNotFound,
    ProjectNotFound,
    UpstreamError,
    UpstreamGarbled,
    UpstreamRefused,
    UpstreamTimeout,
)
from pypicache.events import MirrorFailed
from pypicache.rules.breaker import State
from pypicache.rules.hedge import Allowance
from pypicache.rules.retry import AGED
from pypicache.simple.model import File, ProjectName
from pypicache.upstream.faults import BadLink
from pypicache.upstream.mirrors import Mirrors
from pypicache.upstream.source import Copy, Listing, NotModified, Share, Validators
from pypicache.upstream.standing import FAR, MEASURABLE
from tests.clock import ManualClock
from tests.fakes import FakeBody, FakeCopy, Recorder, Script
from tests.upstream.making import DEMO, JSON, WHEEL, drain, file, open_client, page
from tests.upstream.raw import Answer, RawServer, reply

Outcome = Listing | NotModified | Exception | None


class Scripted:
    """A mirror whose answers are given in turn, the last one for ever; None is silence."""

    def __init__(
        self, name: str, *outcomes: Outcome, log: list[str] | None = None, copy: Copy | None = None
    ) -> None:
        self.name = name
        self.known: list[Validators | None] = []
        self._outcomes = list(outcomes)
        self._log = [] if log is None else log
        self._copy = copy

    async def project(self, name: ProjectName, known: Validators | None = None) -> Listing | NotModified:
        self._log.append(self.name)
        self.known.append(known)
        outcome = self._outcomes.pop(0) if len(self._outcomes) > 1 else self._outcomes[0]
        if outcome is None:
            await asyncio.get_running_loop().create_future()
        if isinstance(outcome, Exception):
            raise outcome
        assert outcome is not None
        return outcome

    def copies(
        self,
        project: ProjectName,
        file: File,
        origin: str,
        *,
        sidecar: bool = False,
        unproven: bool = False,
    ) -> Sequence[Copy]:
        return [self._copy or FakeCopy(self.name, [Script(self.name.encode())])]


def listing(origin: str) -> Listing:
    return Listing(origin.encode(), Validators(origin))


def refused(origin: str, status: int | None = None, retry_after: float | None = None) -> UpstreamRefused:
    return UpstreamRefused(origin, "no", http_status=status, retry_after=retry_after)


def absent() -> ProjectNotFound:
    return ProjectNotFound("no")


def mirrors(
    *clients: Scripted, clock: ManualClock | None = None, recorder: Recorder | None = None, **more: Any
) -> Mirrors:
    return Mirrors(
        name="root/pypi",
        clients=clients,
        clock=(clock or ManualClock()).monotonic,
        observer=recorder or Recorder(),
        spread=lambda: 0.0,
        **more,
    )


FAILURES: list[UpstreamError] = [
    refused("a"),
    refused("a", 401),
    refused("a", 403),
    refused("a", 429),
    refused("a", 503),
    UpstreamTimeout("a", "silent"),
    UpstreamGarbled("a", "not an index page"),
    BadLink("a", "a redirect inside"),
]


@pytest.mark.parametrize("failure", FAILURES, ids=str)
async def test_any_failure_moves_on_to_the_next_mirror_and_is_told(failure: UpstreamError) -> None:
    recorder = Recorder()
    both = mirrors(Scripted("a", failure), Scripted("b", listing("b")), recorder=recorder)
    assert await both.project(DEMO) == listing("b")
    (event,) = recorder.events
    assert isinstance(event, MirrorFailed)
    assert (event.origin, event.what) == ("a", "demo")
    assert not event.reason.startswith("a:")


async def test_all_failures_are_told_in_order() -> None:
    both = mirrors(Scripted("a", refused("a", 503, 9.0)), Scripted("b", UpstreamTimeout("b", "silent")))
    with pytest.raises(AllUpstreamsFailed) as caught:
        await both.project(DEMO)
    assert str(caught.value) == "demo: a: no; b: silent"
    assert caught.value.retry_after == 9.0
    assert [cause.origin for cause in caught.value.causes] == ["a", "b"]


ABSENCES: list[tuple[list[Outcome], Outcome | type[Exception], list[str]]] = [
    ([absent()], ProjectNotFound, ["a"]),
    ([absent(), absent(), absent()], ProjectNotFound, ["a", "b", "c"]),
    ([absent(), listing("b")], listing("b"), ["a", "b"]),
    ([absent(), absent(), listing("c")], listing("c"), ["a", "b", "c"]),
    ([absent(), refused("b"), listing("c")], listing("c"), ["a", "b", "c"]),
    ([absent(), refused("b")], ProjectNotFound, ["a", "b"]),
    ([refused("a"), absent()], ProjectNotFound, ["a", "b"]),
    ([refused("a"), UpstreamGarbled("b", "x"), refused("c", 403)], AllUpstreamsFailed, ["a", "b", "c"]),
]


@pytest.mark.parametrize(("outcomes", "expected", "asked"), ABSENCES)
async def test_silence_is_not_absence(
    outcomes: list[Outcome], expected: Outcome | type[Exception], asked: list[str]
) -> None:
    """Absent is what every mirror that answers says is absent, and one at least must say so."""
    log: list[str] = []
    source = mirrors(
        *(Scripted(name, outcome, log=log) for name, outcome in zip("abc", outcomes, strict=False))
    )
    if isinstance(expected, Listing):
        assert await source.project(DEMO) == expected
    else:
        assert isinstance(expected, type)
        with pytest.raises(expected):
            await source.project(DEMO)
    assert log == asked


async def test_mirror_that_was_silent_a_moment_ago_is_not_asked_to_confirm_an_absence() -> None:
    log: list[str] = []
    source = mirrors(Scripted("a", listing("a"), absent(), log=log), Scripted("b", refused("b"), log=log))
    source._mirrors[1].failed("pages", refused("b"))
    await source.project(DEMO)
    with pytest.raises(ProjectNotFound):
        await source.project(DEMO)
    assert log == ["a", "a"]


async def test_validators_go_only_to_the_mirror_they_came_from() -> None:
    known = Validators("b", etag='"1"')
    a, b = Scripted("a", refused("a")), Scripted("b", NotModified(known))
    assert await mirrors(a, b).project(DEMO, known) == NotModified(known)
    assert (a.known, b.known) == ([None], [known])


async def test_silent_mirror_is_asked_last_until_it_is_due_and_first_again_when_it_answers() -> None:
    clock, log = ManualClock(), list[str]()
    a = Scripted("a", UpstreamTimeout("a", "silent"), listing("a"), log=log)
    source = mirrors(a, Scripted("b", listing("b"), log=log), clock=clock)
    for _ in range(3):
        assert await source.project(DEMO) == listing("b")
    assert log == ["a", "b", "b", "b"]
    clock.advance(30)
    for _ in range(2):
        assert await source.project(DEMO) == listing("a")
    assert log == ["a", "b", "b", "b", "a", "a"]


async def test_one_broken_page_does_not_cost_a_mirror_its_turn() -> None:
    log: list[str] = []
    a = Scripted("a", UpstreamGarbled("a", "x"), listing("a"), log=log)
    source = mirrors(a, Scripted("b", listing("b"), log=log))
    await source.project(DEMO)
    await source.project(DEMO)
    assert log == ["a", "b", "a"]


async def test_retry_after_is_obeyed() -> None:
    clock, log = ManualClock(), list[str]()
    a = Scripted("a", refused("a", 429, 40.0), listing("a"), log=log)
    source = mirrors(a, Scripted("b", listing("b"), log=log), clock=clock)
    await source.project(DEMO)
    clock.advance(39)
    await source.project(DEMO)
    clock.advance(2)
    await source.project(DEMO)
    assert log == ["a", "b", "b", "a"]


async def test_open_breakers_make_no_answer_impossible() -> None:
    log: list[str] = []
    a = Scripted("a", refused("a"), listing("a"), log=log)
    source = mirrors(a, Scripted("b", refused("b"), log=log))
    with pytest.raises(AllUpstreamsFailed):
        await source.project(DEMO)
    assert [h.pages.state for h in source.health] == [State.OPEN, State.OPEN]
    assert await source.project(DEMO) == listing("a")
    assert log == ["a", "b", "a"]


async def test_absence_is_an_answer_to_the_breaker() -> None:
    source = mirrors(Scripted("a", refused("a"), absent()))
    with pytest.raises(AllUpstreamsFailed):
        await source.project(DEMO)
    with pytest.raises(ProjectNotFound):
        await source.project(DEMO)
    assert source.health[0].pages.state is State.CLOSED


async def test_silent_mirrors_leave_time_for_the_others() -> None:
    """However long the first ones are silent, every mirror gets its share of the budget."""
    clock = asyncio.get_running_loop().time
    clients = [Scripted("a", None), Scripted("b", None), Scripted("c", listing("c"))]
    source = Mirrors(
        name="root/pypi", clients=clients, clock=clock, observer=Recorder(), budget=0.3, reserve=0.1
    )
    began = clock()
    assert await source.project(DEMO) == listing("c")
    assert clock() - began < 0.3
    assert [health.pages.state for health in source.health] == [State.OPEN, State.OPEN, State.CLOSED]


async def test_cancellation_passes() -> None:
    source = mirrors(Scripted("a", None), Scripted("b", listing("b")))
    task = asyncio.ensure_future(source.project(DEMO))
    await asyncio.wait([task], timeout=0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_copies_begin_with_the_pages_origin_then_by_preference() -> None:
    source = mirrors(Scripted("a", listing("a")), Scripted("b", listing("b")), Scripted("c", listing("c")))
    wanted = file("http://c.example.org/x")
    assert [copy.origin for copy in source.copies(DEMO, wanted, "c")] == ["c", "a", "b"]
    source._mirrors[2].failed("files", refused("c"))
    assert [copy.origin for copy in source.copies(DEMO, wanted, "c")] == ["a", "b", "c"]
    source._mirrors[0].failed("pages", refused("a"))
    assert [copy.origin for copy in source.copies(DEMO, wanted, "c")] == ["b", "c", "a"]


def _files_state(source: Mirrors) -> State:
    return source.health[0].files.state


HEALTH: list[tuple[Exception, State]] = [
    (FileNotFound("x"), State.CLOSED),
    (refused("a", 403), State.CLOSED),
    (refused("a", 416), State.CLOSED),
    (UpstreamGarbled("a", "other bytes"), State.CLOSED),
    (BadLink("a", "inside"), State.CLOSED),
    (refused("a"), State.OPEN),
    (UpstreamTimeout("a", "silent"), State.OPEN),
    (refused("a", 503, 5.0), State.OPEN),
    (refused("a", 429, 5.0), State.OPEN),
]


@pytest.mark.parametrize(("error", "state"), HEALTH)
async def test_what_a_failed_file_says_of_the_mirror(error: Any, state: State) -> None:
    source = mirrors(Scripted("a", listing("a"), copy=FakeCopy("a", [error])))
    (copy,) = source.copies(DEMO, file("http://x.example.org/"), "a")
    for _ in range(3):
        with pytest.raises(type(error)):
            await copy.open()
    assert source.health[0].files.state is state
    assert source.health[0].pages.state is State.CLOSED


@pytest.mark.parametrize("error", [refused("a"), UpstreamTimeout("a", "silent")])
async def test_body_that_breaks_is_the_mirrors_failure_and_one_that_ends_its_success(
    error: UpstreamError,
) -> None:
    recorder = Recorder()
    inner = FakeCopy("a", [Script(b"12345", error=error), Script(b"12345")])
    source = mirrors(Scripted("a", listing("a"), copy=inner), recorder=recorder)
    (copy,) = source.copies(DEMO, file("http://x.example.org/"), "a")
    with pytest.raises(type(error)):
        await drain(await copy.open())
    assert _files_state(source) is State.OPEN
    assert [type(event) for event in recorder.events] == [MirrorFailed]
    assert await drain(await copy.open()) == b"12345"
    assert _files_state(source) is State.CLOSED


async def test_due_mirror_is_probed_by_one_request_at_a_time() -> None:
    clock, log = ManualClock(), list[str]()
    a = Scripted("a", refused("a"), None, log=log)
    source = mirrors(a, Scripted("b", listing("b"), log=log), clock=clock)
    await source.project(DEMO)
    clock.advance(10)
    probe = asyncio.ensure_future(source.project(DEMO))
    await asyncio.sleep(0)
    assert await source.project(DEMO) == listing("b")
    assert log == ["a", "b", "a", "b"]
    probe.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probe


@pytest.mark.parametrize(("asked", "state"), [(True, State.OPEN), (False, State.CLOSED)])
async def test_who_gives_up_waiting_for_a_turn_was_not_kept_waiting_by_the_mirror(
    asked: bool, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Silence counts from when it is asked; too many files at a time are this daemon's own limit."""
    monkeypatch.setattr("pypicache.upstream.watched.SILENCE", 0.0)
    source = mirrors(Scripted("a", listing("a"), copy=Hanging("a", [], asks=asked)))
    (copy,) = source.copies(DEMO, file("http://x.example.org/"), "a")
    opening = asyncio.ensure_future(copy.open())
    await asyncio.wait([opening], timeout=0.01)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert _files_state(source) is state


@dataclass
class Hanging(FakeCopy):
    """Has a request wait, for its turn or for its answer."""

    asks: bool = True

    async def open(
        self,
        start: int = 0,
        stop: int | None = None,
        *,
        if_range: str | None = None,
        share: Share | None = None,
        asking: Callable[[], object] | None = None,
    ) -> FakeBody:
        if self.asks and asking is not None:
            asking()
        await asyncio.Event().wait()
        raise AssertionError


async def test_body_that_was_never_read_says_nothing() -> None:
    source = mirrors(Scripted("a", listing("a"), copy=FakeCopy("a", [Script(b"12345")])))
    (copy,) = source.copies(DEMO, file("http://x.example.org/"), "a")
    source._mirrors[0].failed("files", refused("a"))
    async with await copy.open():
        pass
    assert source.health[0].files.state is not State.CLOSED


async def test_reader_that_has_enough_is_no_failure() -> None:
    source = mirrors(Scripted("a", listing("a"), copy=FakeCopy("a", [Script(b"x" * 100, piece=10)])))
    (copy,) = source.copies(DEMO, file("http://x.example.org/"), "a")
    source._mirrors[0].failed("files", refused("a"))
    async with await copy.open() as body:
        async for _ in body.chunks():
            break
    assert source.health[0].files.state is State.CLOSED


async def test_hanging_failing_and_working_mirror_over_sockets() -> None:
    """The whole path: the first hangs, the second gives 500, the third works; the next page skips the first."""
    async with RawServer() as first, RawServer() as second, RawServer() as third:
        first.on("/simple/demo/", Answer(b"", "hang"))
        second.on("/simple/demo/", reply(status=500))
        third.on("/simple/demo/", reply(page(), content_type=JSON))
        third.on(f"/files/{WHEEL}", reply(b"12345"))
        async with (
            open_client(first.simple, name="first", read_timeout=0.1) as a,
            open_client(second.simple, name="second") as b,
            open_client(third.simple, name="third") as c,
        ):
            source = Mirrors(
                name="root/pypi",
                clients=[a, b, c],
                clock=asyncio.get_running_loop().time,
                observer=Recorder(),
            )
            answers = [await source.project(DEMO) for _ in range(3)]
            assert {answer.validators.origin for answer in answers} == {"third"}
            copies = source.copies(DEMO, file(f"{third.url}/files/{WHEEL}"), "third")
            assert await drain(await copies[0].open()) == b"12345"
            assert [copy.origin for copy in copies] == ["third", "first", "second"]
        assert len(first.asked) == 1


CONFIRMED: list[tuple[list[Outcome], bool, tuple[str, ...]]] = [
    ([absent()], False, ("a",)),
    ([absent(), refused("b")], False, ("a",)),
    ([refused("a"), absent()], False, ("b",)),
    ([absent(), absent()], True, ("a", "b")),
    ([refused("a"), absent(), absent()], True, ("b", "c")),
]


@pytest.mark.parametrize(("outcomes", "confirmed", "origins"), CONFIRMED)
async def test_promise_5_an_absence_names_who_said_so_and_is_confirmed_by_two(
    outcomes: list[Outcome], confirmed: bool, origins: tuple[str, ...]
) -> None:
    source = mirrors(*(Scripted(name, outcome) for name, outcome in zip("abc", outcomes, strict=False)))
    with pytest.raises(ProjectNotFound) as caught:
        await source.project(DEMO)
    assert (caught.value.confirmed, caught.value.origins) == (confirmed, origins)


async def test_chosen_mirrors_are_asked_beside_the_one_that_answered() -> None:
    """A page, a stated absence, and nothing: silence, failure and an open breaker are told apart from a no."""
    log, recorder = list[str](), Recorder()
    source = mirrors(
        Scripted("a", listing("a"), log=log),
        Scripted("b", listing("b"), log=log),
        Scripted("c", absent(), log=log),
        Scripted("d", refused("d", 500), log=log),
        Scripted("e", listing("e"), log=log),
        recorder=recorder,
    )
    source._mirrors[4].failed("pages", refused("e"))
    assert source.origins == ("a", "b", "c", "d", "e")
    said = await source.ask(DEMO, ("e", "d", "c", "b", "left"))
    assert said == {"b": listing("b"), "c": None}
    assert log == ["b", "c", "d"]
    assert [event.origin for event in recorder.events if isinstance(event, MirrorFailed)] == ["d"]
    assert [health.pages.errors for health in source.health] == [0, 0, 0, 1, 0]


class Gated(Scripted):
    """A mirror that answers when it is let."""

    def __init__(self, name: str, *outcomes: Outcome, log: list[str] | None = None) -> None:
        super().__init__(name, *outcomes, log=log)
        self.gate = asyncio.Event()
        self.reached = asyncio.Event()

    async def project(self, name: ProjectName, known: Validators | None = None) -> Listing | NotModified:
        self.reached.set()
        await self.gate.wait()
        return await super().project(name, known)


def live(*clients: Scripted, recorder: Recorder | None = None, **more: Any) -> Mirrors:
    """Mirrors in real time."""
    return Mirrors(
        name="root/pypi",
        clients=clients,
        clock=asyncio.get_running_loop().time,
        observer=recorder or Recorder(),
        spread=lambda: 0.0,
        **more,
    )


async def settled(source: Mirrors) -> None:
    """Wait until nobody owes an answer any more."""
    await asyncio.wait(source._stragglers._tasks)
    await asyncio.sleep(0)


def used_to(source: Mirrors, place: int, seconds: float = 0.05) -> None:
    """Give a mirror a history of quick answers."""
    for _ in range(5):
        source._mirrors[place].answered(seconds)


async def test_a_silent_mirror_is_overtaken_after_its_own_p95_and_asked_last_while_it_owes_an_answer() -> (
    None
):
    log: list[str] = []
    a = Gated("a", listing("a"), log=log)
    async with live(a, Scripted("b", listing("b"), log=log)) as source:
        used_to(source, 0)
        began = asyncio.get_running_loop().time()
        assert await source.project(DEMO) == listing("b")
        assert 0.04 < asyncio.get_running_loop().time() - began < 0.5
        for _ in range(3):
            assert await source.project(DEMO) == listing("b")
        assert log == ["b", "b", "b", "b"]
        a.gate.set()
        await settled(source)
        assert await source.project(DEMO) == listing("a")


async def test_the_one_that_was_asked_longest_ago_is_asked_once_more_whichever_failed_first() -> None:
    """The second fails at once, long before the first, whose failure may be over by then."""
    log: list[str] = []
    a = Gated("a", refused("a"), listing("a"), log=log)
    async with live(a, Scripted("b", refused("b"), log=log)) as source:
        used_to(source, 0, AGED - 0.05)
        asyncio.get_running_loop().call_later(AGED + 0.05, a.gate.set)
        assert await source.project(DEMO) == listing("a")
        assert log == ["b", "a", "a"]


async def test_an_overtaken_mirror_that_never_answers_has_failed() -> None:
    recorder = Recorder()
    async with live(
        Scripted("a", None), Scripted("b", listing("b")), recorder=recorder, budget=0.4, reserve=0.2
    ) as source:
        used_to(source, 0)
        assert await source.project(DEMO) == listing("b")
        assert source._mirrors[0].owing == 1
        await settled(source)
        assert source.health[0].pages.state is State.OPEN
        assert [event.origin for event in recorder.events if isinstance(event, MirrorFailed)] == ["a"]


async def test_a_hedge_that_loses_says_nothing_against_its_mirror() -> None:
    a, b = Gated("a", listing("a")), Gated("b", listing("b"))
    async with live(a, b) as source:
        used_to(source, 0)
        question = asyncio.ensure_future(source.project(DEMO))
        await b.reached.wait()
        a.gate.set()
        assert await question == listing("a")
        assert (source._mirrors[1].owing, source._mirrors[1].scores["pages"].latency.weight) == (0, 0)


async def test_an_exhausted_budget_sends_no_extra_requests_until_a_mirror_is_known_to_be_silent() -> None:
    log: list[str] = []
    a, b = Gated("a", listing("a"), log=log), Scripted("b", listing("b"), log=log)
    async with live(a, b) as source:
        used_to(source, 0)
        source._stragglers.allowance = Allowance(0.0)
        question = asyncio.ensure_future(source.project(DEMO))
        await asyncio.wait([question], timeout=0.3)
        assert log == []
        source._mirrors[0].owing += 1
        assert await question == listing("b")
        source._mirrors[0].owing -= 1


async def test_a_no_beside_a_silent_mirror_is_believed_after_a_last_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pypicache.upstream.race.LAST_WORD", 0.1)
    async with live(Scripted("a", None), Scripted("b", absent())) as source:
        used_to(source, 0)
        with pytest.raises(ProjectNotFound) as caught:
            await source.project(DEMO)
        assert caught.value.origins == ("b",)


async def test_a_slow_yes_outweighs_a_quick_no() -> None:
    a = Gated("a", listing("a"))
    async with live(a, Scripted("b", absent())) as source:
        used_to(source, 0)
        question = asyncio.ensure_future(source.project(DEMO))
        await asyncio.wait([question], timeout=0.2)
        a.gate.set()
        assert await question == listing("a")


async def test_with_every_breaker_open_a_held_page_is_not_kept_waiting() -> None:
    log: list[str] = []
    source = mirrors(Scripted("a", refused("a"), None, log=log), Scripted("b", refused("b"), log=log))
    with pytest.raises(AllUpstreamsFailed):
        await source.project(DEMO)
    with pytest.raises(
        AllUpstreamsFailed, match="a: not asked again so soon: no; b: not asked again"
    ) as caught:
        await source.project(DEMO, Validators("a"))
    assert log == ["a", "b"]
    assert source.health[0].pages.trips == 1
    assert caught.value.status == 503


async def test_with_every_breaker_open_and_nothing_held_one_request_at_a_time_tries_a_mirror() -> None:
    log: list[str] = []
    a = Gated("a", refused("a"), log=log)
    a.gate.set()
    async with live(a) as source:
        with pytest.raises(AllUpstreamsFailed):
            await source.project(DEMO)
        a.gate.clear()
        a.reached.clear()
        questions = [asyncio.ensure_future(source.project(DEMO)) for _ in range(20)]
        await a.reached.wait()
        a.gate.set()
        results = await asyncio.gather(*questions, return_exceptions=True)
        assert {type(result) for result in results} == {AllUpstreamsFailed}
        assert log == ["a", "a"]


async def test_those_who_waited_for_a_probe_ask_when_it_succeeds() -> None:
    log: list[str] = []
    a = Scripted("a", refused("a"), listing("a"), log=log)
    async with live(a) as source:
        with pytest.raises(AllUpstreamsFailed):
            await source.project(DEMO)
        answers = await asyncio.gather(*(source.project(DEMO) for _ in range(5)))
        assert answers == [listing("a")] * 5


async def test_clearly_slow_mirror_gives_way_and_gets_its_turn_back_within_a_minute() -> None:
    clock, log = ManualClock(), list[str]()
    source = mirrors(Scripted("a", listing("a"), log=log), Scripted("b", listing("b"), log=log), clock=clock)
    used_to(source, 0, 4.0)
    used_to(source, 1, 0.1)
    assert await source.project(DEMO) == listing("b")
    clock.advance(60)
    assert await source.project(DEMO) == listing("a")


async def test_files_of_a_far_mirror_are_shared_out() -> None:
    clock = ManualClock()
    source = mirrors(Scripted("a", listing("a"), copy=FakeCopy("a", [], idle=3)), clock=clock)
    (copy,) = source.copies(DEMO, file("http://a.example.org/x"), "a")
    assert copy.idle == 0  # nothing is known of it
    source._mirrors[0].answered(0.05, FAR)
    assert copy.idle == 3
    clock.advance(60)
    assert copy.idle == 0
    source._mirrors[0].answered(0.05, FAR / 2)
    assert copy.idle == 0


async def test_shares_say_nothing_of_the_mirror_but_that_the_first_came() -> None:
    refuses = FakeCopy("a", [Script(b"1" * MEASURABLE)], fails={Share.BESIDE: refused("a", 503, 5.0)})
    source = mirrors(Scripted("a", listing("a"), copy=refuses))
    (copy,) = source.copies(DEMO, file("http://a.example.org/x"), "a")
    for _ in range(3):
        with pytest.raises(UpstreamRefused):
            await copy.open(9, share=Share.BESIDE)
    assert _files_state(source) is State.CLOSED
    source._mirrors[0].failed("files", refused("a"))
    await drain(await copy.open(0, 9, share=Share.FIRST))
    assert (_files_state(source), source.health[0].rate) == (State.CLOSED, None)
    await drain(await copy.open())
    assert source.health[0].rate is not None


async def test_mirror_whose_files_crawl_gives_way_to_another() -> None:
    source = mirrors(Scripted("a", listing("a")), Scripted("b", listing("b")))
    source._mirrors[0].delivered(10_000_000, 100.0)
    source._mirrors[1].delivered(10_000_000, 1.0)
    wanted = file("http://a.example.org/x")
    assert [copy.origin for copy in source.copies(DEMO, wanted, "a")] == ["b", "a"]
