"""Which network addresses a link out of a page may lead to (the guard against SSRF).

A page is hostile text: its links could point at this host's other services, at the inner network, or
at a cloud's metadata service. This judges an address as it is about to be dialled, after every name
was resolved, so neither an odd spelling (`0x7f.2`, `2130706434`) nor a name that changes its mind gets
round it. What isn't a plain address is refused. It opens no socket and resolves no name.

Refused are the networks of `REFUSED`, an explicit list, and the IPv6 forms that lead to one of them by
way of an embedded IPv4 address. Everything else is allowed, and so are addresses for documentation
(192.0.2.0/24, 198.51.100.0/24, 203.0.113.0/24, 2001:db8::/32) and benchmarks (198.18.0.0/15): there are
sites whose gateway gives the public index such an address. `ipaddress.is_global` would refuse them.

Exceptions, in this order: the mirror's own host and port, and the networks that its configuration lists.

========================  =========================================  ==============================
form                      network                                    where the IPv4 address is
========================  =========================================  ==============================
IPv4-mapped               ::ffff:0:0/96     (RFC 4291 2.5.5.2)       the last 32 bits
IPv4-translated           ::ffff:0:0:0/96   (RFC 2765 2.1)           the last 32 bits
IPv4-compatible           ::/96             (RFC 4291 2.5.5.1)       the last 32 bits
NAT64                     64:ff9b::/96      (RFC 6052 2.1)           the last 32 bits
NAT64, a site's own       64:ff9b:1::/48    (RFC 8215)               by RFC 6052 2.2: four layouts
6to4                      2002::/16         (RFC 3056)               after the first 16 bits
========================  =========================================  ==============================
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

REFUSED: tuple[tuple[Network, str], ...] = (
    (IPv4Network("0.0.0.0/8"), "unspecified (RFC 1122)"),
    (IPv4Network("10.0.0.0/8"), "private (RFC 1918)"),
    (IPv4Network("100.64.0.0/10"), "shared (RFC 6598)"),
    (IPv4Network("127.0.0.0/8"), "loopback (RFC 1122)"),
    (IPv4Network("168.63.129.16/32"), "a cloud's metadata service"),
    (IPv4Network("169.254.0.0/16"), "link-local (RFC 3927)"),
    (IPv4Network("172.16.0.0/12"), "private (RFC 1918)"),
    (IPv4Network("192.0.0.192/32"), "a cloud's metadata service"),
    (IPv4Network("192.168.0.0/16"), "private (RFC 1918)"),
    (IPv4Network("224.0.0.0/4"), "multicast (RFC 5771)"),
    (IPv4Network("255.255.255.255/32"), "broadcast (RFC 919)"),
    (IPv4Network("240.0.0.0/4"), "reserved (RFC 1112)"),
    (IPv6Network("::/128"), "unspecified (RFC 4291)"),
    (IPv6Network("::1/128"), "loopback (RFC 4291)"),
    (IPv6Network("fc00::/7"), "unique local (RFC 4193)"),
    (IPv6Network("fe80::/10"), "link-local (RFC 4291)"),
    (IPv6Network("fec0::/10"), "site-local (RFC 3879)"),
    (IPv6Network("ff00::/8"), "multicast (RFC 4291)"),
)
"""Networks that no page's link may lead to, each with what it is."""

_LAST_32 = (
    IPv6Network("::ffff:0:0/96"),
    IPv6Network("::ffff:0:0:0/96"),
    IPv6Network("::/96"),
    IPv6Network("64:ff9b::/96"),
)
_SITE_NAT64 = IPv6Network("64:ff9b:1::/48")
_SIX_TO_FOUR = IPv6Network("2002::/16")
_THIS_NETWORK = IPv4Network("0.0.0.0/8")
_MASK = 0xFFFF_FFFF


def forbidden(
    address: str,
    *,
    port: int,
    host: str | None = None,
    own: Collection[tuple[str, int]] = (),
    allow: Sequence[Network] = (),
) -> str | None:
    """Why a connection to `address` and `port` is refused; None when it may be made.

    `address` is numeric, as a resolver gives it. `host` is the name that it was resolved from, where the
    caller knows it. `own` holds the mirror's configured (host or address, port): under its own name it may
    live anywhere. `allow` lists networks that the operator opened; one that holds an IPv4 address opens its
    embedded forms too.
    """
    ip = _parse(address)
    if ip is None:
        return f"{address[:60]!r} is not a plain IP address"
    if _is_own(ip, host, port, own) or _inside(ip, allow):
        return None
    for candidate in (ip, *_embedded(ip)):
        reason = next((what for network, what in REFUSED if candidate in network), None)
        if reason is not None and not _inside(candidate, allow):
            form = "" if candidate is ip else f" (a form of {candidate})"
            return f"{ip}{form} is {reason}"
    return None


def _parse(text: str) -> Address | None:
    """The address without its zone (`%eth0`); None for anything but the plain spelling."""
    try:
        return ip_address(text.partition("%")[0])
    except ValueError:
        return None


def _is_own(ip: Address, host: str | None, port: int, own: Collection[tuple[str, int]]) -> bool:
    """Whether this is the mirror itself, by name or by address; a mapped address is the same endpoint."""
    name = None if host is None else _bare(host)
    for own_host, own_port in own:
        if own_port != port:
            continue
        own_name = _bare(own_host)
        own_ip = _parse(own_name)
        if own_name == name or (own_ip is not None and _unmapped(own_ip) == _unmapped(ip)):
            return True
    return False


def _bare(host: str) -> str:
    """A host for comparison: lower case, no brackets, no final dot."""
    return host.lower().removeprefix("[").removesuffix("]").removesuffix(".")


def _unmapped(ip: Address) -> Address:
    """The IPv4 address inside an IPv4-mapped one."""
    return (ip.ipv4_mapped or ip) if isinstance(ip, IPv6Address) else ip


def _inside(ip: Address, networks: Sequence[Network]) -> bool:
    """Whether one of the networks holds the address; those of the other version never do."""
    return any(ip in network for network in networks)


def _embedded(ip: Address) -> Iterator[IPv4Address]:
    """The IPv4 addresses that an IPv6 one may lead to; none for any other."""
    if isinstance(ip, IPv4Address):
        return
    bits = int(ip)
    if any(ip in network for network in _LAST_32):
        yield IPv4Address(bits & _MASK)
    elif ip in _SIX_TO_FOUR:
        yield IPv4Address(bits >> 80 & _MASK)
    elif ip in _SITE_NAT64:
        yield from _nat64_layouts(bits)


def _nat64_layouts(bits: int) -> Iterator[IPv4Address]:
    """What an address of a site's own NAT64 prefix may embed: the prefix's length isn't known, so all four readings.

    RFC 6052 section 2.2: after 48, 56, 64 or 96 bits, passing over bits 64 to 71. A reading in 0.0.0.0/8 is
    none: no translator leads there, and the wrong layout usually reads zeros.
    """
    joined = (bits >> 64 << 56) | (bits & (1 << 56) - 1)  # 120 bits, without bits 64 to 71
    readings = (joined >> 40, joined >> 32, joined >> 24, bits)
    for reading in readings:
        candidate = IPv4Address(reading & _MASK)
        if candidate not in _THIS_NETWORK:
            yield candidate
