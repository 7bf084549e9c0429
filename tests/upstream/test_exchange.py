"""The shortcut to a mirror: when it is taken, and that a mirror can't tell it from the ordinary way.

What each kind of answer comes to is tested both ways in `test_client_pages` and `test_client_files`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from pypicache.errors import UpstreamRefused
from pypicache.upstream.exchange import Answer as Quick
from pypicache.upstream.exchange import head_of
from pypicache.upstream.wire import Reply, Wire
from tests.upstream.raw import Answer, RawServer, reply

HEADERS = {"Accept": "text/html", "Accept-Encoding": "identity"}


@asynccontextmanager
async def wire_to(server: RawServer, **settings: Any) -> AsyncIterator[Wire]:
    async with Wire(name="mirror", url=server.simple, **settings) as wire:
        yield wire


async def asked(wire: Wire, url: str, **headers: str) -> tuple[Reply, bytes]:
    answer = await wire.get(url, lane="files", headers={**HEADERS, **headers})
    return answer, await answer.response.content.read()


async def test_the_first_request_takes_the_ordinary_way_and_the_next_the_shortcut(server: RawServer) -> None:
    server.on("/a?b=%2B", reply(b"12345", etag='"x"'))
    async with wire_to(server, username="me", password="secret", headers={"X-Own": "1"}) as wire:
        first, body = await asked(wire, f"{server.url}/a?b=%2B")
        second, again = await asked(wire, f"{server.url}/a?b=%2B")
    assert (isinstance(first.response, Quick), isinstance(second.response, Quick)) == (False, True)
    assert body == again == b"12345"
    assert second.header("etag") == '"x"'
    assert (second.response.status, second.response.reason, second.response.content_length) == (200, "OK", 5)
    one, other = server.asked
    assert one.headers == other.headers
    assert one.target == other.target
    assert server.used == 1


@pytest.mark.parametrize("path", ["/with space", "/dé", "/a#fragment", ""])
async def test_what_cannot_stand_in_a_head_takes_the_ordinary_way(server: RawServer, path: str) -> None:
    server.on("/a", reply(b"12345"))
    async with wire_to(server) as wire:
        await asked(wire, f"{server.url}/a")
        answer, _ = await asked(wire, f"{server.url}{path}")
    assert not isinstance(answer.response, Quick)


async def test_a_host_of_ones_own_takes_the_ordinary_way(server: RawServer) -> None:
    server.on("/a", reply(b"12345"))
    async with wire_to(server, headers={"host": "other.example"}) as wire:
        for _ in range(2):
            answer, _ = await asked(wire, f"{server.url}/a")
            assert not isinstance(answer.response, Quick)
    assert {each.headers["host"] for each in server.asked} == {"other.example"}


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        ("/a\r\nX: 1", {}),
        ("/a b", {}),
        ("/\N{SNOWMAN}", {}),
        ("/a", {"If-None-Match": 'x"\r\nX: 1'}),
        ("/a", {"If-None-Match": "\x00"}),
        ("/a", {"If-None-Match": "\xe4"}),
        ("/a", {"Host": "other"}),
    ],
)
def test_no_head_is_made_of_what_would_change_its_meaning(target: str, headers: dict[str, str]) -> None:
    assert head_of("/a", "host", {"X": "1"}) == b"GET /a HTTP/1.1\r\nHost: host\r\nX: 1\r\n\r\n"
    assert head_of(target, "host", headers) is None


async def test_what_is_said_before_the_answer_is_passed_over(server: RawServer) -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n"
    server.on("/a", reply(b"12345"), Answer(early + reply(b"54321").data))
    async with wire_to(server) as wire:
        await asked(wire, f"{server.url}/a")
        answer, body = await asked(wire, f"{server.url}/a")
    assert isinstance(answer.response, Quick)
    assert (answer.response.status, body) == (200, b"54321")


async def test_a_connection_that_was_closed_meanwhile_costs_nothing(server: RawServer) -> None:
    server.on("/a", Answer(reply(b"12345").data, "reset"), reply(b"54321"))
    async with wire_to(server) as wire:
        await asked(wire, f"{server.url}/a")
        _, body = await asked(wire, f"{server.url}/a")
    assert body == b"54321"


async def test_a_body_that_is_left_ends_its_connection(server: RawServer) -> None:
    server.on("/a", reply(b"12345"), reply(b"1", length=5, then="hang"), reply(b"54321"))
    async with wire_to(server) as wire:
        await asked(wire, f"{server.url}/a")
        answer = await wire.get(f"{server.url}/a", lane="files", headers=HEADERS)
        assert isinstance(answer.response, Quick)
        answer.response.close()
        answer.response.close()
        _, body = await asked(wire, f"{server.url}/a")
    assert body == b"54321"
    assert server.used == 2


async def test_a_mirror_that_ends_each_connection_is_told_so(server: RawServer) -> None:
    server.on("/a", reply(b"12345"), Answer(b"", "reset"))
    async with wire_to(server) as wire:
        await asked(wire, f"{server.url}/a")
        with pytest.raises(UpstreamRefused):
            await asked(wire, f"{server.url}/a")
    assert len(server.asked) <= 4
