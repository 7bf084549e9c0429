"""How requests leave this machine: TLS contexts, and the egress proxy a request goes through, if any.

The proxy is the configured one, or with `trust_env` the environment's (`http_proxy`, `https_proxy`, `all_proxy`,
`no_proxy`). netrc is never read here. A SOCKS proxy isn't supported yet.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies_environment, proxy_bypass

import aiohttp

from pypicache.errors import ConfigError

_SCHEMES = frozenset({"http", "https"})


@dataclass(frozen=True, slots=True)
class Via:
    """A proxy that one request goes through."""

    url: str
    """Its URL, without user and password."""
    authorization: str | None = field(default=None, repr=False)
    """For Proxy-Authorization."""


class Egress:
    """Decides by URL whether a request takes a proxy."""

    def __init__(self, *, origin: str, proxy: str | None = None, trust_env: bool = False) -> None:
        self._fixed = None if proxy is None else _proxy(origin, proxy)
        self._environment: dict[str, str] = {}
        if proxy is None and trust_env:
            self._environment = getproxies_environment()
        self._origin = origin

    def proxy_for(self, url: str) -> Via | None:
        """The proxy that a request for `url` takes; None for a direct connection."""
        if self._fixed is not None:
            return self._fixed
        if not self._environment:
            return None
        parts = urlsplit(url)
        if proxy_bypass(parts.netloc.rpartition("@")[2]):
            return None
        found = self._environment.get(parts.scheme) or self._environment.get("all")
        return _proxy(self._origin, found) if found else None


def tls(ca_file: Path | None, *, alone: bool) -> ssl.SSLContext | bool:
    """How to verify a server: by the system's store, and by `ca_file` where given, or by that file `alone`.

    TLS 1.2 at least, names checked. Reads files: not for the event loop. Raises OSError.
    """
    if ca_file is None:
        return True
    context = ssl.create_default_context(cafile=str(ca_file) if alone else None)
    if not alone:
        context.load_verify_locations(cafile=str(ca_file))
    context.set_alpn_protocols(["http/1.1"])
    return context


def _proxy(origin: str, url: str) -> Via:
    """The parts of a proxy's URL. Raises ConfigError for a kind that isn't supported."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise ConfigError([f"{origin}: a proxy must be http:// or https://"])
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    if parts.username is None:
        return Via(bare)
    return Via(bare, aiohttp.encode_basic_auth(unquote(parts.username), unquote(parts.password or "")))
