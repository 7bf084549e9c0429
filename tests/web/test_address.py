"""What a client calls this server: a table of headers, hostile ones included."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pypicache.errors import BadRequest
from pypicache.web.address import base_url, client_address, valid_host

TRUSTED = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))

FORWARDED = {
    "Host": "inner:3141",
    "X-Forwarded-Host": "pypi.example.org",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Prefix": "/cache",
}


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:3141",
        "127.0.0.1:80",
        "pypi.example.org",
        "pypi.example.org.",
        "PyPI.Example.Org:8080",
        "my_host-1",
        "[::1]",
        "[::1]:3141",
        "[fe80::1:2]:65535",
        "[::ffff:10.0.0.1]",
    ],
)
def test_host_is_taken_as_it_came(host: str) -> None:
    """As it came, since the client compares the links with those that it resolved itself."""
    assert base_url({"Host": host}, scheme="http", peer="192.0.2.1") == f"http://{host}/"


BAD_HOSTS = [
    "",
    " ",
    "a b",
    "a/b",
    "a@b",
    "user:pass@host",
    'a"><script>alert(1)</script>',
    "a\r\nX: y",
    "a\n",
    "host:",
    "host:0",
    "host:65536",
    "host:123456",
    "host:80:80",
    "host:８０",  # noqa: RUF001 - digits of another script
    "hôst",
    "a..b",
    ".a",
    "-a",
    "a-",
    "a,b",
    "::1",
    "[::1",
    "[1.2.3.4]",
    "[::g]",
    "[fe80::1%25eth0]",
    "a" * 64,
    ".".join(["a" * 60] * 5),
    "a?b",
    "a#b",
    "a\\b",
    "%61",
    "*",
]


@pytest.mark.parametrize("host", BAD_HOSTS)
def test_anything_else_is_refused(host: str) -> None:
    with pytest.raises(BadRequest) as caught:
        base_url({"Host": host}, scheme="http", peer="192.0.2.1")
    assert len(str(caught.value).splitlines()) == 1


def test_no_host_at_all_is_refused() -> None:
    with pytest.raises(BadRequest):
        base_url({}, scheme="http", peer=None)


def test_public_url_wins_over_every_header() -> None:
    given_headers = {**FORWARDED, "Host": "<>"}
    public = "https://pypi.example.com/here/"
    assert (
        base_url(given_headers, scheme="http", peer="10.0.0.1", public_url=public, trusted=TRUSTED) == public
    )


@pytest.mark.parametrize("peer", ["10.1.2.3", "::ffff:10.1.2.3", "fd00::5", "fd00::5%eth0"])
def test_trusted_proxy_is_believed(peer: str) -> None:
    assert base_url(FORWARDED, scheme="http", peer=peer, trusted=TRUSTED) == "https://pypi.example.org/cache/"


@pytest.mark.parametrize("peer", ["192.0.2.1", "11.0.0.1", "::1", "", None, "/run/proxy.sock", "10.1.2", "x"])
def test_anyone_else_is_not(peer: str | None) -> None:
    """X-Forwarded-* only from trusted_proxies: from others they might as well be a client's."""
    assert base_url(FORWARDED, scheme="http", peer=peer, trusted=TRUSTED) == "http://inner:3141/"
    assert base_url(FORWARDED, scheme="http", peer=peer) == "http://inner:3141/"


def test_of_several_values_the_last_one_counts() -> None:
    """A proxy that appends has the client's own header before its own."""
    headers = {
        "Host": "inner",
        "X-Forwarded-Host": "evil.example.com, pypi.example.org",
        "X-Forwarded-Proto": "http, HTTPS",
    }
    assert base_url(headers, scheme="http", peer="10.0.0.1", trusted=TRUSTED) == "https://pypi.example.org/"


@pytest.mark.parametrize(
    "changed",
    [
        {"X-Forwarded-Host": "a b"},
        {"X-Forwarded-Host": "a/b"},
        {"X-Forwarded-Proto": "javascript"},
        {"X-Forwarded-Prefix": "cache"},
        {"X-Forwarded-Prefix": "/../x"},
        {"X-Forwarded-Prefix": "//evil.example.com"},
        {"X-Forwarded-Prefix": '/"><b>'},
        {"X-Forwarded-Prefix": "/a?b"},
        {"X-Forwarded-Prefix": "/a/./b"},
    ],
)
def test_what_a_trusted_proxy_passes_on_is_checked_too(changed: dict[str, str]) -> None:
    with pytest.raises(BadRequest):
        base_url({**FORWARDED, **changed}, scheme="http", peer="10.0.0.1", trusted=TRUSTED)


@pytest.mark.parametrize(
    ("prefix", "path"),
    [("", "/"), ("/", "/"), ("/a", "/a/"), ("/a/", "/a/"), ("/a/b.c", "/a/b.c/"), ("/..a", "/..a/")],
)
def test_prefix_ends_in_one_slash(prefix: str, path: str) -> None:
    headers = {"Host": "h", "X-Forwarded-Prefix": prefix}
    assert base_url(headers, scheme="http", peer="10.0.0.1", trusted=TRUSTED) == f"http://h{path}"


@given(st.text(max_size=80))
def test_whatever_is_taken_for_a_host_is_safe_in_a_link(text: str) -> None:
    if valid_host(text):
        assert text.isascii()
        assert not set(text) & set("/\\?#@%<>\"' \r\n\t&")


@given(st.one_of(st.text(max_size=60), st.text(max_size=60).map("fe80::1%{}".format)))
@example('fe80::1%" 200 0 forged')
@example("::1%\u2028")
@example("192.0.2.1, fe80::1%x, 10.0.0.2")
def test_whatever_is_taken_for_a_clients_address_is_safe_in_a_log(text: str) -> None:
    """A zone (RFC 4007) may be any text, and means nothing but where it was given."""
    found = client_address("10.0.0.1", [text], TRUSTED)
    assert set(found) <= set("0123456789abcdef:.")
