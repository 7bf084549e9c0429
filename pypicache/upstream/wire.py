"""One mirror's connections: sends GETs, follows redirects by hand, and keeps secrets where they belong.

A session for every route: to the mirror's own origin, to everybody else, by sockets that are guarded
(`pypicache.upstream.guard`), and to a proxy. Each hop of a redirect picks its session anew and is judged by
`rules.redirects`. Pages and files share connections, and each leaves room for the other (`LIMITS`), so that large files never hold up
pages.

Nothing is decompressed here (`unpack` does it for pages, with limits; a file's bytes stay as they came) and no
header of a client's ever gets in: the set is made here. Credentials and configured headers go to the mirror's own
origin only; a User-Agent that lets requests through a firewall goes everywhere. All failures come out as
`UpstreamError`; it doesn't know pages, files or what a status means.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from pypicache import __version__, hops
from pypicache.errors import ConfigError, UpstreamRefused
from pypicache.rules.addresses import Network
from pypicache.rules.redirects import Refused, follow, same_origin
from pypicache.rules.retry import retry_after
from pypicache.upstream.egress import Egress, authorization, from_netrc, tls, without_userinfo
from pypicache.upstream.exchange import Response
from pypicache.upstream.faults import FAULTS, BadLink, ForbiddenAddress, refusal, translate
from pypicache.upstream.guard import Guard, SocketFactory, plain_socket
from pypicache.upstream.kept import keep
from pypicache.upstream.meter import Lane, Meter
from pypicache.upstream.resolver import FOREIGN, Resolver
from pypicache.upstream.source import NoneIdle
from pypicache.upstream.spare import Connector

LIMITS: Mapping[Lane, int] = {"pages": 50, "files": 64}
"""Connections to one host that pages and files take at most; those who ask see to it. One uv alone takes fifty for either."""

Route = Literal["own", "foreign", "proxy", "socks"]

DNS_TTL = 60
KEEPALIVE = 60.0

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_URL = 8000


@dataclass(frozen=True, slots=True)
class Reply:
    """A response that isn't a redirect, its body unread, and the URL that it came from. Whoever has it closes it."""

    response: Response
    url: str

    def header(self, name: str) -> str | None:
        """That header's first value."""
        return self.response.headers.get(name)


class Wire:
    """The sessions of one mirror. Use as an async context manager.

    `url` is the index's root and may hold a user and password (then `username` and `password` must be absent).
    `via` is this daemon's name for Via; `meter` counts what passes; `netrc` lets the netrc file give what nothing else does.
    Timeouts are seconds: `connect_timeout` for one connection, `read_timeout` for silence between two reads.
    """

    def __init__(
        self,
        *,
        name: str,
        url: str,
        connect_timeout: float = 5.0,
        read_timeout: float = 20.0,
        username: str | None = None,
        password: str | None = None,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        allow_private: Sequence[Network] = (),
        ca_file: Path | None = None,
        proxy: str | None = None,
        trust_env: bool = False,
        netrc: bool = False,
        via: str | None = None,
        meter: Meter | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self.url, from_url = without_userinfo(url)
        self.read_timeout = read_timeout
        self.pages = asyncio.Semaphore(LIMITS["pages"])
        """Held by whoever asks for a page, until it is read."""
        self.meter = meter or Meter()
        self._connect_timeout = connect_timeout
        self._head_timeout = 2 * connect_timeout + read_timeout
        self._ca_file = ca_file
        self._wall_clock = wall_clock
        self._guard = Guard(url=self.url, allow=allow_private)
        self._egress = Egress(origin=name, proxy=proxy, trust_env=trust_env)
        self._own_headers = {key.title(): value for key, value in (headers or {}).items()}
        agent = self._own_headers.get("User-Agent", f"pypicache/{__version__}")
        self._everywhere = {"User-Agent": agent}
        self._via = via
        self._netrc = netrc
        said = authorization(username, password, token) or from_url
        if said is not None:
            self._own_headers["Authorization"] = said
        self._sessions: dict[Route, aiohttp.ClientSession] = {}
        self._connectors: dict[Route, Connector] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Open the sessions; no connection is made. Raises ConfigError when a file or a proxy can't be used."""
        if self._netrc and "Authorization" not in self._own_headers:
            found = await asyncio.to_thread(from_netrc, self.name, urlsplit(self.url).hostname or "")
            self._own_headers.update({} if found is None else {"Authorization": found})
        own = Resolver(name=self.name, seconds=self._connect_timeout)
        others = Resolver(name=self.name, seconds=self._connect_timeout, threads=FOREIGN)
        directly: dict[Route, tuple[SocketFactory, Resolver]] = {
            "own": (self._guard.own_socket, own),
            "foreign": (self._guard.foreign_socket, others),
            "proxy": (plain_socket, own),
        }
        for route, (factory, resolver) in directly.items():
            verify = await self._verify(alone=route == "own")
            connector = Connector(
                **_pool(verify), resolver=resolver, ttl_dns_cache=DNS_TTL, socket_factory=factory
            )
            self._connectors[route] = connector
            self._sessions[route] = await self._stack.enter_async_context(self._session(connector))
        if (socks := self._egress.socks) is not None:
            verify = await self._verify(alone=False)
            through = keep(socks.connector(**_pool(verify)))
            self._sessions["socks"] = await self._stack.enter_async_context(self._session(through))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def resolve(self, link: str) -> str:
        """A page's link as a URL fit to be sent: verbatim but for what can't be. Raises BadLink.

        Judged as a redirect from the mirror would be: http and https only, no user name, no way from https to http.
        """
        target = follow(self.url, link, hops=0)
        if isinstance(target, Refused):
            raise BadLink(self.name, target.reason.replace("redirect", "link"))
        return target

    async def get(
        self, url: str, *, lane: Lane, headers: Mapping[str, str], idle_only: bool = False
    ) -> Reply:
        """GET `url`, verbatim, through at most five redirects. Raises UpstreamError for all that isn't a response.

        `headers` are this request's own and win over all others. `idle_only`: raises NoneIdle where that takes another connection.
        """
        hops = 0
        while True:
            try:
                response = await self._send(url, headers, idle_only=idle_only)
            except NoneIdle:
                raise
            except BaseException:
                self.meter.failed(lane)
                raise
            if response.status not in _REDIRECTS:
                self.meter.answered(lane, response.status)
                if lane == "pages" and response.status == HTTPStatus.OK:
                    self._fan_out(url)
                return Reply(response, url)
            location = response.headers.get("Location")
            response.release()
            target = follow(url, location, hops=hops)
            if isinstance(target, Refused):
                raise BadLink(self.name, target.reason)
            url, hops = target, hops + 1

    def idle(self, url: str) -> int:
        """How many connections to where that URL leads have nothing to do; none where that isn't known."""
        connector = self._directly(url)
        return 0 if connector is None else connector.idle(url)

    def refusal(self, reply: Reply, what: str = "") -> UpstreamRefused:
        """The error for a reply whose status is neither an answer nor an absence; closes the reply."""
        reply.response.release()
        wait = retry_after(reply.header("Retry-After"), self._wall_clock())
        return refusal(self.name, reply.response.status, reply.response.reason, what=what, retry_after=wait)

    async def _send(self, url: str, headers: Mapping[str, str], *, idle_only: bool) -> Response:
        """One hop: within a time limit of its own up to the end of the head, since a head may drip for ever.

        aiohttp tries a connection that breaks before its answer once more (RFC 9110 section 9.2.2), so this needn't.
        """
        try:
            async with asyncio.timeout(self._head_timeout):
                return await self._request(url, headers, idle_only=idle_only)
        except aiohttp.ConnectionTimeoutError as error:
            raise translate(
                error, self.name, silence=f"no connection within {self._connect_timeout:g} s"
            ) from error
        except aiohttp.ServerTimeoutError as error:
            raise translate(error, self.name, silence=f"no answer within {self.read_timeout:g} s") from error
        except FAULTS as error:
            raise translate(error, self.name, silence=f"no answer within {self._head_timeout:g} s") from error

    async def _request(self, url: str, headers: Mapping[str, str], *, idle_only: bool) -> Response:
        if len(url) > _MAX_URL:
            raise BadLink(self.name, "a URL that is too long")
        own = same_origin(url, self.url)
        if not own:
            try:
                self._guard.check_literal(url)
            except ForbiddenAddress as error:
                raise BadLink(self.name, error.reason) from error
        via = {} if self._via is None else {"Via": hops.via(self._via)}
        sent = {**self._everywhere, **via, **(self._own_headers if own else {}), **headers}
        proxy = self._egress.proxy_for(url)
        direct: Route = "own" if own else "foreign"
        if proxy is None:
            answer = await self._connectors[direct].exchange(url, sent, read_timeout=self.read_timeout)
            if answer is not None:
                return answer
        if idle_only:
            raise NoneIdle
        if proxy is None or proxy.socks:
            session = self._sessions[direct if proxy is None else "socks"]
            return await session.get(URL(url, encoded=True), headers=sent, allow_redirects=False)
        secret = {"Proxy-Authorization": proxy.authorization} if proxy.authorization else {}
        if urlsplit(url).scheme == "http":
            sent.update(secret)  # without a tunnel the request itself is what the proxy reads
        return await self._sessions["proxy"].get(
            URL(url, encoded=True), headers=sent, allow_redirects=False, proxy=proxy.url, proxy_headers=secret
        )

    async def _verify(self, *, alone: bool) -> ssl.SSLContext | bool:
        """The TLS context for a route. The mirror itself must answer to its `ca_file` alone; others may also to the system's."""
        try:
            return await asyncio.to_thread(tls, self._ca_file, alone=alone)
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise ConfigError([f"{self.name}: ca_file {self._ca_file}: {why}"]) from error

    def _fan_out(self, url: str) -> None:
        """Others will be asked for where that page came from: it is a new one, so what it leads to isn't known either."""
        connector = self._directly(url)
        if connector is not None:
            connector.fan_out(url)

    def _directly(self, url: str) -> Connector | None:
        """What makes the connections there; None where a proxy does."""
        if self._egress.proxy_for(url) is not None:
            return None
        return self._connectors["own" if same_origin(url, self.url) else "foreign"]

    def _session(self, connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
        timeout = aiohttp.ClientTimeout(
            total=None, connect=None, sock_connect=self._connect_timeout, sock_read=self.read_timeout
        )
        return aiohttp.ClientSession(
            connector=connector,
            timeout=timeout,
            auto_decompress=False,
            trust_env=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        )


def _pool(verify: ssl.SSLContext | bool) -> Mapping[str, Any]:  # noqa: FBT001 - aiohttp's
    """What every connector is told."""
    return {
        "ssl": verify,
        "limit": 0,
        "limit_per_host": sum(LIMITS.values()),
        "keepalive_timeout": KEEPALIVE,
    }
