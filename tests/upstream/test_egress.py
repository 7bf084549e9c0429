"""Requests that leave through a proxy."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pypicache.errors import ConfigError, UpstreamRefused
from pypicache.upstream.egress import Egress, Via
from pypicache.upstream.faults import BadLink
from pypicache.upstream.source import Listing
from tests.upstream.making import DEMO, JSON, file, only_copy, open_client, page
from tests.upstream.raw import RawServer, reply

INDEX = "http://index.example.org/simple/"
BASIC = "Basic " + base64.b64encode(b"me:hunter2").decode()


async def test_request_goes_to_the_proxy_whole_with_its_credentials(server: RawServer) -> None:
    server.on(f"{INDEX}demo/", reply(page(), content_type=JSON))
    async with open_client(INDEX, proxy=server.url.replace("://", "://me:hunter2@")) as client:
        assert isinstance(await client.project(DEMO), Listing)
    assert server.targets == [f"{INDEX}demo/"]
    assert server.asked[0].headers["proxy-authorization"] == BASIC


async def test_tunnel_is_asked_for_with_credentials_and_a_refusal_is_told(server: RawServer) -> None:
    server.on("index.example.org:443", reply(status=407))
    proxy = server.url.replace("://", "://me:hunter2@")
    async with open_client("https://index.example.org/simple/", proxy=proxy) as client:
        with pytest.raises(UpstreamRefused, match="the proxy answered 407") as caught:
            await client.project(DEMO)
    assert server.asked[0].headers["proxy-authorization"] == BASIC
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("host", ["169.254.169.254", "0x7f.2", "2130706434", "[::1]"])
async def test_literal_addresses_are_refused_although_the_proxy_would_dial(
    server: RawServer, host: str
) -> None:
    async with open_client(INDEX, proxy=server.url) as client:
        with pytest.raises(BadLink):
            await only_copy(client, file(f"http://{host}/x")).open()
    assert server.connections == 0


async def test_proxys_address_is_no_exception_for_links(server: RawServer) -> None:
    """What a page links to may not be the proxy itself."""
    server.on(f"{INDEX}demo/", reply(page(), content_type=JSON))
    async with open_client(INDEX, proxy=server.url) as client:
        await client.project(DEMO)
        with pytest.raises(BadLink):
            await only_copy(client, file(f"{server.url}/x")).open()


def test_environment_counts_only_if_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://a:b%40@proxy.example.org:3128/")
    monkeypatch.setenv("no_proxy", "corp.example.org")
    monkeypatch.delenv("http_proxy", raising=False)
    monkeypatch.delenv("all_proxy", raising=False)
    assert Egress(origin="m").proxy_for("https://x.example.org/") is None
    egress = Egress(origin="m", trust_env=True)
    expected = Via(
        "http://proxy.example.org:3128/", "Basic " + base64.b64encode(b"a:b@").decode(), ("a", "b@")
    )
    assert egress.proxy_for("https://x.example.org/") == expected
    assert egress.proxy_for("https://corp.example.org/") is None
    assert egress.proxy_for("http://x.example.org/") is None
    assert "YTpi" not in repr(expected)


@pytest.mark.parametrize("url", ["socks4://127.0.0.1:1080", "ftp://x", "http://", "socks5://"])
def test_proxy_of_another_kind_is_a_configuration_error(url: str) -> None:
    with pytest.raises(ConfigError, match="a proxy must be http://"):
        Egress(origin="m", proxy=url)


@asynccontextmanager
async def socks_server(leads_to: int, asked: list[bytes]) -> AsyncIterator[str]:
    """A SOCKS5 proxy (RFC 1928, RFC 1929) that notes user, password and target, and connects to that port."""

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        methods = await reader.readexactly((await reader.readexactly(2))[1])
        writer.write(b"\x05\x02" if 2 in methods else b"\x05\x00")
        if 2 in methods:
            user = await reader.readexactly((await reader.readexactly(2))[1])
            password = await reader.readexactly((await reader.readexactly(1))[0])
            asked.append(user + b":" + password)
            writer.write(b"\x01\x00")
        kind = (await reader.readexactly(4))[3]
        size = 4 if kind == 1 else (await reader.readexactly(1))[0]
        asked.append(await reader.readexactly(size))
        await reader.readexactly(2)
        onward, out = await asyncio.open_connection("127.0.0.1", leads_to)
        writer.write(b"\x05\x00\x00\x01" + bytes(6))
        await asyncio.gather(pipe(reader, out), pipe(onward, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_socks_proxy_is_given_the_name_and_the_credentials(server: RawServer) -> None:
    server.on("/simple/demo/", reply(page(), content_type=JSON))
    asked: list[bytes] = []
    async with (
        socks_server(server.port, asked) as address,
        open_client(INDEX, proxy=f"socks5h://me:hunter%402@{address}") as client,
    ):
        assert isinstance(await client.project(DEMO), Listing)
        with pytest.raises(BadLink):
            await only_copy(client, file("http://169.254.169.254/x")).open()
    assert asked == [b"me:hunter@2", b"index.example.org"]
    assert "authorization" not in server.asked[0].headers
    assert "proxy-authorization" not in server.asked[0].headers


async def test_socks5_resolves_names_here(server: RawServer) -> None:
    server.on("/simple/demo/", reply(page(), content_type=JSON))
    asked: list[bytes] = []
    async with (
        socks_server(server.port, asked) as address,
        open_client("http://127.0.0.1:1/simple/", proxy=f"socks5://{address}") as client,
    ):
        assert isinstance(await client.project(DEMO), Listing)
    assert asked == [bytes([127, 0, 0, 1])]


async def test_socks_proxy_that_is_down_is_told_as_such() -> None:
    async with open_client(INDEX, proxy="socks5h://me:hunter2@127.0.0.1:1") as client:
        with pytest.raises(UpstreamRefused, match="mirror: the SOCKS proxy makes no connection") as caught:
            await client.project(DEMO)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(("asked_for", "expected"), [(True, BASIC), (False, None)])
async def test_netrc_counts_only_if_asked_for(
    server: RawServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked_for: bool, expected: str | None
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password hunter2\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    server.on("/simple/demo/", reply(page(), content_type=JSON))
    async with open_client(server.simple, netrc=asked_for) as client:
        await client.project(DEMO)
    assert server.asked[0].headers.get("authorization") == expected


async def test_configured_credentials_win_over_netrc(
    server: RawServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("default login other password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    server.on("/simple/demo/", reply(page(), content_type=JSON))
    async with open_client(server.simple, netrc=True, username="me", password="hunter2") as client:
        await client.project(DEMO)
    assert server.asked[0].headers["authorization"] == BASIC


async def test_netrc_that_cannot_be_read_is_a_configuration_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("nonsense here")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with pytest.raises(ConfigError, match="netrc"):
        async with open_client(INDEX, netrc=True):
            pass
    monkeypatch.setenv("NETRC", str(tmp_path / "absent"))
    async with open_client(INDEX, netrc=True):
        pass
