"""Where a redirect may lead, and whether credentials may go along.

Redirects are followed by hand, so that each hop is judged: here by its URL, and by `addresses` when it is
dialled. This makes no request, and decides nothing about the status or the headers of the next one.

A hop is refused when

- it is the sixth,
- Location is absent, or holds control characters or a backslash (which some programs read as a slash),
- its scheme isn't http or https, or it leaves https for http,
- its authority is anything but an ASCII host and a port: a user name would be sent as credentials, and other
  characters hide what the host is.

A Location is kept exactly as it was written, percent-encoding and all, since signed URLs break at the
slightest change; only what can't be sent (spaces, raw UTF-8) is encoded. A relative one is resolved against
the current URL (RFC 3986 section 5). The fragment goes: it isn't sent.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, urljoin, urlsplit

MAX_HOPS = 5
"""So many redirects are followed for one request."""

_PORTS = {"http": 80, "https": 443}
_LAST_PORT = 65535
_CONTROL = re.compile(r"[\x00-\x1f\x7f\\]")
_PATH = re.compile(r"[/?#]")
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:", re.ASCII)
_AUTHORITY = re.compile(r"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?", re.ASCII)
_PLAIN = re.compile(r"(https?)://[A-Za-z0-9._~-]+(?::([0-9]{1,5}))?(?:/[!-\"$-\[\]-~]*)?", re.ASCII)
"""What most links are: absolute, with nothing in them to encode or to resolve."""

_SENDABLE = "".join(map(chr, range(0x21, 0x7F)))


@dataclass(frozen=True, slots=True)
class Refused:
    """The redirect isn't followed; `reason` is for logs and holds no part of the URL but its scheme."""

    reason: str


def follow(url: str, location: str | None, *, hops: int) -> str | Refused:
    """The URL to ask next, when `url` answered with a redirect to `location` after `hops` earlier ones."""
    if hops >= MAX_HOPS:
        return Refused(f"more than {MAX_HOPS} redirects")
    location = "" if location is None else location.strip(" \t")
    if not location:
        return Refused("a redirect without a Location")
    plain = _PLAIN.fullmatch(location)
    if plain is not None and 0 < int(plain[2] or 1) <= _LAST_PORT and not _downgrade(url, plain[1]):
        return location
    if _CONTROL.search(location):
        return Refused("a redirect with control characters or backslashes in its Location")
    try:
        base = urlsplit(url)
        target = _resolve(base, location)
        parts = urlsplit(target)
        port = parts.port
    except ValueError:
        return Refused("a redirect to a malformed URL")
    if parts.scheme not in _PORTS:
        return Refused(f"a redirect to a URL of scheme {parts.scheme[:20]!r}")
    if _downgrade(url, parts.scheme):
        return Refused("a redirect from https to http")
    if "@" in parts.netloc:
        return Refused("a redirect to a URL with a user name")
    if not _AUTHORITY.fullmatch(parts.netloc) or port == 0:
        return Refused("a redirect to a URL without a plain host and port")
    return target


def same_origin(a: str, b: str) -> bool:
    """Whether two URLs agree in scheme, host and port (RFC 6454): credentials for one may be sent to the other."""
    origin = _origin(_front(a))
    return origin is not None and origin == _origin(_front(b))


def _downgrade(url: str, scheme: str) -> bool:
    """Whether a target of that scheme would leave https for http."""
    return scheme == "http" and url[:6].lower() == "https:"


def _front(url: str) -> str:
    """The URL up to its path: all that an origin is made of."""
    scheme, mark, rest = url.partition("://")
    return f"{scheme}{mark}{_PATH.split(rest, 1)[0]}"


def _resolve(base: SplitResult, location: str) -> str:
    """The target as an absolute URL, fit to be sent, without its fragment. Raises ValueError."""
    if not _ABSOLUTE.match(location):
        # The mirror's own credentials travel as a header; out of its URL they would end up in the next one.
        own = base._replace(netloc=base.netloc.rpartition("@")[2], fragment="")
        location = urljoin(own.geturl(), location)
    return quote(location.partition("#")[0], safe=_SENDABLE, errors="surrogateescape")


@functools.lru_cache(maxsize=256)
def _origin(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port, the usual one filled in; None when the URL has none of ours."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not parts.hostname:
        return None
    return parts.scheme, parts.hostname, _PORTS[parts.scheme] if port is None else port
