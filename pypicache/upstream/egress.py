"""How requests leave this machine: TLS contexts, and the egress proxy a request goes through, if any.

The proxy is the configured one, or with `trust_env` the environment's (`http_proxy`, `https_proxy`, `all_proxy`,
`no_proxy`). A SOCKS proxy is a matter of connectors: `socks5` resolves names here, `socks5h` lets the proxy do it.
netrc is read only by `from_netrc`, for whoever asks.
"""

from __future__ import annotations

import netrc
import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies_environment, proxy_bypass

import aiohttp

from pypicache.errors import ConfigError

_SOCKS = {"socks5": False, "socks5h": True}
_SCHEMES = frozenset({"http", "https", *_SOCKS})
_SOCKS_PORT = 1080


@dataclass(frozen=True, slots=True)
class Via:
    """A proxy that one request goes through."""

    url: str
    """Its URL, without user and password."""
    authorization: str | None = field(default=None, repr=False)
    """For Proxy-Authorization."""
    credentials: tuple[str, str] | None = field(default=None, repr=False)
    """The user and the password."""

    @property
    def socks(self) -> bool:
        """Whether it speaks SOCKS, which is for the connector to know."""
        return self.url.startswith("socks")

    def connector(self, **settings: Any) -> aiohttp.TCPConnector:
        """A connector through this SOCKS proxy; `settings` are those of every connector."""
        from aiohttp_socks import ProxyType  # noqa: PLC0415 - a start doesn't wait for what few mirrors need

        from pypicache.upstream.socks import Connector  # noqa: PLC0415 - as above

        parts = urlsplit(self.url)
        user, password = self.credentials or (None, None)
        return Connector(
            parts.hostname or "",
            parts.port or _SOCKS_PORT,
            ProxyType.SOCKS5,
            username=user,
            password=password,
            rdns=_SOCKS[parts.scheme],
            **settings,
        )


class Egress:
    """Decides by URL whether a request takes a proxy."""

    def __init__(self, *, origin: str, proxy: str | None = None, trust_env: bool = False) -> None:
        self._fixed = None if proxy is None else _proxy(origin, proxy)
        self._environment: dict[str, str] = {}
        if proxy is None and trust_env:
            self._environment = getproxies_environment()
        self._origin = origin

    @property
    def socks(self) -> Via | None:
        """The SOCKS proxy that requests may go through, if there is one. Raises ConfigError for several."""
        named = {url for key, url in self._environment.items() if key in {"http", "https", "all"}}
        all_ = [_proxy(self._origin, url) for url in named] if self._fixed is None else [self._fixed]
        found = [proxy for proxy in all_ if proxy.socks]
        if len(found) > 1:
            raise ConfigError([f"{self._origin}: the environment names two SOCKS proxies; one is possible"])
        return found[0] if found else None

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
        raise ConfigError([f"{origin}: a proxy must be http://, https://, socks5:// or socks5h://"])
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    if parts.username is None:
        return Via(bare)
    user, password = unquote(parts.username), unquote(parts.password or "")
    return Via(bare, aiohttp.encode_basic_auth(user, password), (user, password))


def from_netrc(origin: str, host: str) -> str | None:
    """The Authorization header that the netrc file (`$NETRC`, or `~/.netrc`) gives for the host, or its default.

    Reads a file: not for the event loop. Raises ConfigError for a file that can't be read; one that isn't there says nothing.
    """
    path = Path(os.environ.get("NETRC") or "~/.netrc")
    try:
        found = netrc.netrc(str(path.expanduser())).authenticators(host)
    except FileNotFoundError:
        return None
    except (OSError, RuntimeError, UnicodeError, netrc.NetrcParseError) as error:
        raise ConfigError([f"{origin}: the netrc file can't be used ({type(error).__name__})"]) from error
    return None if found is None else aiohttp.encode_basic_auth(found[0], found[2] or "")


def authorization(username: str | None, password: str | None, token: str | None) -> str | None:
    """The Authorization header: basic (RFC 7617) or bearer (RFC 6750)."""
    if token is not None:
        return f"Bearer {token}"
    if username is None and password is None:
        return None
    return aiohttp.encode_basic_auth(username or "", password or "")


def without_userinfo(url: str) -> tuple[str, str | None]:
    """The URL without user and password, and the Authorization header that they make."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url, None
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    return bare, authorization(unquote(parts.username or ""), unquote(parts.password or ""), None)
