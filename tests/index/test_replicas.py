"""One index's pages from several mirrors: what each answer adds and takes away. Real `Mirrors` over scripted sources."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from pypicache.errors import ProjectNotFound, PypicacheError, UpstreamRefused
from pypicache.events import DigestChanged, PageRefreshed, PageServedStale, Withdrawn
from pypicache.index.catalog import Catalog
from pypicache.index.entry import Outcome, Page
from pypicache.index.refresh import Refresher, page_catalog
from pypicache.offload import Offload
from pypicache.rules.freshness import Windows
from pypicache.simple import model
from pypicache.simple.model import Digest, File, Project, ProjectName
from pypicache.upstream.mirrors import Mirrors
from tests.clock import ManualClock
from tests.fakes import DictPages, FakeSource, Recorder

NAME = ProjectName("demo")
WINDOWS = Windows(
    ttl=600, patience=5, stale_while_revalidate=86400, stale_if_error=30 * 86400, negative_ttl=60
)
NO = ProjectNotFound("no such project")


class Replicated:
    """A catalog over the mirrors a, b and c; each test says what they have."""

    def __init__(self, clock: ManualClock, mirrors: str) -> None:
        self.clock = clock
        self.seen = Recorder()
        self.store = DictPages()
        self.sources = {name: FakeSource(origin=name) for name in mirrors}
        self.catalog = self.opened(mirrors)

    def opened(self, mirrors: str) -> Catalog:
        source = Mirrors(
            name="root/pypi",
            clients=[self.sources[name] for name in mirrors],
            clock=self.clock.monotonic,
            observer=self.seen,
            spread=lambda: 0.0,
        )
        self.catalog = page_catalog(
            index="root/pypi",
            source=source,
            store=self.store,
            windows=WINDOWS,
            clock=self.clock,
            observer=self.seen,
            offload=Offload(),
        )
        return self.catalog

    def has(self, mirror: str, *files: str | File, status: str | None = None) -> None:
        """The mirror lists these from now on: versions, or files as they are."""
        made = tuple(made_by(mirror, each) if isinstance(each, str) else each for each in files)
        self.sources[mirror].pages[NAME] = Project(name=NAME, files=made, status=status)

    def says(self, mirror: str, error: PypicacheError) -> None:
        self.sources[mirror].pages[NAME] = error

    def down(self, *mirrors: str) -> None:
        for mirror in mirrors:
            self.says(mirror, UpstreamRefused(mirror, "connection refused"))

    async def page(self, after: float = 601) -> Page:
        self.clock.advance(after)
        return await self.catalog.page(NAME)

    async def listed(self, after: float = 601) -> dict[str, str]:
        """The versions that the page lists, asked for `after` so many seconds, each with the mirror whose file it is."""
        page = await self.page(after)
        files = model.load(page.data).files
        return {file.filename[5:-7]: file.origin or page.origin for file in files}

    def asked(self) -> str:
        """Which mirrors were asked since the last time, in the mirrors' order."""
        asked = "".join(name * len(source.asked) for name, source in self.sources.items())
        for source in self.sources.values():
            source.asked.clear()
        return asked


def made_by(mirror: str, version: str, digest: str = "11" * 32, *, yanked: bool = False) -> File:
    name = f"demo-{version}.tar.gz"
    return File(
        filename=name,
        url=f"https://{mirror}.example.org/packages/{name}",
        hashes=(Digest("sha256", digest),),
        yanked=yanked,
    )


@pytest.fixture
async def index(clock: ManualClock) -> AsyncIterator[Replicated]:
    """Three mirrors that list 1 and 2, and a page that came from the first."""
    made = Replicated(clock, "abc")
    for mirror in "abc":
        made.has(mirror, "1", "2")
    assert await made.listed() == {"1": "a", "2": "a"}
    made.asked()
    yield made
    await made.catalog.__aexit__(None, None, None)


async def test_promise_5_a_replica_that_lags_takes_nothing_away(index: Replicated) -> None:
    """The first mirror is down, the others don't have the new release yet: it stays, at the first mirror's link."""
    index.has("a", "1", "2", "3")
    assert await index.listed() == {"1": "a", "2": "a", "3": "a"}
    index.down("a", "c")
    before = await index.page(0)
    after = await index.page()
    assert (after.outcome, after.digest) == (Outcome.REVALIDATED, before.digest)
    assert not index.seen.of(Withdrawn)
    refreshed = index.seen.of(PageRefreshed)[-1]
    assert isinstance(refreshed, PageRefreshed)
    assert (refreshed.origin, refreshed.changed) == ("b", False)


async def test_promise_5_two_replicas_that_answer_are_every_mirror_that_answers(index: Replicated) -> None:
    index.has("a", "1", "2", "3")
    await index.listed()
    index.down("a")
    assert await index.listed() == {"1": "a", "2": "a"}
    index.has("a", "1", "2", "3")
    assert await index.listed() == {"1": "a", "2": "a", "3": "a"}


async def test_promise_5_a_file_goes_when_the_mirror_that_listed_it_says_so(index: Replicated) -> None:
    """Others that still list it aren't even asked, and can't bring it back in an outage: only that mirror can."""
    index.has("a", "1")
    index.asked()
    assert await index.listed() == {"1": "a"}
    assert index.asked() == "a"
    assert index.seen.of(Withdrawn) == [
        Withdrawn(index="root/pypi", project=NAME, filenames=("demo-2.tar.gz",), reason="no longer listed")
    ]
    index.down("a")
    for _ in range(2):
        assert await index.listed() == {"1": "a"}
    index.down("b", "c")
    assert await index.listed() == {"1": "a"}
    index.has("a", "1", "2")
    assert await index.listed() == {"1": "a", "2": "a"}


async def test_promise_5_a_mirrors_page_may_add_files_which_go_when_it_says_so(index: Replicated) -> None:
    """While the first mirror lacks a file of the second's, the second is asked as well, even after a 304 of the first."""
    index.down("a")
    index.has("b", "1", "2", "3", "4")
    assert await index.listed() == {"1": "a", "2": "a", "3": "b", "4": "b"}
    index.has("a", "1", "2")
    assert await index.listed() == {"1": "a", "2": "a", "3": "b", "4": "b"}
    index.asked()
    assert await index.listed() == {"1": "a", "2": "a", "3": "b", "4": "b"}
    assert index.asked() == "ab"
    index.has("b", "1", "2", "4")
    assert await index.listed() == {"1": "a", "2": "a", "4": "b"}
    index.down("b")
    assert await index.listed() == {"1": "a", "2": "a", "4": "b"}
    index.has("a", "1", "2", "4")
    assert await index.listed() == {"1": "a", "2": "a", "4": "a"}
    index.asked()
    await index.listed()
    assert index.asked() == "a"


async def test_promise_5_a_file_goes_when_every_mirror_that_answers_lacks_it(index: Replicated) -> None:
    index.down("a")
    index.has("b", "1", "2", "3")
    await index.listed()
    index.down("b")
    index.has("a", "1", "2")
    assert await index.listed() == {"1": "a", "2": "a"}


@pytest.mark.parametrize(("down", "asks"), [("", 1), ("bc", 1), ("c", 1)])
async def test_case_26_a_404_of_the_mirror_that_listed_the_project(
    index: Replicated, down: str, asks: int
) -> None:
    """Said by it and contradicted by none, it is believed at once; a 404 without contradiction may be of several."""
    index.says("a", NO)
    for mirror in "bc":
        index.says(mirror, NO)
    index.down(*down)
    with pytest.raises(ProjectNotFound):
        await index.page()
    assert [event.filenames for event in index.seen.of(Withdrawn) if isinstance(event, Withdrawn)] == [()]
    index.has("a", "1")
    assert await index.listed(61) == {"1": "a"}


async def test_a_hiccup_of_one_mirror_is_outweighed_by_another_ones_page(index: Replicated) -> None:
    index.says("a", NO)
    assert await index.listed() == {"1": "a", "2": "a"}
    assert not index.seen.of(Withdrawn)


async def test_promise_5_a_404_of_a_replica_takes_no_project_while_the_one_that_listed_it_is_silent(
    index: Replicated,
) -> None:
    """However often it is repeated: for the held page that is an outage."""
    index.down("a", "c")
    index.says("b", NO)
    for _ in range(3):
        page = await index.page()
        assert page.outcome is Outcome.STALE_IF_ERROR
    stale = index.seen.of(PageServedStale)[-1]
    assert isinstance(stale, PageServedStale)
    assert "says b; a, which listed it, doesn't answer" in stale.reason


async def test_promise_5_two_replicas_404s_are_every_mirror_that_answers(index: Replicated) -> None:
    index.down("a")
    index.says("b", NO)
    index.says("c", NO)
    with pytest.raises(ProjectNotFound):
        await index.page()


async def test_u13_mirrors_that_flap_change_nothing(index: Replicated) -> None:
    """200, 404, silence, in turn and of all mirrors: no file and no project goes."""
    before = (await index.page()).digest
    for round_ in range(12):
        for place, mirror in enumerate("abc"):
            match (round_ + place) % 3:
                case 0:
                    index.has(mirror, "1", "2")
                case 1:
                    index.says(mirror, NO)
                case 2:
                    index.down(mirror)
        assert (await index.page()).digest == before


async def test_case_14_a_yank_is_not_lost_by_a_replica_that_lags(index: Replicated) -> None:
    index.has("a", "1", made_by("a", "2", yanked=True))
    await index.listed()
    index.down("a")
    page = model.load((await index.page()).data)
    assert [file.yanked for file in page.files] == [False, True]


async def test_case_15_an_un_yank_shows_within_one_ttl(index: Replicated) -> None:
    index.has("a", "1", made_by("a", "2", yanked=True))
    for mirror in "bc":
        index.has(mirror, "1", made_by(mirror, "2", yanked=True))
    await index.listed()
    index.down("a")
    await index.listed()
    index.has("a", "1", "2")
    page = model.load((await index.page()).data)
    assert [file.yanked for file in page.files] == [False, False]


async def test_case_27_a_quarantine_outlives_an_outage_and_ends_with_its_mirrors_word(
    index: Replicated,
) -> None:
    index.has("a", "1", "2", status="quarantined")
    await index.listed()
    (event,) = index.seen.of(Withdrawn)
    assert isinstance(event, Withdrawn)
    assert (event.filenames, event.reason) == ((), "demo is quarantined by its index")
    index.down("a")
    assert model.load((await index.page()).data).status == "quarantined"
    index.has("a", "1", "2")
    assert model.load((await index.page()).data).status is None
    assert len(index.seen.of(Withdrawn)) == 1


async def test_u20_case_20_a_mirror_that_changes_a_digest_is_followed_and_reported(index: Replicated) -> None:
    index.has("a", "1", made_by("a", "2", "22" * 32))
    page = model.load((await index.page()).data)
    assert page.files[1].sha256 == "22" * 32
    assert index.seen.of(DigestChanged) == [
        DigestChanged(
            index="root/pypi",
            project=NAME,
            filename="demo-2.tar.gz",
            origin="a",
            held="sha256:" + "11" * 32,
            got="sha256:" + "22" * 32,
            followed=True,
        )
    ]


async def test_u20_another_mirrors_digest_is_not_followed_and_reported(index: Replicated) -> None:
    index.down("a")
    index.has("b", "1", made_by("b", "2", "22" * 32))
    page = model.load((await index.page()).data)
    assert page.files[1].sha256 == "11" * 32
    (event,) = index.seen.of(DigestChanged)
    assert isinstance(event, DigestChanged)
    assert (event.origin, event.followed) == ("b", False)


async def test_a_preferred_mirror_that_comes_back_speaks_for_the_page_again(clock: ManualClock) -> None:
    """The page came from the second while the first was away: the first one's marks show as soon as it answers."""
    index = Replicated(clock, "ab")
    index.down("a")
    index.has("b", "1", "2")
    assert await index.listed() == {"1": "b", "2": "b"}
    index.has("a", made_by("a", "1", yanked=True), "2")
    page = await index.page()
    assert page.origin == "a"
    assert [file.yanked for file in model.load(page.data).files] == [True, False]


async def test_after_a_days_silence_others_speak_in_a_mirrors_place(index: Replicated) -> None:
    """Marks that it set can be taken back, and what only it listed can go: its silence isn't for ever."""
    index.has("a", "1", made_by("a", "2", yanked=True), "3")
    await index.listed()
    index.down("a", "c")
    for _ in range(20):
        assert await index.listed(4000) == {"1": "a", "2": "a", "3": "a"}
    assert await index.listed(12000) == {"1": "b", "2": "b"}
    assert not any(file.yanked for file in model.load((await index.page()).data).files)


async def test_a_page_that_nobody_used_for_days_loses_nothing_by_a_moments_outage(index: Replicated) -> None:
    """Not having been asked isn't silence."""
    index.has("a", "1", "2", "3")
    await index.listed()
    index.down("a", "c")
    assert await index.listed(20 * 86400) == {"1": "a", "2": "a", "3": "a"}
    index.says("b", NO)
    for _ in range(3):
        assert await index.listed(70) == {"1": "a", "2": "a", "3": "a"}


async def test_after_a_days_silence_what_only_one_mirror_listed_goes(index: Replicated) -> None:
    """Even while the page itself is unchanged, so that its mirror would only say 304."""
    index.down("a")
    index.has("b", "1", "2", "3")
    await index.listed()
    index.has("a", "1", "2")
    index.down("b", "c")
    assert await index.listed() == {"1": "a", "2": "a", "3": "b"}
    assert await index.listed(80000) == {"1": "a", "2": "a", "3": "b"}
    assert await index.listed(8000) == {"1": "a", "2": "a"}


async def test_a_mirror_that_left_the_configuration_has_no_say(index: Replicated) -> None:
    index.has("a", "1", "2", "3")
    await index.listed()
    await index.catalog.__aexit__(None, None, None)
    index.opened("bc")
    assert await index.listed() == {"1": "b", "2": "b"}
    index.says("b", NO)
    index.down("c")
    with pytest.raises(ProjectNotFound):
        await index.page()


async def test_memory_holds_no_truth_about_owners_either(index: Replicated) -> None:
    """After a restart it is still known whose file is whose, and what was withdrawn."""
    index.down("a")
    index.has("b", "1", "3")
    assert await index.listed() == {"1": "a", "2": "a", "3": "b"}
    index.has("b", "1")
    index.down("c")
    assert await index.listed() == {"1": "a", "2": "a"}
    await index.catalog.__aexit__(None, None, None)
    index.opened("abc")
    index.has("c", "1", "2", "3")
    index.down("b")
    assert await index.listed() == {"1": "a", "2": "a"}


async def test_a_large_page_is_merged_in_the_helper_process(index: Replicated) -> None:
    for mirror in "ab":
        index.has(mirror, *(str(number) for number in range(6000)))
    await index.page()
    index.down("a")
    index.has("b", *(str(number) for number in range(6001)))
    assert len(await index.listed()) == 6001
    assert isinstance(index.catalog._asker, Refresher)
    assert index.catalog._asker._offload.helper_running
    await index.catalog._asker._offload.__aexit__(None, None, None)
