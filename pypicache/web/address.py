"""What a client calls this server: the base of the absolute links that it gets.

Pages have relative links and need none of this; legacy JSON needs it. The address is taken from, in this order:
`public_url` if it is configured; the X-Forwarded-* headers of a proxy that is trusted; the Host header and the
connection's scheme. All of it but the configured one is text that a client may have written, so it is held to a grammar
and refused (400) where it doesn't fit, and it gets into nobody's answer but that client's.

Of a forwarded header with several values the last one counts: it is the one that the trusted proxy itself wrote. A
client on a Unix socket has no address and is never taken for a trusted proxy: such a proxy passes Host on, and where
the scheme or a prefix differs, `public_url` is due.

The address of the client itself, for the log, is found in the same spirit. Pure functions over header text. They know no requests and no indexes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

from pypicache.errors import BadRequest, one_line

Network = IPv4Network | IPv6Network

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = re.compile(
    rf"(?P<name>{_LABEL}(?:\.{_LABEL})*\.?)(?::(?P<port>[0-9]{{1,5}}))?"
    r"|\[(?P<ipv6>[0-9A-Fa-f:.]{2,45})\](?::(?P<port6>[0-9]{1,5}))?",
    re.ASCII,
)
_PREFIX = re.compile(r"(?:/(?!\.\.?(?:/|\Z))[A-Za-z0-9._~+-]{1,100}){1,10}/?|/?", re.ASCII)
_MAX_NAME = 253
_MAX_PORT = 65_535


def base_url(
    headers: Mapping[str, str],
    *,
    scheme: str,
    peer: str | None,
    public_url: str | None = None,
    trusted: Sequence[Network] = (),
) -> str:
    """The root of this server as the client sees it, ending in `/`.

    `headers` is looked up by Host and X-Forwarded-Host, -Proto and -Prefix (a case-insensitive mapping); `scheme` is the
    connection's own, `peer` its address. Raises BadRequest when there is no address to be had.
    """
    if public_url is not None:
        return public_url
    host, prefix = headers.get("Host"), ""
    if trusted and is_trusted(peer, trusted):
        host = _last(headers, "X-Forwarded-Host") or host
        scheme = (_last(headers, "X-Forwarded-Proto") or scheme).lower()
        prefix = _last(headers, "X-Forwarded-Prefix") or ""
        if scheme not in {"http", "https"}:
            raise BadRequest(f"X-Forwarded-Proto is {one_line(scheme, 40)}, neither http nor https")
        if not _PREFIX.fullmatch(prefix):
            raise BadRequest("X-Forwarded-Prefix isn't a plain path")
    if host is None or not valid_host(host):
        raise BadRequest(
            "the Host header names no host" if host is None else f"no host is called {one_line(host, 80)}"
        )
    return f"{scheme}://{host}{prefix.rstrip('/')}/"


def path_prefix(
    headers: Mapping[str, str],
    *,
    peer: str | None,
    public_url: str | None = None,
    trusted: Sequence[Network] = (),
) -> str:
    """The path below which the client sees this server, without a slash at its end; mostly nothing.

    It is the configured one for who came by that address, and what a trusted proxy says.
    """
    if public_url is not None:
        url = urlsplit(public_url)
        host = headers.get("Host", "")
        if is_trusted(peer, trusted):
            host = _last(headers, "X-Forwarded-Host") or host
        return url.path.rstrip("/") if host.lower() == url.netloc.lower() else ""
    prefix = _last(headers, "X-Forwarded-Prefix") if is_trusted(peer, trusted) else None
    return (prefix or "").rstrip("/") if _PREFIX.fullmatch(prefix or "") else ""


def valid_host(text: str) -> bool:
    """Whether this is a host with or without a port (RFC 9110 section 7.2), as it stands in links and nothing else."""
    match = _HOST.fullmatch(text)
    if match is None:
        return False
    port = match["port"] or match["port6"]
    if port is not None and not 0 < int(port) <= _MAX_PORT:
        return False
    if match["ipv6"] is None:
        return len(match["name"]) <= _MAX_NAME
    try:
        return isinstance(ip_address(match["ipv6"]), IPv6Address)
    except ValueError:
        return False


def is_trusted(peer: str | None, trusted: Sequence[Network]) -> bool:
    """Whether the address is one of a proxy whose headers are believed."""
    try:
        address = ip_address((peer or "").partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, IPv6Address):
        address = address.ipv4_mapped or address
    return any(address in network for network in trusted)


def client_address(peer: str | None, forwarded: Iterable[str], trusted: Sequence[Network]) -> str:
    """The address of the client: the peer's, unless that is a trusted proxy; then what it says in X-Forwarded-For.

    Of several addresses the last one that isn't itself a trusted proxy's counts: those before it may be anyone's
    invention. What is no address ends the search.
    """
    client = peer or ""
    if not trusted or not is_trusted(peer, trusted):
        return client
    for text in reversed(",".join(forwarded).split(",")):
        said = _bare(text.strip(" \t"))
        try:
            client = str(ip_address(said))
        except ValueError:
            break
        if not is_trusted(client, trusted):
            break
    return client


def _bare(text: str) -> str:
    """An address as some proxies write it, `192.0.2.1:443` or `[2001:db8::1]:443`, without its port.

    Its zone (RFC 4007) goes, too: it means nothing here, and may be any text.
    """
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    return text.partition("%")[0]


def _last(headers: Mapping[str, str], name: str) -> str | None:
    """The last of the header's values, or None when it is absent or empty."""
    return headers.get(name, "").rpartition(",")[2].strip(" \t") or None
