"""What can be set: frozen dataclasses with their defaults, and a sentence for each field.

Durations are seconds, sizes are bytes, paths are absolute. Values are checked where they are read
(`load`), so whoever holds a `Config` needs no second look. It doesn't read files or the environment, and
knows nothing of YAML. Mappings are plain dicts that are typed read-only, so that a `Config` can be sent
to another process.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Literal

from pypicache.config.secret import Secret
from pypicache.config.wellknown import PYPI, address

Network = IPv4Network | IPv6Network

DEFAULT_INDEX = "root/pypi"
"""The shipped index, and the one that a top-level `mirrors` is for."""

DEFAULT_CACHE_DIR = "~/.cache/pypicache"
"""Where the cache is when neither the file nor `$CACHE_DIRECTORY` says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """One address to listen on: either `port` or `unix` is set."""

    host: str | None = None
    """An IP address or a host name, without brackets; None with a port: every address of this machine."""
    port: int | None = None
    """The TCP port; 0 lets the system choose one."""
    unix: Path | None = None
    """The path of a Unix socket."""

    def __str__(self) -> str:
        if self.unix is not None:
            return f"unix:{self.unix}"
        host = "*" if self.host is None else f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """How clients reach the daemon."""

    listen: tuple[Listen, ...] = (Listen(host="127.0.0.1", port=3141),)
    """Where to listen; sockets handed over by systemd win."""
    workers: int = 1
    """Processes on one port and one cache; 0 means one per core (`auto` in the file)."""
    public_url: str | None = None
    """What clients see this server as, for answers that need absolute links; ends in `/`."""
    trusted_proxies: tuple[Network, ...] = ()
    """Networks whose X-Forwarded-* headers are believed."""
    shutdown_timeout: float = 30.0
    """How long running responses may take to finish after SIGTERM."""
    keepalive_timeout: float = 75.0
    """How long an idle connection of a client is kept open."""
    max_connections: int = 10_000
    """How many client connections may be open at a time."""
    accel: Literal["nginx"] | None = None
    """The proxy in front that sends stored files itself (X-Accel-Redirect), if there is one."""
    accel_group: str | None = None
    """The group that may read stored files, for that proxy."""


def _default_cache_dir() -> Path:
    try:
        return Path(DEFAULT_CACHE_DIR).expanduser()
    except RuntimeError:
        # No home directory. Where that matters, `load` says so.
        return Path(DEFAULT_CACHE_DIR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cache:
    """Where bytes are kept, and how many."""

    dir: Path = field(default_factory=_default_cache_dir)
    """The directory of the cache; everything in it may be deleted while the daemon is down."""
    max_size: int = 50 << 30
    """How large the cache may grow; a file larger than this is streamed and never stored."""
    min_free: int = 1 << 30
    """How much room to leave on the file system."""
    max_age: float | None = None
    """Evict what nobody used for so long; None: only when room is needed."""
    scrub: float | None = 30 * 86400.0
    """Hash everything again once in this time; None: never."""
    pin: tuple[str, ...] = ()
    """Project patterns that eviction spares, normalised, with `*` for any text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """What is written down, and where."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe messages to log."""
    format: Literal["text", "json"] = "text"
    """Lines for people, or one JSON object a line."""
    access: bool = True
    """Whether each request gets a line."""
    file: Path | None = None
    """Where to log instead of standard error; reopened on SIGUSR1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """An account: exactly one of `password` and `password_hash` is set."""

    password: Secret | None = None
    """The password itself."""
    password_hash: Secret | None = None
    """A hash of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admin:
    """Who may change the configuration over HTTP."""

    users: Mapping[str, User] = field(default_factory=dict)
    """Accounts by name; without any, the configuration is read-only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Auth:
    """Who may read. Without users and tokens everyone may, and no 401 is ever sent."""

    users: Mapping[str, User] = field(default_factory=dict)
    """Accounts by name."""
    tokens: tuple[Secret, ...] = ()
    """Tokens that may read."""
    anonymous: Literal["read", "none"] = "read"
    """What a client without credentials may do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """An egress proxy."""

    url: str
    """Its address: http, https, socks5 or socks5h, without user and password."""
    username: str | None = None
    """The user to give it."""
    password: Secret | None = None
    """The password to give it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """One replica of an index."""

    name: str
    """What logs, metrics and status call it; unique within its index."""
    url: str
    """The root of its Simple API: http or https, ends in `/`, without user, password, query and fragment."""
    serves: Literal["both", "pages", "files"] = "both"
    """Whether it's trusted for facts (pages), for bytes (files), or for both."""
    username: str | None = None
    """The user for HTTP basic authentication."""
    password: Secret | None = None
    """The password for HTTP basic authentication."""
    token: Secret | None = None
    """A bearer token, instead of user and password."""
    ca_file: Path | None = None
    """A PEM file with the certificates that vouch for it, instead of the system's."""
    proxy: Proxy | None = None
    """The egress proxy to reach it through."""
    trust_env: bool = False
    """Whether the environment's proxy settings hold for it."""
    netrc: bool = False
    """Whether user and password may come from the netrc file."""
    allow_private: tuple[Network, ...] = ()
    """Private networks that its links may point at, beside its own host and port."""
    connections: int = 4
    """How many connections one file may be fetched over."""
    connect_timeout: float = 5.0
    """How long connecting may take; `timeout.connect` in the file."""
    read_timeout: float = 20.0
    """How long it may be silent between two reads; `timeout.read` in the file."""
    headers: Mapping[str, Secret] = field(default_factory=dict)
    """Extra request headers; their values may be credentials, so they are kept as such."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One of the indexes that a layered index is made of."""

    index: str
    """The name of that index."""
    owns: tuple[str, ...] = ()
    """Patterns of the projects that are asked for there and nowhere else; empty: asked first for all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """What clients are pointed at: either `mirrors` or `layers` is not empty."""

    name: str
    """One or two path segments."""
    mirrors: tuple[Mirror, ...] = ()
    """Replicas of one index, in order of preference."""
    layers: tuple[Layer, ...] = ()
    """Different indexes, in order of authority."""
    ttl: float = 600.0
    """How old a page may be and still be served without asking."""
    patience: float = 1.0
    """How long to wait for a mirror before an older page goes out while the refresh goes on."""
    stale_while_revalidate: float = 86400.0
    """How long after `ttl` a page may go out like that; later, the answer is waited for."""
    stale_if_error: float = 30 * 86400.0
    """How long after `ttl` a page is served when no mirror answers."""
    negative_ttl: float = 60.0
    """How long "no such project" is believed."""
    web_url: str | None = None
    """A link for people to a project, with `{name}` in it; None: no link."""
    quota: float | None = None
    """The share of `cache.max_size` this index may use, above 0 and at most 1; None: all of it."""
    offline: bool = False
    """Whether mirrors are never asked."""
    synthesize_metadata: bool = True
    """Whether sidecars are made for wheels whose mirror offers none."""
    prefetch_dependencies: bool = True
    """Whether the pages of what a wheel requires, and the metadata on them, are asked for when its metadata are served."""
    prefetch_wheels: bool = True
    """Whether a client that comes for a wheel has the others fetched whose metadata it was given."""
    auth: Literal["none"] | None = None
    """`none` opens this index to everyone, whatever `auth` says; None: as `auth` says."""

    @property
    def origin(self) -> Mirror | None:
        """The mirror that lock files name it by elsewhere: the public index if it has it, else its first; None with layers."""
        first = self.mirrors[0] if self.mirrors else None
        return next((mirror for mirror in self.mirrors if mirror.name == PYPI), first)


def _default_indexes() -> Mapping[str, Index]:
    pypi = Mirror(name=PYPI, url=address(PYPI))
    return {DEFAULT_INDEX: Index(name=DEFAULT_INDEX, mirrors=(pypi,))}


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole configuration; `Config()` is the shipped default."""

    server: Server = field(default_factory=Server)
    """How clients reach the daemon."""
    cache: Cache = field(default_factory=Cache)
    """Where bytes are kept, and how many."""
    log: Log = field(default_factory=Log)
    """What is written down, and where."""
    admin: Admin = field(default_factory=Admin)
    """Who may change the configuration over HTTP."""
    auth: Auth = field(default_factory=Auth)
    """Who may read."""
    default_index: str = DEFAULT_INDEX
    """The index that is also served at `/simple/`; always one of `indexes`."""
    indexes: Mapping[str, Index] = field(default_factory=_default_indexes)
    """Every index by its name, in the file's order."""
    path: Path | None = None
    """The file this came from; None: no file, the shipped defaults."""
    warnings: tuple[str, ...] = ()
    """What was accepted and deserves a look, one printable line each."""
