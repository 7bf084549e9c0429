"""Names to addresses: a resolver that hangs is given up on, and holds nobody else up."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import pytest

from pypicache.errors import UpstreamRefused, UpstreamTimeout
from pypicache.upstream.resolver import FOREIGN, THREADS, Resolver
from tests.upstream.making import DEMO, drain, file, only_copy, open_client
from tests.upstream.raw import RawServer, reply


async def test_addresses_of_a_name() -> None:
    resolver = Resolver(name="m", seconds=5)
    found = await resolver.resolve("127.0.0.1", 80)
    assert [(each["host"], each["port"], each["family"]) for each in found] == [
        ("127.0.0.1", 80, socket.AF_INET)
    ]
    await resolver.close()


async def test_u1_a_name_that_does_not_exist_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*args: Any, **more: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    async with open_client("http://nowhere.example.org/simple/") as client:
        with pytest.raises(UpstreamRefused, match=r"the host name nowhere\.example\.org can't be resolved"):
            await client.project(DEMO)


async def test_u2_a_resolver_that_hangs_costs_a_connect_timeout_and_none_of_the_loops_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate, names = threading.Event(), list[str]()

    def hangs(*args: Any, **more: Any) -> Any:
        names.append(threading.current_thread().name)
        gate.wait()
        raise socket.gaierror(socket.EAI_AGAIN, "again")

    monkeypatch.setattr(socket, "getaddrinfo", hangs)
    try:
        async with open_client("http://slow.example.org/simple/", connect_timeout=0.1) as client:
            began = asyncio.get_running_loop().time()
            with pytest.raises(UpstreamTimeout, match=r"no connection within 0\.1 s"):
                await client.project(DEMO)
            assert asyncio.get_running_loop().time() - began < 2
    finally:
        gate.set()
    assert names
    assert all(name.startswith("dns mirror") for name in names)


async def test_u2_names_that_pages_link_to_hold_up_none_of_the_mirrors_own(
    server: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many hosts that nobody can tell the addresses of: their names have threads of their own."""
    gate, system, waiting = threading.Event(), socket.getaddrinfo, threading.Semaphore(0)

    def resolve(host: str, *args: Any, **more: Any) -> Any:
        if host.startswith("far"):
            waiting.release()
            gate.wait()
            raise socket.gaierror(socket.EAI_AGAIN, "again")
        return system("127.0.0.1", *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    server.on("/file", reply(b"12345"))
    mirror = server.url.replace("127.0.0.1", "mirror.example.org")
    try:
        async with open_client(f"{mirror}/simple/", connect_timeout=5.0) as client:
            links = [file(f"http://far{number}.example.org/file") for number in range(FOREIGN + THREADS)]
            asking = [asyncio.ensure_future(only_copy(client, each).open()) for each in links]
            for _ in range(FOREIGN):
                assert await asyncio.to_thread(waiting.acquire, timeout=5)
            async with asyncio.timeout(2):
                assert await drain(await only_copy(client, file(f"{mirror}/file")).open()) == b"12345"
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
    finally:
        gate.set()
