"""One index's pages: fresh, asked about, stale, gone; over a source whose answers are scripted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from pypicache.errors import ProjectNotFound, UpstreamError, UpstreamRefused
from pypicache.events import PageServedStale
from pypicache.index.catalog import Catalog
from pypicache.index.entry import Outcome
from pypicache.index.refresh import page_catalog
from pypicache.offload import Offload
from pypicache.rules.freshness import Windows
from pypicache.simple.model import File, Project, ProjectName
from tests.clock import ManualClock
from tests.fakes import DictPages, FakeSource, Recorder

NAME = ProjectName("demo")
WINDOWS = Windows(ttl=600, patience=0.05, stale_while_revalidate=3600, stale_if_error=86400, negative_ttl=60)


def page(*filenames: str) -> Project:
    files = tuple(File(filename=name, url=f"https://files.example/{name}") for name in filenames)
    return Project(name=NAME, files=files)


OLD, NEW = page("demo-1.tar.gz"), page("demo-1.tar.gz", "demo-2.tar.gz")

Make = Callable[..., Catalog]


@pytest.fixture
def source() -> FakeSource:
    return FakeSource(OLD)


@pytest.fixture
def store() -> DictPages:
    return DictPages()


@pytest.fixture
async def make(source: FakeSource, store: DictPages, clock: ManualClock) -> AsyncIterator[Make]:
    made: list[Catalog] = []

    def catalog(
        *, observer: Recorder | None = None, offline: bool = False, windows: Windows = WINDOWS
    ) -> Catalog:
        made.append(
            page_catalog(
                index="root/pypi",
                source=source,
                store=store,
                windows=windows,
                clock=clock,
                observer=observer or Recorder(),
                offload=Offload(),
                offline=offline,
            )
        )
        return made[-1]

    yield catalog
    for each in made:
        await each.__aexit__(None, None, None)


DOWN = UpstreamRefused("fake", "connection refused")


async def test_a_page_is_asked_for_once_and_then_held(make: Make, source: FakeSource) -> None:
    catalog = make()
    first, second = await catalog.page(NAME), await catalog.page(NAME)
    assert (first.outcome, second.outcome) == (Outcome.MISS, Outcome.HIT)
    assert first.data == second.data
    assert len(source.asked) == 1


class SlowPages(DictPages):
    """A disk that takes its time over the second question, which finds nothing; `reached` tells that it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.reached, self.go_on = asyncio.Event(), asyncio.Event()

    async def get(self, key: str) -> bytes | None:
        self.asked += 1
        if self.asked == 2:
            self.reached.set()
            await self.go_on.wait()
            return None
        return await super().get(key)


async def test_a_page_that_comes_while_the_disk_is_asked_is_not_asked_for_again(
    source: FakeSource, clock: ManualClock
) -> None:
    slow = SlowPages()
    async with page_catalog(
        index="root/pypi",
        source=source,
        store=slow,
        windows=WINDOWS,
        clock=clock,
        observer=Recorder(),
        offload=Offload(),
    ) as catalog:
        source.gate = asyncio.Event()
        first = asyncio.ensure_future(catalog.page(NAME))
        await source.reached.wait()
        second = asyncio.ensure_future(catalog.page(NAME))
        await slow.reached.wait()
        source.gate.set()
        assert (await first).outcome is Outcome.MISS
        slow.go_on.set()
        assert (await second).outcome is Outcome.HIT
    assert len(source.asked) == 1


async def test_concurrent_requests_share_one_question(make: Make, source: FakeSource) -> None:
    catalog = make()
    source.gate = asyncio.Event()
    asking = [asyncio.ensure_future(catalog.page(NAME)) for _ in range(20)]
    await source.reached.wait()
    source.gate.set()
    pages = await asyncio.gather(*asking)
    assert len(source.asked) == 1
    assert sum(page.collapsed for page in pages) == 19


async def test_a_client_that_leaves_does_not_stop_the_question(make: Make, source: FakeSource) -> None:
    catalog = make()
    source.gate = asyncio.Event()
    first = asyncio.ensure_future(catalog.page(NAME))
    await source.reached.wait()
    second = asyncio.ensure_future(catalog.page(NAME))
    await asyncio.sleep(0)
    first.cancel()
    source.gate.set()
    assert (await second).data
    assert len(source.asked) == 1


async def test_after_its_ttl_the_mirror_is_asked_with_the_validators(
    make: Make, source: FakeSource, clock: ManualClock
) -> None:
    catalog = make()
    await catalog.page(NAME)
    clock.advance(601)
    again = await catalog.page(NAME)
    assert again.outcome is Outcome.REVALIDATED
    known = source.asked[1][1]
    assert known is not None
    assert known.etag is not None
    assert (await catalog.page(NAME)).outcome is Outcome.HIT


async def test_a_new_release_is_found_after_the_ttl(
    make: Make, source: FakeSource, clock: ManualClock
) -> None:
    catalog = make()
    before = await catalog.page(NAME)
    source.pages[NAME] = NEW
    clock.advance(601)
    assert (await catalog.page(NAME)).digest != before.digest


async def test_a_silent_mirror_is_waited_for_no_longer_than_patience(
    make: Make, source: FakeSource, clock: ManualClock
) -> None:
    catalog = make()
    before = await catalog.page(NAME)
    clock.advance(601)
    source.gate, source.pages[NAME] = asyncio.Event(), NEW
    assert (await catalog.page(NAME)).outcome is Outcome.STALE
    source.gate.set()
    joined = await catalog.page(NAME)
    assert joined.digest != before.digest
    assert (joined.outcome, joined.collapsed) == (Outcome.REVALIDATED, True)


async def test_an_outage_serves_the_old_page(make: Make, source: FakeSource, clock: ManualClock) -> None:
    """*Once cached, always served*, and *a bad answer never replaces a good one*."""
    seen = Recorder()
    catalog = make(observer=seen)
    before = await catalog.page(NAME)
    source.pages[NAME] = DOWN
    for days in (0.01, 0.5, 0.4):
        clock.advance(days * 86400)
        stale = await catalog.page(NAME)
        assert (stale.outcome, stale.data) == (Outcome.STALE_IF_ERROR, before.data)
    assert len(seen.of(PageServedStale)) == 3


async def test_a_page_older_than_stale_if_error_is_gone(
    make: Make, source: FakeSource, clock: ManualClock
) -> None:
    catalog = make()
    await catalog.page(NAME)
    source.pages[NAME] = DOWN
    clock.advance(86400 + 601)
    with pytest.raises(UpstreamError):
        await catalog.page(NAME)


async def test_nothing_held_and_nobody_answers(make: Make, source: FakeSource) -> None:
    """*Silence is not absence.*"""
    source.pages[NAME] = DOWN
    catalog = make()
    for _ in range(2):
        with pytest.raises(UpstreamError, match="connection refused"):
            await catalog.page(NAME)
    assert len(source.asked) == 2


async def test_an_absence_is_believed_for_negative_ttl(
    make: Make, source: FakeSource, clock: ManualClock
) -> None:
    source.pages[NAME] = ProjectNotFound("demo")
    catalog = make()
    for _ in range(3):
        with pytest.raises(ProjectNotFound):
            await catalog.page(NAME)
    assert len(source.asked) == 1
    clock.advance(61)
    source.pages[NAME] = OLD
    assert (await catalog.page(NAME)).data


async def test_an_old_absence_does_not_become_a_404_by_itself(
    make: Make, source: FakeSource, clock: ManualClock
) -> None:
    source.pages[NAME] = ProjectNotFound("demo")
    catalog = make()
    with pytest.raises(ProjectNotFound):
        await catalog.page(NAME)
    clock.advance(61)
    source.pages[NAME] = DOWN
    with pytest.raises(UpstreamError):
        await catalog.page(NAME)


async def test_a_404_for_a_held_project_counts_when_repeated(
    make: Make, source: FakeSource, clock: ManualClock
) -> None:
    """One mirror's 404 can be a hiccup; said again after `negative_ttl` it is believed."""
    catalog = make()
    held = await catalog.page(NAME)
    source.pages[NAME] = ProjectNotFound("demo")
    clock.advance(601)
    assert (await catalog.page(NAME)).data == held.data
    clock.advance(30)
    assert (await catalog.page(NAME)).data == held.data
    assert len(source.asked) == 2
    clock.advance(31)
    with pytest.raises(ProjectNotFound):
        await catalog.page(NAME)
    assert await catalog.held(NAME) is None


async def test_a_confirmed_404_counts_at_once(make: Make, source: FakeSource, clock: ManualClock) -> None:
    catalog = make()
    await catalog.page(NAME)
    source.pages[NAME] = ProjectNotFound("demo", confirmed=True)
    clock.advance(601)
    with pytest.raises(ProjectNotFound):
        await catalog.page(NAME)


async def test_a_404_that_flaps_is_forgotten(make: Make, source: FakeSource, clock: ManualClock) -> None:
    """U13: 200, 404, 200 keeps the page throughout."""
    catalog = make()
    await catalog.page(NAME)
    for answer in (ProjectNotFound("demo"), OLD, ProjectNotFound("demo"), OLD):
        source.pages[NAME] = answer
        clock.advance(661)
        assert (await catalog.page(NAME)).data


async def test_a_client_that_insists_is_heeded_once_in_five_seconds(
    make: Make, source: FakeSource, clock: ManualClock
) -> None:
    catalog = make()
    await catalog.page(NAME)
    clock.advance(6)
    for _ in range(3):
        await catalog.page(NAME, revalidate=True)
    assert len(source.asked) == 2


async def test_a_restart_forgets_nothing(make: Make, source: FakeSource, clock: ManualClock) -> None:
    """*Memory holds no truth.*"""
    before = await make().page(NAME)
    after = await make().page(NAME)
    assert (after.outcome, after.data) == (Outcome.HIT, before.data)
    assert len(source.asked) == 1


@pytest.mark.parametrize("damage", ["entry", "page"])
async def test_a_damaged_record_is_asked_for_again(
    make: Make, source: FakeSource, store: DictPages, damage: str
) -> None:
    before = await make().page(NAME)
    for key in store.values:
        if key.startswith(damage):
            store.values[key] = b"damaged"
    assert (await make().page(NAME)).data == before.data
    assert len(source.asked) == 2


async def test_offline_asks_nobody(make: Make, source: FakeSource, clock: ManualClock) -> None:
    await make().page(NAME)
    clock.advance(400 * 86400)
    catalog = make(offline=True)
    assert (await catalog.page(NAME)).outcome is Outcome.HIT
    with pytest.raises(UpstreamError, match="offline"):
        await catalog.page(ProjectName("other"))
    assert len(source.asked) == 1


async def answered(source: FakeSource, times: int) -> None:
    """Wait until the source has been asked so often, and the question is over."""
    while len(source.asked) < times:
        source.reached.clear()
        await source.reached.wait()
    await asyncio.sleep(0)


async def test_a_popular_page_is_refreshed_before_it_expires(
    make: Make, source: FakeSource, clock: ManualClock
) -> None:
    """Its users never wait: the question goes on behind a fresh answer in the last fifth of `ttl`."""
    catalog = make()
    await catalog.page(NAME)
    for _ in range(5):
        await catalog.page(NAME)
    assert len(source.asked) == 1
    clock.advance(500)
    source.pages[NAME] = NEW
    assert (await catalog.page(NAME)).outcome is Outcome.HIT
    await answered(source, 2)
    await asyncio.gather(*catalog._flights.values())
    clock.advance(400)
    after = await catalog.page(NAME)
    assert after.outcome is Outcome.HIT
    assert b"demo-2" in after.data
    assert len(source.asked) == 2


async def test_a_page_that_is_rarely_used_expires(make: Make, source: FakeSource, clock: ManualClock) -> None:
    catalog = make()
    await catalog.page(NAME)
    clock.advance(500)
    assert (await catalog.page(NAME)).outcome is Outcome.HIT
    assert not catalog._flights


async def test_a_refresh_ahead_that_fails_changes_nothing(
    make: Make, source: FakeSource, clock: ManualClock
) -> None:
    catalog = make()
    for _ in range(4):
        await catalog.page(NAME)
    clock.advance(500)
    source.pages[NAME] = DOWN
    assert (await catalog.page(NAME)).outcome is Outcome.HIT
    await asyncio.gather(*catalog._flights.values(), return_exceptions=True)
    for _ in range(4):
        assert (await catalog.page(NAME)).outcome is Outcome.HIT
    assert len(source.asked) == 2


@pytest.mark.parametrize(("age", "fresh_for"), [(0.0, 530), (100.0, 430), (86_400.0, 230)])
async def test_u28_an_age_counts_up_to_half_of_the_ttl(
    make: Make, source: FakeSource, clock: ManualClock, age: float, fresh_for: float
) -> None:
    source.age = age
    catalog = make()
    await catalog.page(NAME)
    clock.advance(fresh_for)
    assert (await catalog.page(NAME)).outcome is Outcome.HIT
    clock.advance(600 - min(age, 300) - fresh_for)
    assert (await catalog.page(NAME)).outcome is Outcome.REVALIDATED


@pytest.mark.parametrize("jump", [-3 * 86_400.0, 3000.0])
async def test_a_clock_that_jumps_makes_a_page_asked_about_and_never_lost(
    make: Make, source: FakeSource, clock: ManualClock, jump: float
) -> None:
    catalog = make()
    await catalog.page(NAME)
    clock.jump(jump)
    right, source.pages[NAME] = source.pages[NAME], DOWN
    assert (await catalog.page(NAME)).outcome is Outcome.STALE_IF_ERROR
    source.pages[NAME] = right
    assert (await catalog.page(NAME)).outcome is Outcome.REVALIDATED
    assert (await catalog.page(NAME)).outcome is Outcome.HIT
    clock.advance(600)
    assert (await catalog.page(NAME)).outcome is Outcome.REVALIDATED


async def test_a_clock_that_was_set_back_does_not_make_a_denial_last(
    make: Make, source: FakeSource, clock: ManualClock
) -> None:
    """What is to be said again after `negative_ttl` isn't waited for until the clock catches up."""
    catalog = make()
    await catalog.page(NAME)
    clock.advance(700)
    source.pages[NAME] = ProjectNotFound("no", origins=["fake"])
    await catalog.page(NAME)
    clock.jump(-7 * 86_400)
    with pytest.raises(ProjectNotFound):
        await catalog.page(NAME)


async def test_a_clock_that_was_set_back_does_not_stop_refreshes_behind(
    make: Make, source: FakeSource, clock: ManualClock
) -> None:
    catalog = make()
    await catalog.page(NAME)
    clock.jump(-86_400)
    catalog.refresh_behind(NAME)
    await asyncio.gather(*catalog._flights.values())
    assert len(source.asked) == 2
