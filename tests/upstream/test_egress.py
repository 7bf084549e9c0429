"""Requests that leave through a proxy."""

from __future__ import annotations

import base64

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
    expected = Via("http://proxy.example.org:3128/", "Basic " + base64.b64encode(b"a:b@").decode())
    assert egress.proxy_for("https://x.example.org/") == expected
    assert egress.proxy_for("https://corp.example.org/") is None
    assert egress.proxy_for("http://x.example.org/") is None
    assert "YTpi" not in repr(expected)


@pytest.mark.parametrize("url", ["socks5://127.0.0.1:1080", "ftp://x", "http://"])
def test_proxy_of_another_kind_is_a_configuration_error(url: str) -> None:
    with pytest.raises(ConfigError, match="http:// or https://"):
        Egress(origin="m", proxy=url)
