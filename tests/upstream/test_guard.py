"""Where a page's links and a mirror's redirects may lead: judged at the socket, before anything is dialled."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from pypicache.errors import UpstreamRefused
from pypicache.upstream.faults import BadLink
from pypicache.upstream.source import Listing
from pypicache.upstream.wire import Wire
from tests.upstream.making import DEMO, JSON, drain, file, only_copy, open_client, page
from tests.upstream.raw import RawServer, reply

FORBIDDEN = [
    "http://169.254.169.254/latest/meta-data/",
    "http://127.0.0.1:{port}/x",
    "http://127.0.0.2:{port2}/x",
    "http://[::ffff:127.0.0.2]:{port2}/x",
    "http://[::ffff:7f00:2]:{port2}/x",
    "http://[::127.0.0.2]:{port2}/x",
    "http://[64:ff9b::7f00:2]:{port2}/x",
    "http://[2002:7f00:2::]:{port2}/x",
    "http://[::1]:{port}/x",
    "http://[::]:{port}/x",
    "http://0.0.0.0:{port}/x",
    "http://0:{port}/x",
    "http://0x7f.2:{port2}/x",
    "http://0x7F000002:{port2}/x",
    "http://2130706434:{port2}/x",
    "http://127.2:{port2}/x",
    "http://0177.0.0.2:{port2}/x",
    "http://127.0.0.2.:{port2}/x",
    "http://\u2460\u2461\u2466.0.0.2:{port2}/x",
    "http://127\u30020\u30020\u30022:{port2}/x",
    "http://%31%32%37.0.0.2:{port2}/x",
    "http://localhost:{port}/x",
    "http://LocalHost:{port}/x",
    "http://10.0.0.1/x",
    "http://192.168.0.1/x",
    "http://172.16.0.1/x",
    "http://100.64.0.1/x",
    "http://[fd00::1]/x",
    "http://[fe80::1]/x",
    "http://[fe80::1%25lo]/x",
    "http://user@127.0.0.2:{port2}/x",
    "http://127.0.0.2:{port2}\\@example.org/x",
    "file:///etc/passwd",
    "ftp://127.0.0.2:{port2}/x",
    "javascript:alert(1)",
    "data:,x",
    "http:///x",
    "http://127.0.0.2:99999/x",
    "http://127.0.0.2:{port2}/a\r\nX: y",
]


@pytest.mark.parametrize("how", ["link", "redirect"])
@pytest.mark.parametrize("url", FORBIDDEN)
async def test_forbidden_address_is_never_dialled(server: RawServer, url: str, how: str) -> None:
    async with RawServer() as inner, RawServer(host="127.0.0.2") as other:
        link = url.format(port=inner.port, port2=other.port)
        if how == "redirect":
            server.on("/f", reply(status=302, location=link.encode().decode("latin-1").replace("\r\n", "\t")))
            link = f"{server.url}/f"
        async with open_client(server.simple) as client:
            with pytest.raises(BadLink) as caught:
                await only_copy(client, file(link)).open()
        assert inner.connections == other.connections == 0
    assert isinstance(caught.value, UpstreamRefused)
    assert caught.value.http_status is None


async def test_redirect_of_a_page_is_guarded_too(server: RawServer) -> None:
    async with RawServer() as inner:
        server.on("/simple/demo/", reply(status=301, location=f"{inner.url}/simple/demo/"))
        async with open_client(server.simple) as client:
            with pytest.raises(BadLink, match=r"127\.0\.0\.1 is loopback"):
                await client.project(DEMO)
        assert inner.connections == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_mirrors_own_address_and_port_are_allowed_under_any_name(server: RawServer, host: str) -> None:
    server.on("/f", reply(b"12345"))
    async with open_client(server.simple) as client:
        body = await only_copy(client, file(f"http://{host}:{server.port}/f")).open()
        assert await drain(body) == b"12345"


async def test_name_of_the_mirror_may_lead_inside(server: RawServer) -> None:
    """The operator named it; links to where that name leads are the mirror's own."""
    server.on("/simple/demo/", reply(page(), content_type=JSON))
    server.on("/f", reply(b"12345"))
    async with open_client(f"http://localhost:{server.port}/simple/") as client:
        assert isinstance(await client.project(DEMO), Listing)
        body = await only_copy(client, file(f"http://127.0.0.1:{server.port}/f")).open()
        assert await drain(body) == b"12345"


async def test_listed_network_is_open_to_links_and_redirects(server: RawServer) -> None:
    async with RawServer(host="127.0.0.2") as other:
        other.on("/f", reply(status=302, location=f"http://127.0.0.2:{other.port}/g"))
        other.on("/g", reply(b"12345"))
        async with open_client(server.simple, allow_private=[ip_network("127.0.0.2/32")]) as client:
            assert await drain(await only_copy(client, file(f"{other.url}/f")).open()) == b"12345"


async def test_message_names_the_address_and_not_the_url(server: RawServer) -> None:
    async with open_client(server.simple) as client:
        with pytest.raises(BadLink) as caught:
            await only_copy(client, file("http://169.254.169.254/secret?token=1")).open()
    assert str(caught.value) == (
        "mirror: a link to an address that is refused: 169.254.169.254 is link-local (RFC 3927)"
    )


async def test_tls_mirror_is_not_left_for_plain_http(server: RawServer) -> None:
    async with open_client("https://127.0.0.1:1/simple/") as client:
        with pytest.raises(BadLink, match="from https to http"):
            await only_copy(client, file(f"{server.url}/f")).open()
    assert server.connections == 0


@given(
    st.text(max_size=40)
    | st.text("htps:/@.[]%0123456789abcxl\\\u3002\uff11", max_size=60).map("http:{}".format)
)
def test_any_link_is_a_sendable_url_or_refused(link: str) -> None:
    wire = Wire(name="mirror", url="http://mirror.example.org/simple/")
    try:
        url = wire.resolve(link)
    except BadLink:
        return
    assert url.isascii()
    assert url.isprintable()
    assert " " not in url
    assert url.startswith(("http://", "https://"))
    assert URL(url, encoded=True).host
