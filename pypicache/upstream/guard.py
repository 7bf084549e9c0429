"""The guard at the socket: which addresses are dialled on behalf of a page's links and of redirects (against SSRF).

A page is hostile text. Checking the URL isn't enough (names change their minds, `0x7f.2` is an address) and
neither is a resolver's answer (an address in a URL skips the resolver), so the last moment is used: both loops'
connectors ask for a socket with the address that is about to be dialled, and get `ForbiddenAddress` instead.

The mirror's own origin is dialled without asking, since the operator named it; where that leads is remembered, so
that a link to the same address and port passes, whatever it calls the host. `pypicache.rules.addresses` decides;
this only asks it. With an egress proxy the addresses are the proxy's to judge: only literal ones are seen here.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from pypicache.rules.addresses import Network, forbidden
from pypicache.upstream.faults import ForbiddenAddress

AddressInfo = tuple[int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[Any, ...]]
"""As `socket.getaddrinfo` gives it: family, type, protocol, canonical name, address."""

SocketFactory = Callable[[AddressInfo], socket.socket]

_REMEMBERED = 64
_PORTS = {"http": 80, "https": 443}
# A host whose last label is a number is an IPv4 address to some resolver, however odd: 0x7f.2, 127.1, 2130706434.
_NUMERIC = re.compile(r"(?:.*\.)?(?:0[xX][0-9A-Fa-f]*|[0-9]+)\.?")


class Guard:
    """Makes sockets for one mirror: for its own origin freely, for all else where the rule lets it."""

    def __init__(self, *, url: str, allow: Sequence[Network] = ()) -> None:
        host, port = endpoint(url)
        self._own: dict[tuple[str, int], None] = {(host, port): None}
        self._allow = tuple(allow)

    def own_socket(self, info: AddressInfo) -> socket.socket:
        """A socket for the mirror's own origin; the address becomes one of its own."""
        if len(self._own) < _REMEMBERED:
            self._own[info[4][0], info[4][1]] = None
        return plain_socket(info)

    def foreign_socket(self, info: AddressInfo) -> socket.socket:
        """A socket for any other origin. Raises ForbiddenAddress."""
        self._check(info[4][0], info[4][1])
        return plain_socket(info)

    def check_literal(self, url: str) -> None:
        """Raise ForbiddenAddress if the URL's host is an address in itself, in any spelling, and is refused."""
        host, port = endpoint(url)
        if ":" in host or _NUMERIC.fullmatch(host):
            self._check(host, port)

    def _check(self, address: str, port: int) -> None:
        reason = forbidden(address, port=port, own=self._own, allow=self._allow)
        if reason is not None:
            raise ForbiddenAddress(f"a link to an address that is refused: {reason}")


def endpoint(url: str) -> tuple[str, int]:
    """The host (lower case, no brackets) and the port of an http or https URL. Raises ValueError."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)


def plain_socket(info: AddressInfo) -> socket.socket:
    """A socket for anyone."""
    family, kind, protocol, _, _ = info
    return socket.socket(family=family, type=kind, proto=protocol)
