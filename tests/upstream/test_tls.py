"""Which certificates are believed."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path

import pytest
import trustme

from pypicache.errors import ConfigError, UpstreamRefused, UpstreamTimeout
from pypicache.upstream.source import Listing
from tests.upstream.making import DEMO, JSON, drain, file, only_copy, open_client, page
from tests.upstream.raw import RawServer, reply


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


def _server(certificate: trustme.LeafCert) -> RawServer:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    server = RawServer(tls=context)
    server.on("/simple/demo/", reply(page(), content_type=JSON))
    return server


async def test_certificate_by_the_configured_authority_is_believed(
    authority: trustme.CA, ca_file: Path
) -> None:
    async with (
        _server(authority.issue_cert("127.0.0.1")) as server,
        open_client(server.simple, ca_file=ca_file) as client,
    ):
        assert isinstance(await client.project(DEMO), Listing)


async def test_expired_certificate_is_refused(authority: trustme.CA, ca_file: Path) -> None:
    past = datetime(2020, 1, 2, tzinfo=UTC)
    certificate = authority.issue_cert(
        "127.0.0.1", not_before=datetime(2020, 1, 1, tzinfo=UTC), not_after=past
    )
    async with _server(certificate) as server, open_client(server.simple, ca_file=ca_file) as client:
        with pytest.raises(UpstreamRefused, match="certificate has expired"):
            await client.project(DEMO)
        assert server.asked == []


async def test_certificate_for_another_host_is_refused(authority: trustme.CA, ca_file: Path) -> None:
    async with (
        _server(authority.issue_cert("example.org")) as server,
        open_client(server.simple, ca_file=ca_file) as client,
    ):
        with pytest.raises(UpstreamRefused, match="IP address mismatch"):
            await client.project(DEMO)
        assert server.asked == []


async def test_certificate_by_a_stranger_is_refused(authority: trustme.CA) -> None:
    async with _server(authority.issue_cert("127.0.0.1")) as server, open_client(server.simple) as client:
        with pytest.raises(UpstreamRefused, match="isn't trusted"):
            await client.project(DEMO)
        assert server.asked == []


async def test_own_authority_does_not_vouch_for_strangers(ca_file: Path) -> None:
    certificate = trustme.CA().issue_cert("127.0.0.1")
    async with _server(certificate) as server, open_client(server.simple, ca_file=ca_file) as client:
        with pytest.raises(UpstreamRefused, match="isn't trusted"):
            await client.project(DEMO)
        assert server.asked == []


async def test_plain_http_where_tls_is_due_is_refused(server: RawServer) -> None:
    """The server waits for a request, the client for a handshake."""
    async with open_client(f"https://127.0.0.1:{server.port}/simple/", connect_timeout=0.2) as client:
        with pytest.raises(UpstreamTimeout, match="no connection"):
            await client.project(DEMO)
    assert server.asked == []


async def test_ca_file_that_cannot_be_used_is_a_configuration_error(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")
    for path in (tmp_path / "none.pem", empty):
        with pytest.raises(ConfigError, match="ca_file"):
            async with open_client("https://127.0.0.1:1/simple/", ca_file=path):
                pass


async def test_other_hosts_may_answer_to_the_systems_authorities_and_the_mirror_may_not(
    authority: trustme.CA, ca_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`ca_file` replaces the system's store for the mirror itself; its links may lead to public hosts."""
    public = trustme.CA()
    public.cert_pem.write_to_path(str(tmp_path / "system.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "system.pem"))
    networks = [ip_network("127.0.0.0/8")]
    async with (
        _server(authority.issue_cert("127.0.0.1")) as mine,
        _server(public.issue_cert("127.0.0.1")) as theirs,
        open_client(mine.simple, ca_file=ca_file, allow_private=networks) as client,
        open_client(theirs.simple, ca_file=ca_file) as deceived,
    ):
        theirs.on("/f", reply(b"12345"))
        assert isinstance(await client.project(DEMO), Listing)
        assert await drain(await only_copy(client, file(f"{theirs.url}/f")).open()) == b"12345"
        with pytest.raises(UpstreamRefused, match="isn't trusted"):
            await deceived.project(DEMO)
