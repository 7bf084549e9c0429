from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address

import pytest

from pypicache.rules.addresses import REFUSED, forbidden

TEN = [IPv4Network("10.0.0.0/8")]


def nat64(v4: str, length: int) -> str:
    """The address that a site's own NAT64 prefix of that length gives to an IPv4 one (RFC 6052 section 2.2)."""
    bits = int(IPv4Address(v4))
    prefix = 0x0064_FF9B_0001 << 80
    if length == 96:
        return str(ip_address(prefix | bits))
    before = 64 - length  # bits of the IPv4 address that lie before bit 64
    high, low = bits >> (32 - before), bits & (1 << 32 - before) - 1
    return str(ip_address(prefix | high << 64 | low << (56 - (32 - before))))


@pytest.mark.parametrize(
    ("address", "what"),
    [
        ("0.0.0.0", "unspecified"),
        ("0.1.2.3", "unspecified"),
        ("10.0.0.0", "private"),
        ("10.255.255.255", "private"),
        ("100.64.0.0", "shared"),
        ("100.100.100.200", "shared"),
        ("100.127.255.255", "shared"),
        ("127.0.0.1", "loopback"),
        ("127.255.255.255", "loopback"),
        ("168.63.129.16", "metadata"),
        ("169.254.0.0", "link-local"),
        ("169.254.169.254", "link-local"),
        ("172.16.0.0", "private"),
        ("172.31.255.255", "private"),
        ("192.0.0.192", "metadata"),
        ("192.168.0.0", "private"),
        ("192.168.255.255", "private"),
        ("224.0.0.1", "multicast"),
        ("239.255.255.255", "multicast"),
        ("240.0.0.1", "reserved"),
        ("255.255.255.255", "broadcast"),
        ("::", "unspecified"),
        ("::1", "loopback"),
        ("fc00::1", "unique local"),
        ("fd00:ec2::254", "unique local"),
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("febf::1", "link-local"),
        ("fec0::1", "site-local"),
        ("ff02::1", "multicast"),
    ],
)
def test_inner_networks_are_refused(address: str, what: str) -> None:
    reason = forbidden(address, port=443)
    assert reason is not None
    assert what in reason


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "1.0.0.0",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.167.255.255",
        "192.169.0.0",
        "223.255.255.255",
        "192.0.2.1",
        "198.51.100.1",
        "203.0.113.1",
        "198.18.0.1",
        "198.19.255.255",
        "2001:db8::1",
        "2606:2800:220:1::1",
        "::ffff:8.8.8.8",
        "::ffff:198.51.100.1",
        "::8.8.8.8",
        "64:ff9b::8.8.8.8",
        "64:ff9b:1::8.8.8.8",
        "2002:808:808::1",
        "2002:c633:6401::",
    ],
)
def test_public_and_documentation_addresses_are_allowed(address: str) -> None:
    assert forbidden(address, port=443) is None


@pytest.mark.parametrize("v4", ["127.0.0.2", "10.1.2.3", "169.254.169.254", "192.168.1.1", "100.64.0.1"])
def test_every_ipv6_form_of_a_refused_address_is_refused(v4: str) -> None:
    bits = int(IPv4Address(v4))
    six_to_four = str(ip_address(0x2002 << 112 | bits << 80 | 1))
    forms = [f"::ffff:{v4}", f"::ffff:0:{v4}", f"::{v4}", f"64:ff9b::{v4}", six_to_four]
    forms += [nat64(v4, length) for length in (48, 56, 64, 96)]
    assert len(set(forms)) == 9
    for form in forms:
        reason = forbidden(form, port=443)
        assert reason is not None, form
        assert f"a form of {v4}" in reason


@pytest.mark.parametrize("length", [48, 56, 64])
def test_the_octet_that_translators_pass_over_hides_nothing(length: int) -> None:
    form = ip_address(int(ip_address(nat64("10.1.2.3", length))) | 0xFF << 56)
    assert forbidden(str(form), port=443) == f"{form} (a form of 10.1.2.3) is private (RFC 1918)"


@pytest.mark.parametrize("length", [48, 56, 64, 96])
def test_public_address_behind_a_sites_own_nat64(length: int) -> None:
    assert forbidden(nat64("198.51.100.1", length), port=443) is None


@pytest.mark.parametrize(
    "address",
    [
        "",
        "localhost",
        "example.org",
        "0x7f.2",
        "0x7f000001",
        "2130706434",
        "127.1",
        "017700000001",
        "127.0.0.01",
        "127.0.0.1:80",
        "[::1]",
        " 8.8.8.8",
        "8.8.8.8\n",
        "8.8.8.\N{FULLWIDTH DIGIT EIGHT}",
        "::ffff:0x7f.1",
    ],
)
def test_what_is_no_plain_address_is_refused(address: str) -> None:
    reason = forbidden(address, port=80)
    assert reason is not None
    assert "is not a plain IP address" in reason


def test_reason_for_hostile_text_is_short_and_printable() -> None:
    reason = forbidden("\n\x1b[31m" * 1000, port=80)
    assert reason is not None
    assert reason.isprintable()
    assert len(reason) < 600


@pytest.mark.parametrize(
    ("address", "port", "host", "refused"),
    [
        ("127.0.0.1", 3142, None, False),
        ("::ffff:127.0.0.1", 3142, None, False),
        ("127.0.0.1", 3143, None, True),
        ("127.0.0.2", 3142, None, True),
        ("64:ff9b::127.0.0.1", 3142, None, True),
        ("::1", 8080, None, False),
        ("::1", 8081, None, True),
        ("10.0.0.5", 443, "mirror.example", False),
        ("10.0.0.5", 443, "Mirror.Example.", False),
        ("fd00::5", 443, "mirror.example", False),
        ("10.0.0.5", 80, "mirror.example", True),
        ("10.0.0.5", 443, "evil.example", True),
        ("10.0.0.5", 443, "x.mirror.example", True),
        ("10.0.0.5", 443, None, True),
    ],
)
def test_mirrors_own_host_and_port(address: str, port: int, host: str | None, refused: bool) -> None:
    """The mirror lives where it is configured, on no other port, and lends its place to no other name."""
    own = {("127.0.0.1", 3142), ("[::1]", 8080), ("mirror.example", 443)}
    assert (forbidden(address, port=port, host=host, own=own) is not None) is refused


@pytest.mark.parametrize(
    ("address", "refused"),
    [
        ("10.0.0.5", False),
        ("::ffff:10.0.0.5", False),
        ("64:ff9b::10.0.0.5", False),
        (nat64("10.0.0.5", 64), False),
        ("192.168.0.5", True),
        ("::ffff:192.168.0.5", True),
        ("fd00::5", True),
    ],
)
def test_networks_that_the_operator_opened(address: str, refused: bool) -> None:
    assert (forbidden(address, port=80, allow=TEN) is not None) is refused


def test_opened_ipv6_network() -> None:
    assert forbidden("fd00::5", port=80, allow=[IPv6Network("fd00::/64")]) is None
    assert forbidden("fd00:1::5", port=80, allow=[IPv6Network("fd00::/64")]) is not None


def test_every_refused_network_is_refused_to_its_edges() -> None:
    for network, _ in REFUSED:
        assert forbidden(str(network[0]), port=443) is not None
        assert forbidden(str(network[-1]), port=443) is not None
