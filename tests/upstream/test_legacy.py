"""Legacy JSON from mirrors: where it is looked for, and what each kind of answer comes to."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from pypicache.errors import AllUpstreamsFailed, UpstreamError, UpstreamRefused
from pypicache.offload import Offload
from pypicache.simple.model import ProjectName
from pypicache.upstream.extras import Extras
from pypicache.upstream.legacy import LegacyClient, addresses
from pypicache.upstream.source import LegacyDocument, NotModified, Validators
from pypicache.upstream.wire import Wire
from tests.fakes import Recorder
from tests.upstream.making import DEMO
from tests.upstream.raw import RawServer, reply

DOCUMENT = json.dumps({"info": {"name": "demo", "version": "1.0"}, "releases": {"1.0": []}}).encode()
FIRST, SECOND = "/pypi/demo/json", "/demo/json"


@pytest.mark.parametrize(
    ("mirror", "first", "second"),
    [
        ("https://a.example/simple/", "https://a.example/pypi/demo/json", "https://a.example/demo/json"),
        (
            "https://a.example/pypi/simple/",
            "https://a.example/pypi/pypi/demo/json",
            "https://a.example/pypi/demo/json",
        ),
        (
            "https://a.example/root/pypi/+simple/",
            "https://a.example/root/pypi/pypi/demo/json",
            "https://a.example/root/pypi/demo/json",
        ),
        (
            "https://a.example/notsimple/",
            "https://a.example/notsimple/pypi/demo/json",
            "https://a.example/notsimple/demo/json",
        ),
        ("https://a.example/", "https://a.example/pypi/demo/json", "https://a.example/demo/json"),
    ],
)
def test_addresses_stand_beside_the_simple_api(mirror: str, first: str, second: str) -> None:
    """The public index's own is what the packaging library knows as its address, with the project's name."""
    assert addresses(mirror, DEMO, None) == (first, second)
    assert addresses(mirror, DEMO, "1!2.0+a")[0] == first.replace("/json", "/1%212.0%2Ba/json")


@asynccontextmanager
async def opened(
    server: RawServer, name: str = "mirror", *, budget: float = 5.0
) -> AsyncIterator[LegacyClient]:
    wire = Wire(name=name, url=server.simple, connect_timeout=2.0, read_timeout=2.0)
    async with Offload(inline=1 << 20) as offload, wire:
        yield LegacyClient(wire=wire, offload=offload, budget=budget)


@pytest.mark.parametrize("status", [404, 405, 410, 501])
async def test_second_address_is_asked_where_the_first_has_nothing(server: RawServer, status: int) -> None:
    server.on(FIRST, reply("no", status=status))
    server.on(SECOND, reply(DOCUMENT, content_type="application/json", etag='"x"'))
    async with opened(server) as client:
        answer = await client.legacy(DEMO)
    assert isinstance(answer, LegacyDocument)
    assert json.loads(answer.document)["info"]["name"] == "demo"
    assert answer.validators.etag == '"x"'


async def test_neither_address_means_that_none_is_offered(server: RawServer) -> None:
    server.on(FIRST, reply("no", status=404))
    server.on(SECOND, reply("no", status=404))
    async with opened(server) as client:
        assert await client.legacy(DEMO) is None


async def test_known_document_is_unchanged_by_etag_or_by_its_bytes(server: RawServer) -> None:
    server.on(
        FIRST,
        reply(gzip.compress(DOCUMENT), content_encoding="gzip", etag='"x"'),
        reply(status=304),
        reply(DOCUMENT),
    )
    async with opened(server) as client:
        first = await client.legacy(DEMO)
        assert isinstance(first, LegacyDocument)
        assert await client.legacy(DEMO, known=first.validators) == NotModified(first.validators)
        third = await client.legacy(DEMO, known=first.validators)
    assert isinstance(third, NotModified)
    assert dict(server.asked[1].headers)["if-none-match"] == '"x"'


@pytest.mark.parametrize(
    ("body", "coding", "message"),
    [
        (b"<html>", "identity", "not legacy JSON"),
        (b"{}", "identity", "not legacy JSON"),
        (DOCUMENT.replace(b"demo", b"omed"), "identity", "another project"),
        (gzip.compress(DOCUMENT, mtime=0)[:-5], "gzip", "not legacy JSON"),
        (DOCUMENT, "br", "Content-Encoding br"),
    ],
)
async def test_anything_else_is_an_error(server: RawServer, body: bytes, coding: str, message: str) -> None:
    server.on(FIRST, reply(body, content_encoding=coding))
    async with opened(server) as client:
        with pytest.raises(UpstreamError, match=message):
            await client.legacy(DEMO)


class Scripted:
    """A mirror's legacy JSON, as a test has it."""

    def __init__(self, answer: LegacyDocument | NotModified | UpstreamError | None) -> None:
        self.answer = answer
        self.known: list[Validators | None] = []

    async def legacy(
        self, name: ProjectName, version: str | None = None, known: Validators | None = None
    ) -> LegacyDocument | NotModified | None:
        self.known.append(known)
        if isinstance(self.answer, UpstreamError):
            raise self.answer
        return self.answer


FOUND = LegacyDocument(DOCUMENT, Validators(origin="b"))
DOWN = UpstreamRefused("a", "connection refused")


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (FOUND, None, FOUND),
        (None, FOUND, FOUND),
        (DOWN, FOUND, FOUND),
        (None, None, None),
        (DOWN, None, AllUpstreamsFailed),
        (None, DOWN, AllUpstreamsFailed),
        (DOWN, DOWN, AllUpstreamsFailed),
    ],
)
async def test_mirrors_are_asked_in_order_until_one_has_it(
    first: LegacyDocument | UpstreamError | None,
    second: LegacyDocument | UpstreamError | None,
    expected: LegacyDocument | type[UpstreamError] | None,
) -> None:
    """Only when every mirror has said so is none offered."""
    mirrors = {"a": Scripted(first), "b": Scripted(second)}
    extras = Extras(willing=lambda: ("a", "b"), legacy=mirrors, lists={}, observer=Recorder())
    if isinstance(expected, type):
        with pytest.raises(expected):
            await extras.legacy(DEMO)
    else:
        assert await extras.legacy(DEMO) == expected


async def test_mirror_that_is_known_to_be_dead_is_not_waited_for() -> None:
    dead, alive = Scripted(FOUND), Scripted(None)
    extras = Extras(willing=lambda: ("b",), legacy={"a": dead, "b": alive}, lists={}, observer=Recorder())
    with pytest.raises(AllUpstreamsFailed):
        await extras.legacy(DEMO)
    assert not dead.known


async def test_validators_go_to_the_mirror_they_came_from() -> None:
    mirrors = {"a": Scripted(None), "b": Scripted(FOUND)}
    extras = Extras(willing=lambda: ("a", "b"), legacy=mirrors, lists={}, observer=Recorder())
    await extras.legacy(DEMO, None, FOUND.validators)
    assert mirrors["a"].known == [None]
    assert mirrors["b"].known == [FOUND.validators]
