"""Mirrors' legacy JSON, kept by a catalog of its own: what is asked for, with which validators, and what is kept."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from pypicache.errors import ProjectNotFound, UpstreamError, UpstreamRefused
from pypicache.index.catalog import Catalog
from pypicache.index.entry import Outcome
from pypicache.index.legacy import Documents
from pypicache.rules.freshness import Windows
from pypicache.simple.model import ProjectName
from pypicache.upstream.source import LegacyDocument, NotModified, Validators
from tests.clock import ManualClock
from tests.fakes import DictPages, Recorder

NAME, ONE_VERSION = ProjectName("demo"), ProjectName("demo/1.0")
WINDOWS = Windows(ttl=600, patience=5, stale_while_revalidate=3600, stale_if_error=86400, negative_ttl=600)


class Scripted:
    """A source whose answer is what the test has set; it keeps what it was asked."""

    def __init__(self) -> None:
        self.answer: bytes | UpstreamError | None = b"one"
        self.origin = "mirror"
        self.asked: list[tuple[str, str | None, Validators | None]] = []

    async def legacy(
        self, name: ProjectName, version: str | None = None, known: Validators | None = None
    ) -> LegacyDocument | NotModified | None:
        self.asked.append((name, version, known))
        if isinstance(self.answer, UpstreamError):
            raise self.answer
        if self.answer is None:
            return None
        validators = Validators(origin=self.origin, etag=f'"{self.answer.decode()}"')
        return NotModified(validators) if known == validators else LegacyDocument(self.answer, validators)


@pytest.fixture
def source() -> Scripted:
    return Scripted()


@pytest.fixture
async def documents(source: Scripted, clock: ManualClock) -> AsyncIterator[Catalog]:
    catalog = Catalog(
        index="+legacy/root/pypi",
        asker=Documents(source, clock),
        store=DictPages(),
        windows=WINDOWS,
        clock=clock,
        observer=Recorder(),
    )
    async with catalog:
        yield catalog


async def got(documents: Catalog, key: ProjectName = NAME) -> tuple[bytes, Outcome]:
    page = await documents.page(key)
    return page.data, page.outcome


async def test_document_is_asked_for_once(documents: Catalog, source: Scripted) -> None:
    assert await got(documents) == (b"one", Outcome.MISS)
    assert await got(documents) == (b"one", Outcome.HIT)
    assert source.asked == [("demo", None, None)]


async def test_each_version_has_one_of_its_own(documents: Catalog, source: Scripted) -> None:
    await got(documents)
    source.answer = b"of 1.0"
    assert await got(documents, ONE_VERSION) == (b"of 1.0", Outcome.MISS)
    assert await got(documents) == (b"one", Outcome.HIT)
    assert [(name, version) for name, version, _ in source.asked] == [("demo", None), ("demo", "1.0")]


async def test_old_document_is_asked_about_with_the_validators_it_came_with(
    documents: Catalog, source: Scripted, clock: ManualClock
) -> None:
    await got(documents)
    for answer in (b"one", b"two"):
        source.answer = answer
        clock.advance(601)
        assert await got(documents) == (answer, Outcome.REVALIDATED)
        assert source.asked[-1][2] == Validators(origin="mirror", etag='"one"')


async def test_document_of_another_mirror_takes_the_place_of_the_first(
    documents: Catalog, source: Scripted, clock: ManualClock
) -> None:
    """One mirror's word is enough: nothing is merged, since the page decides what is listed."""
    await got(documents)
    source.origin, source.answer = "other", b"theirs"
    clock.advance(601)
    assert await got(documents) == (b"theirs", Outcome.REVALIDATED)
    clock.advance(601)
    await got(documents)
    assert source.asked[-1][2] == Validators(origin="other", etag='"theirs"')


async def test_none_is_offered_and_then_one_is(
    documents: Catalog, source: Scripted, clock: ManualClock
) -> None:
    source.answer = None
    for _ in range(3):
        with pytest.raises(ProjectNotFound):
            await got(documents)
    assert len(source.asked) == 1
    source.answer = b"one"
    clock.advance(601)
    assert (await got(documents))[0] == b"one"
    assert source.asked[-1] == ("demo", None, None)


async def test_offer_that_is_withdrawn_is_believed_at_once(
    documents: Catalog, source: Scripted, clock: ManualClock
) -> None:
    await got(documents)
    source.answer = None
    clock.advance(601)
    with pytest.raises(ProjectNotFound):
        await got(documents)


async def test_outage_leaves_what_is_held(documents: Catalog, source: Scripted, clock: ManualClock) -> None:
    await got(documents)
    source.answer = UpstreamRefused("mirror", "connection refused")
    clock.advance(601)
    assert await got(documents) == (b"one", Outcome.STALE_IF_ERROR)
