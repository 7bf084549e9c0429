"""Connections that are opened before they are needed: how many, when, and what becomes of them."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from pypicache.upstream.spare import FAN, MOST, Connector, missing
from tests.upstream.raw import Answer, RawServer, reply
from tests.waiting import until_so


@pytest.mark.parametrize(
    ("used", "there", "most", "opened"),
    [
        (1, 1, 96, FAN),
        (1, 1 + FAN, 96, 0),
        (1, 1 + FAN + 5, 96, 0),
        (3, 3 + FAN, 96, 2 * FAN),
        (40, 40, 96, MOST),
        (90, 90, 96, 6),
        (96, 96, 96, 0),
        (97, 97, 96, 0),
    ],
)
def test_how_many_are_opened(used: int, there: int, most: int, opened: int) -> None:
    assert missing(used=used, there=there, most=most) == opened


class Resolver(AbstractResolver):
    """Finds loopback `times` times; then it hangs, or says that there is no such name."""

    def __init__(self, times: int, *, then: str) -> None:
        self.asked = 0
        self._times, self._then = times, then

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked += 1
        if self.asked > self._times:
            if self._then == "hang":
                await asyncio.Event().wait()
            raise OSError(None, "no such name")
        return [
            ResolveResult(
                hostname=host,
                host="127.0.0.1",
                port=port,
                family=family,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
        ]

    async def close(self) -> None:
        """Nothing to close."""


async def ask(session: aiohttp.ClientSession, url: str, *, page: bool = True) -> None:
    async with session.get(url) as response:
        if page:
            assert isinstance(session.connector, Connector)
            session.connector.fan_out(url)
        assert await response.read() == b"12345"


def session_of(connector: Connector) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=connector)


async def test_the_next_step_finds_connections(server: RawServer) -> None:
    server.on("/x", reply(b"12345"))
    async with session_of(Connector(limit_per_host=20)) as session:
        await ask(session, f"{server.url}/x")
        await until_so(lambda: server.connections == 1 + FAN)
        made = server.connections
        await asyncio.gather(*(ask(session, f"{server.url}/x") for _ in range(made)))
        assert server.used == made


async def test_not_through_a_proxy(server: RawServer) -> None:
    server.on("http://e.example/x", reply(b"12345"))
    connector = Connector(limit_per_host=20)
    async with session_of(connector) as session:
        for _ in range(3):  # what the first had begun would have happened by the last
            async with session.get("http://e.example/x", proxy=server.url) as response:
                connector.fan_out("http://e.example/x")
                assert await response.read() == b"12345"
    assert server.connections == 1


async def test_not_for_files(server: RawServer) -> None:
    server.on("/x", reply(b"12345"))
    async with session_of(Connector(limit_per_host=20)) as session:
        for _ in range(3):
            await ask(session, f"{server.url}/x", page=False)
    assert server.connections == 1


async def test_a_host_that_takes_none_is_left_alone_for_a_while(server: RawServer) -> None:
    server.on("/x", Answer(reply(b"12345").data, "close"))
    resolver = Resolver(1, then="fail")
    async with session_of(Connector(limit_per_host=20, resolver=resolver, use_dns_cache=False)) as session:
        await ask(session, f"http://e.example:{server.port}/x")
        await until_so(lambda: resolver.asked == 1 + FAN)
        with pytest.raises(aiohttp.ClientConnectorError):
            await ask(session, f"http://e.example:{server.port}/x")
    assert resolver.asked == 2 + FAN


async def test_the_end_waits_for_no_connection(server: RawServer) -> None:
    server.on("/x", reply(b"12345"))
    resolver = Resolver(1, then="hang")
    before = asyncio.all_tasks()
    async with session_of(Connector(limit_per_host=20, resolver=resolver, use_dns_cache=False)) as session:
        await ask(session, f"http://e.example:{server.port}/x")
        await until_so(lambda: resolver.asked == 1 + FAN)
    assert not [task for task in asyncio.all_tasks() - before if "spare" in task.get_name()]


async def test_the_connection_that_was_used_last_is_used_again(server: RawServer) -> None:
    server.on("/x", reply(b"12345"))
    async with session_of(Connector(limit_per_host=20)) as session:
        for number in range(4):
            await ask(session, f"{server.url}/x")
            if not number:
                await until_so(lambda: server.connections == 1 + FAN)
    assert server.used == 1


async def test_what_an_idle_connection_says_is_no_answer() -> None:
    """A server may say that its patience with a connection is over, or anything else, before it was asked."""
    lines: list[asyncio.StreamWriter] = []
    good = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12345"

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines.append(writer)
        if len(lines) > 1:
            writer.write(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(good)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/x"
    connector = Connector(limit_per_host=20)
    async with server, session_of(connector) as session:
        await ask(session, url)
        await until_so(lambda: len(lines) == 1 + FAN and not connector._tasks)
        for _ in range(3):
            answer = await connector.exchange(url, {}, read_timeout=5.0)
            assert answer is not None
            assert (answer.status, await answer.content.read()) == (200, b"12345")
        (key,) = connector._conns
        good_one = await connector._get(key, [])
        assert good_one is not None
        assert await connector.exchange(url, {}, read_timeout=5.0) is None
        good_one.release()
        for writer in lines:
            writer.transport.abort()


async def test_nothing_is_opened_after_the_end(server: RawServer) -> None:
    server.on("/x", reply(b"12345"))
    connector = Connector(limit_per_host=20)
    async with session_of(connector) as session:
        await ask(session, f"{server.url}/x", page=False)
    connector.fan_out(f"{server.url}/x")
    await asyncio.sleep(0)
    assert not connector._tasks
    assert server.connections == 1


async def test_idle_is_what_was_used_a_moment_ago_and_is_there(
    server: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.on("/x", reply(b"12345"))
    server.on("/last", reply(b"12345", then="close"))
    connector = Connector(limit_per_host=20)
    async with session_of(connector) as session:
        assert connector.idle(f"{server.url}/x") == 0
        await asyncio.gather(*(ask(session, f"{server.url}/x", page=False) for _ in range(3)))
        assert connector.idle(f"{server.url}/x") == 3
        assert connector.idle("http://127.0.0.2/x") == 0
        await ask(session, f"{server.url}/last", page=False)
        await until_so(
            lambda: connector.idle(f"{server.url}/x") == 2
        )  # whether or not it has been swept away
        monkeypatch.setattr("pypicache.upstream.spare.FRESH", -1.0)
        assert connector.idle(f"{server.url}/x") == 0
