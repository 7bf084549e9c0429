"""Answers that are made ready for the next one who asks: which, that they are the ordinary ones, and that nobody is told."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urljoin

import pytest
import yaml

from pypicache.config.load import load
from pypicache.events import Again, Answered
from pypicache.service import Service, service
from pypicache.web.server import Server
from tests.client import Response
from tests.conformance.place import JSON
from tests.daemon import config_for
from tests.origin import Origin
from tests.waiting import until_so
from tests.wheels import wheel

SMALL, LARGE = wheel("small", "1.0", size=100_000), wheel("large", "1.0", size=300_000)


class Told:
    """Counts what was answered, and how much of it without the handler."""

    def __init__(self) -> None:
        self.records: list[Answered] = []
        self.again: list[Again] = []

    def take(self, record: Answered) -> None:
        self.records.append(record)

    def take_again(self, again: Sequence[Again], prefix: str, first: int) -> None:
        self.again += again


class Running:
    """A service with its server, on loopback."""

    def __init__(self, behind: Service, server: Server, told: Told, port: int) -> None:
        self.behind, self.server, self.told = behind, server, told
        self._line = http.client.HTTPConnection("127.0.0.1", port, timeout=20)

    def get(self, path: str, headers: dict[str, str], method: str) -> Response:
        self._line.request(method, path, headers={"Accept": JSON, "Accept-Encoding": "gzip", **headers})
        answer = self._line.getresponse()
        return Response(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())

    async def ask(self, path: str, method: str = "GET", **headers: str) -> Response:
        """The answer, in the words of an installer that keeps its connection."""
        return await asyncio.to_thread(self.get, path, headers, method)

    async def link(self, project: str) -> str:
        """The path of its wheel."""
        page = await self.ask(f"/simple/{project}/", **{"Accept-Encoding": "identity"})
        return urljoin(f"/simple/{project}/", str(json.loads(page.body)["files"][0]["url"]))

    @property
    def ready(self) -> int:
        """How many answers are ready."""
        assert self.server.repeats is not None
        return len(self.server.repeats)

    def close(self) -> None:
        self._line.close()


@asynccontextmanager
async def running(
    origin: Origin, folder: Path, max_size: str = "1GiB", **index: object
) -> AsyncIterator[Running]:
    path = folder / "pypicache.yaml"
    cache = {"dir": str(folder / "cache"), "max_size": max_size}
    path.write_text(yaml.safe_dump({**config_for(origin, index=index), "cache": cache}))
    async with service(load(path, {})) as behind:
        told = Told()
        server = Server(behind.handle, takers=[told])
        server.repeats = behind.repeats
        listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
        one = Running(behind, server, told, listening.sockets[0].getsockname()[1])
        try:
            yield one
        finally:
            one.close()
            listening.close()
            await server.shutdown(5)


async def test_who_asks_next_takes_the_shortcut(origin: Origin, tmp_path: Path) -> None:
    """For the page, the metadata and wheels; what it gets is what the ordinary way gives, and rehearsals are told to nobody."""
    for item in (SMALL, LARGE):
        origin.add(item)
    async with running(origin, tmp_path) as one:
        links = [await one.link(name) for name in ("small", "large")]  # in other words than below
        await until_so(lambda: one.ready == len(links))
        asked = ["/simple/small/", f"{links[0]}.metadata", *links]
        cold = [await one.ask(path) for path in asked]
        await until_so(lambda: one.ready == len(links) + len(asked))
        ordinary = len(one.told.records)
        assert ordinary == len(links) + len(asked)
        hot = [await one.ask(path) for path in asked]
        one.server.ledger.settle()
        assert len(one.told.records) == ordinary, "the handler was asked"
        assert [each.record.path for each in one.told.again] == asked
        assert {each.record.outcome for each in one.told.again} == {"hit"}
        assert [each.record.sent for each in one.told.again] == [len(answer.body) for answer in hot]
        assert not any(each.record.mirror for each in one.told.again)
        for before, after, path in zip(cold, hot, asked, strict=True):
            plainly = await one.ask(path, **{"X-Request-Id": "this-is-never-kept"})
            assert (
                (after.status, after.body) == (before.status, before.body) == (plainly.status, plainly.body)
            )
            assert after.headers["cache-status"] == plainly.headers["cache-status"] == "pypicache; hit"
            own = {"date", "age", "x-request-id"}
            assert {k: v for k, v in after.headers.items() if k not in own} == {
                k: v for k, v in plainly.headers.items() if k not in own
            }


@pytest.mark.parametrize(
    ("path", "headers", "method"),
    [
        ("/simple/absent/", {}, "GET"),
        ("/simple/small/", {"X-Request-Id": "of-my-own"}, "GET"),
        ("/simple/small/", {"Connection": "close"}, "GET"),
        ("/simple/small/", {}, "HEAD"),
        ("/simple/", {}, "GET"),
        ("/-/ready", {}, "GET"),
    ],
)
async def test_what_is_never_kept_is_not_rehearsed(
    origin: Origin, tmp_path: Path, path: str, headers: dict[str, str], method: str
) -> None:
    origin.add(SMALL)
    async with running(origin, tmp_path) as one:
        await one.ask(path, method, **headers)
        assert one.server.quiet.idle
        assert one.ready == 0


async def test_what_the_cache_gave_is_not_rehearsed(origin: Origin, tmp_path: Path) -> None:
    origin.add(SMALL)
    async with running(origin, tmp_path) as one:
        await one.ask("/simple/small/")
        await until_so(lambda: one.server.quiet.idle)
        await one.ask("/simple/small/", **{"User-Agent": "another"})
        assert one.server.quiet.idle
        await until_so(lambda: one.ready == 2)


@pytest.mark.parametrize("settings", [{"ttl": "0s"}, {"max_size": "1MiB"}], ids=str)
async def test_no_mirror_is_asked_for_it(origin: Origin, tmp_path: Path, settings: dict[str, str]) -> None:
    """Neither for a page that is believed for no time, nor for a file that can't be kept."""
    item = wheel("large", "1.0", size=2_000_000)
    origin.add(item)
    async with running(origin, tmp_path, **settings) as one:
        link = await one.link("large")
        for path in (link, f"{link}.metadata", "/simple/large/"):
            await one.ask(path)
            asked = len(origin.requests)
            await until_so(lambda: one.server.quiet.idle)
            assert len(origin.requests) == asked


async def test_metadata_are_looked_at_each_time_until_their_wheel_is_stored(
    origin: Origin, tmp_path: Path
) -> None:
    """Whoever has them may come for it, with all others that it has looked at (`index.together`)."""
    origin.add(SMALL)
    async with running(origin, tmp_path) as one:
        link = await one.link("small")
        for _ in range(3):
            await one.ask(f"{link}.metadata")
            await until_so(lambda: one.server.quiet.idle)
        assert one.ready == 1
        await one.ask(link)
        await one.ask(f"{link}.metadata")
        await until_so(lambda: one.ready == 3)


async def test_what_was_to_be_rehearsed_for_an_edge_that_has_gone_is_not(
    origin: Origin, tmp_path: Path
) -> None:
    origin.add(SMALL)
    async with running(origin, tmp_path) as one:
        before = one.server.repeats
        await one.ask("/simple/small/")
        assert not one.server.quiet.idle
        await one.behind.reload(one.behind.config)
        one.server.repeats = one.behind.repeats
        await until_so(lambda: one.server.quiet.idle)
        assert before is not None
        assert len(before) == one.ready == 0
