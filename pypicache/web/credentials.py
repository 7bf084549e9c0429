"""Who a request says it is from, and where it comes from: pure functions over its headers.

They take apart what stands there (RFC 7617, RFC 6750, devpi's X-Devpi-Auth) and check nothing of it.
"""

from __future__ import annotations

import base64
import binascii
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address

from aiohttp import web

from pypicache.rules.attempts import LOCAL, network_of
from pypicache.web.address import Network, is_trusted

TOKEN_USER = "__token__"  # noqa: S105 - the name that stands for it
"""The user whose password is a token, as uploads to the public index have it."""

MAX_LENGTH = 4096
"""Characters of a header that are looked at."""

_PASSED_ON = ("forwarded", "x-forwarded-", "x-real-ip", "via")
"""Headers of a request that came through a proxy, or how they begin."""

_OF_BROWSERS = ("origin", "sec-fetch-")
"""Headers that a browser sends with whatever a page has it do, and that the page can't take away."""


@dataclass(frozen=True, slots=True)
class Basic:
    """A name and a password."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Bearer:
    """A token."""

    token: str = field(repr=False)


def authorization(header: str | None) -> Basic | Bearer | None:
    """What the Authorization header says; None when it is absent, malformed or of another scheme."""
    scheme, _, rest = (header or "")[:MAX_LENGTH].partition(" ")
    if scheme.lower() == "bearer" and rest.strip():
        return Bearer(rest.strip())
    if scheme.lower() != "basic" or (pair := pair_of(rest)) is None:
        return None
    return Bearer(pair.password) if pair.user == TOKEN_USER else pair


def pair_of(encoded: str | None) -> Basic | None:
    """The two parts of `base64(user:password)`: Basic's credentials, and all of X-Devpi-Auth."""
    try:
        text = base64.b64decode((encoded or "")[:MAX_LENGTH].strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    user, colon, password = text.partition(":")
    return Basic(user, password) if colon else None


def is_local(request: web.BaseRequest) -> bool:
    """Whether it comes from this machine, and not by way of a proxy.

    A Unix socket is this machine. A proxy says so by one of its headers, or else it can't be told from a person:
    the configurations that `gen-config` writes all do.
    """
    if _any_begins(request, _PASSED_ON):
        return False
    transport = request.transport
    if transport is None:
        return False
    if getattr(transport.get_extra_info("socket"), "family", None) == socket.AF_UNIX:
        return True
    return is_loopback(request.remote)


def is_loopback(peer: str | None) -> bool:
    """Whether that is an address of this machine alone."""
    try:
        address = ip_address((peer or "").partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, IPv6Address):
        address = address.ipv4_mapped or address
    return address.is_loopback


def is_of_browser(request: web.BaseRequest) -> bool:
    """Whether a web page may be behind it."""
    return _any_begins(request, _OF_BROWSERS)


def _any_begins(request: web.BaseRequest, prefixes: Iterable[str]) -> bool:
    return any(name.lower().startswith(tuple(prefixes)) for name in request.headers)


def address_of(request: web.BaseRequest, trusted: Sequence[Network] = ()) -> str:
    """What counts as one address, for slowing down guesses.

    Behind a proxy it is what the proxy wrote last: on this machine or a trusted one, nobody else can have. It decides
    nothing but how long to wait.
    """
    if is_local(request):
        return LOCAL
    peer = request.remote
    if not peer or is_loopback(peer) or is_trusted(peer, trusted):
        forwarded = ", ".join(request.headers.getall("X-Forwarded-For", ()))
        peer = forwarded.rpartition(",")[2].strip() or request.headers.get("X-Real-IP") or peer
    return network_of(peer)
