"""From a remembered link to its file: every row of the table in `Locator._recorded`."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from pypicache.errors import Denied, FileNotFound, NotFound, ProjectNotFound, UpstreamError, UpstreamRefused
from pypicache.index.catalog import Catalog
from pypicache.index.locator import OK, Locator
from pypicache.index.refresh import page_catalog
from pypicache.offload import Offload
from pypicache.rules.freshness import Windows
from pypicache.simple.model import Digest, File, Project, ProjectName
from pypicache.store.linkrecord import LinkRecord
from tests.clock import ManualClock
from tests.fakes import DictPages, FakeSource, Recorder

NAME = ProjectName("demo")
FILE = File(
    filename="demo-1-py3-none-any.whl",
    url="https://files.example.org/packages/aa/bb/demo-1-py3-none-any.whl",
    hashes=(Digest("sha256", "11" * 32),),
    core_metadata=True,
)
PATH = ("aa", "bb", FILE.filename)
RECORD = LinkRecord(
    index="root/pypi",
    project=NAME,
    path="/".join(PATH),
    filename=FILE.filename,
    url=FILE.url,
    origin="remembered",
    sha256="11" * 32,
    digests=FILE.hashes,
)
LISTED, EMPTY = Project(name=NAME, files=(FILE,)), Project(name=NAME)
QUARANTINED = Project(name=NAME, files=(FILE,), status="quarantined", status_reason="malware")
DOWN = UpstreamRefused("fake", "connection refused")
NO = ProjectNotFound("no", confirmed=True)
GONE = f"{FILE.filename} is no longer listed by root/pypi"
NO_PROJECT = f"{FILE.filename}: root/pypi has no project demo any more"
REFUSED = f"{FILE.filename}: demo is quarantined by its index: malware"


class Links:
    """A locator over one mirror, and one link that is remembered."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.store = DictPages()
        self.source = FakeSource(LISTED)
        self.records = [RECORD]
        self.catalog, self.locator = self.opened()

    def opened(self) -> tuple[Catalog, Locator]:
        """As after a restart."""
        catalog = page_catalog(
            index="root/pypi",
            source=self.source,
            store=self.store,
            windows=Windows(),
            clock=self.clock,
            observer=Recorder(),
            offload=Offload(),
        )
        locator = Locator(index="root/pypi", catalog=catalog, offload=Offload(), remember=self.remember)
        return catalog, locator

    def remember(self, record: LinkRecord) -> None:
        self.records = [record if record.path == old.path else old for old in self.records]

    async def wiped(self) -> None:
        """The page store is emptied, and the daemon starts again."""
        await self.catalog.__aexit__(None, None, None)
        self.store.values.clear()
        self.catalog, self.locator = self.opened()

    def has(self, answer: Project | NotFound | UpstreamError) -> None:
        self.source.pages[NAME] = answer

    async def held(self, *answers: Project | NotFound) -> None:
        """The page is what the mirror said last of these."""
        for answer in answers:
            self.has(answer)
            self.clock.advance(601)
            try:
                await self.catalog.page(NAME)
            except ProjectNotFound:
                assert answer is NO
        self.source.asked.clear()

    async def refreshed(self) -> None:
        """The question that was asked behind is answered."""
        await self.catalog._flights[NAME]

    async def locate(self) -> str:
        """The mirror whose file it is."""
        _, origin, located = await self.locator.locate(PATH, self.records)
        assert located.file.url == FILE.url
        return origin

    @property
    def verdict(self) -> str:
        return self.records[0].verdict


@pytest.fixture
async def links(clock: ManualClock) -> AsyncIterator[Links]:
    made = Links(clock)
    yield made
    await made.catalog.__aexit__(None, None, None)


async def test_listed(links: Links) -> None:
    await links.held(LISTED)
    assert (await links.locate(), links.verdict) == ("fake", OK)
    assert not links.source.asked


async def test_page_held_and_file_not_on_it(links: Links) -> None:
    """The mirror is asked once more, since the link may be newer than the page; after that, the verdict answers."""
    await links.held(EMPTY)
    links.clock.advance(10)
    for _ in range(2):
        with pytest.raises(FileNotFound, match=GONE):
            await links.locate()
        assert links.verdict == f"removed: {GONE}"
        links.clock.advance(10)
    assert len(links.source.asked) == 1


async def test_page_held_that_lacks_a_newer_file(links: Links) -> None:
    await links.held(EMPTY)
    links.has(LISTED)
    links.clock.advance(10)
    assert await links.locate() == "fake"


@pytest.mark.parametrize(
    ("held", "error", "verdict"),
    [
        (EMPTY, FileNotFound, f"removed: {GONE}"),
        (NO, FileNotFound, f"removed: {NO_PROJECT}"),
        (QUARANTINED, Denied, f"refused: {REFUSED}"),
    ],
)
async def test_cases_26_27_a_refusal_is_remembered_and_ends(
    links: Links, held: Project | NotFound, error: type[Exception], verdict: str
) -> None:
    """It holds with pages wiped and mirrors down; when the page says otherwise, the file is handed out again."""
    await links.held(LISTED, held)
    with pytest.raises(error) as first:
        await links.locate()
    assert links.verdict == verdict
    await links.wiped()
    links.has(DOWN)
    with pytest.raises(error) as second:
        await links.locate()
    assert str(first.value) == str(second.value)
    links.has(held)
    links.clock.advance(10)
    with pytest.raises(error):
        await links.locate()
    await links.held(LISTED)
    assert (await links.locate(), links.verdict) == ("fake", OK)


async def test_promise_4_without_a_page_the_link_is_as_it_is_remembered(links: Links) -> None:
    """Nobody is waited for; the page is asked for behind, and decides from then on."""
    links.has(EMPTY)
    assert await links.locate() == "remembered"
    await links.refreshed()
    with pytest.raises(FileNotFound, match=GONE):
        await links.locate()


async def test_promise_4_without_a_page_and_a_mirror(links: Links) -> None:
    links.has(DOWN)
    for _ in range(3):
        links.clock.advance(100)
        assert await links.locate() == "remembered"
    assert links.verdict == OK


@pytest.mark.parametrize("after", [EMPTY, QUARANTINED])
async def test_case_26_those_who_only_know_links_see_a_removal_too(links: Links, after: Project) -> None:
    """A request for a file has an old page asked for behind; within a ttl the file is refused, and back again."""
    await links.held(LISTED)
    links.has(after)
    links.clock.advance(601)
    assert await links.locate() == "fake"
    await links.refreshed()
    with pytest.raises((FileNotFound, Denied)):
        await links.locate()
    links.has(LISTED)
    links.clock.advance(601)
    with pytest.raises((FileNotFound, Denied)):
        await links.locate()
    await links.refreshed()
    assert (await links.locate(), links.verdict) == ("fake", OK)


async def test_project_that_is_back_is_found_by_its_links(links: Links) -> None:
    await links.held(LISTED, NO)
    with pytest.raises(FileNotFound, match=NO_PROJECT):
        await links.locate()
    links.has(LISTED)
    links.clock.advance(61)
    assert await links.locate() == "fake"


@pytest.mark.parametrize("held", [EMPTY, NO])
async def test_absence_stands_when_nobody_answers_however_old(links: Links, held: Project | NotFound) -> None:
    """The page is too old to be shown, but what it said of the file was said."""
    await links.held(held)
    links.has(DOWN)
    links.clock.advance(20 * 86400)
    with pytest.raises(FileNotFound):
        await links.locate()


async def test_record_without_bytes_waits_for_the_page(links: Links) -> None:
    """Nothing is stored that could be served, so an outage is an outage."""
    links.records = [
        LinkRecord(**{n: getattr(RECORD, n) for n in RECORD.__struct_fields__} | {"sha256": None})
    ]
    links.has(DOWN)
    with pytest.raises(UpstreamError):
        await links.locate()
    links.has(LISTED)
    links.clock.advance(10)
    assert await links.locate() == "fake"


async def test_verdict_on_a_wheel_is_its_sidecars_too(links: Links) -> None:
    """Of two records, the sidecar's and the wheel's, one that says no is enough; both are told what comes of it."""
    sidecar = {"path": RECORD.path + ".metadata", "filename": RECORD.filename + ".metadata"}
    own = LinkRecord(**{n: getattr(RECORD, n) for n in RECORD.__struct_fields__} | sidecar)
    refused = LinkRecord(
        **{n: getattr(RECORD, n) for n in RECORD.__struct_fields__} | {"verdict": "refused: no"}
    )
    links.records = [own, refused]
    links.has(DOWN)
    with pytest.raises(Denied, match=r"^no$"):
        await links.locate()
    await links.held(LISTED)
    assert await links.locate() == "fake"
    assert [record.verdict for record in links.records] == [OK, OK]


async def test_file_of_another_mirror_than_its_page(links: Links) -> None:
    """Copies are looked for at the mirror whose link it is."""
    theirs = File(filename=FILE.filename, url=FILE.url, hashes=FILE.hashes, origin="other")
    await links.held(Project(name=NAME, files=(theirs,)))
    assert await links.locate() == "other"
