"""What services and proxies must know of this installation: plain facts, and where they come from.

`here` looks at the configuration, at how the program was called and at whose home that is; the rest is made of values. It
decides which of two forms a systemd service takes: the machine's own (a user of its own, no sight of homes), or, where the
program or the configuration lies under somebody's home, that person's.
"""

from __future__ import annotations

import grp
import os
import pwd
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from pypicache.config.load import load
from pypicache.config.schema import Config, Listen
from pypicache.errors import PypicacheError

SYSTEM_USER: Final = "pypicache"
"""The user of the machine's own service, made by the sysusers.d file."""

SYSTEM_CACHE: Final = Path("/var/cache/pypicache")
"""What systemd's CacheDirectory= and the other services give as $CACHE_DIRECTORY."""

CONTAINER_OWNER: Final = (10001, 10001)
"""Nobody in particular: whom a container runs as when root wrote its files."""

EXAMPLE_HOST: Final = "pypi.example.com"
"""Stands where the name is that clients use, until server.public_url gives it."""

_THREADS: Final = 256
"""Threads of one worker, at most."""

_MANY_CORES: Final = 64
"""What a machine is taken to have, where it isn't known how many."""

_PREFIX: Final = re.compile(r"(/[A-Za-z0-9._~+-]{1,100}){0,10}/?", re.ASCII)
"""What X-Forwarded-Prefix may be (`web.address`)."""

_ANY: Final = {None: "127.0.0.1", "0.0.0.0": "127.0.0.1", "localhost": "127.0.0.1", "::": "::1"}  # noqa: S104 - names what others listen on
"""Where to reach a server on this machine that listens on all of its addresses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """The facts. Paths are absolute."""

    command: tuple[str, ...]
    """The program, and what comes before `serve`."""
    configuration: Path | None
    """The configuration file; None for the shipped defaults."""
    text: str = ""
    """What is in it."""
    listen: tuple[Listen, ...]
    """Where the daemon listens; no port is 0."""
    cache: Path
    """Where the cache is when no service says otherwise."""
    movable: bool
    """Whether the service has it in SYSTEM_CACHE instead, by $CACHE_DIRECTORY: not where it runs as a person, who would look
    for it in their home."""
    home_of: str | None = None
    """Who owns the home that the program or the configuration is under; None: neither is under one."""
    group: str = SYSTEM_USER
    """The group of whom it runs as."""
    home: Path | None = None
    """That home."""
    container_owner: tuple[int, int] = CONTAINER_OWNER
    """User and group that a container runs as: whoever asks, so that they own its configuration, unless that is root."""
    caller_home: Path = Path("/root")
    """The home directory of whoever asks."""
    accounts: bool = False
    """Whether the daemon may change its configuration file."""
    accel_group: str | None = None
    """With server.accel: the group that may read stored files, `www-data` unless configured."""
    log_file: Path | None = None
    """Where it logs, instead of standard error."""
    public_url: str | None = None
    """What clients call it; ends in `/`."""
    trusts_loopback: bool = False
    """Whether X-Forwarded-* of a proxy on this machine is believed."""
    shutdown_timeout: float = 30.0
    """Seconds in which running responses may finish."""
    workers: int = 1
    """Processes that serve; 0: one per core of wherever it runs."""

    @property
    def arguments(self) -> tuple[str, ...]:
        """The whole command line."""
        chosen = () if self.configuration is None else ("-c", str(self.configuration))
        return (*self.command, "serve", *chosen)

    @property
    def user(self) -> str:
        """Whom it runs as."""
        return self.home_of or SYSTEM_USER

    @property
    def system_cache(self) -> Path:
        """Where the cache is when systemd, or a service of the machine's own, runs it."""
        return SYSTEM_CACHE if self.movable else self.cache

    @property
    def stop_after(self) -> int:
        """Seconds until a stop is forced: both phases of a shutdown may take shutdown_timeout, and closing a moment."""
        return ceil(2 * self.shutdown_timeout) + 15

    @property
    def tasks(self) -> int:
        """How many threads there may be in all: a worker has a dozen or two, and a few for each mirror."""
        return _THREADS * (self.workers or _MANY_CORES)

    @property
    def scheme(self) -> str:
        """How clients reach the proxy in front: http or https."""
        return urlsplit(self.public_url).scheme if self.public_url else "http"

    @property
    def host(self) -> str:
        """The name that clients use, without a port."""
        return (urlsplit(self.public_url).hostname if self.public_url else None) or EXAMPLE_HOST

    @property
    def port(self) -> int:
        """The port that clients use."""
        given = urlsplit(self.public_url).port if self.public_url else None
        return given or (443 if self.scheme == "https" else 80)

    @property
    def prefix(self) -> str:
        """The path under which clients find it, such as `/pypi`; empty where it has the whole name to itself."""
        return urlsplit(self.public_url).path.rstrip("/") if self.public_url else ""

    @property
    def nearest(self) -> Listen:
        """Where a proxy on this machine reaches it: a Unix socket if there is one, else the first address."""
        sockets = [each for each in self.listen if each.unix is not None]
        first = (sockets or list(self.listen))[0]
        return first if first.unix else Listen(host=_ANY.get(first.host, first.host), port=first.port)


def here(config: Config, env: Mapping[str, str]) -> Deployment:
    """The facts of this installation, called as it was called. Raises PypicacheError where no file could be right."""
    path = None if config.path is None else Path(os.path.abspath(config.path))  # noqa: PTH100 - as below
    for address in config.server.listen:
        if address.port == 0:
            raise PypicacheError(
                f"server.listen: {address} has another port at each start: nothing can be pointed at it"
            )
    command = program(sys.argv[0])
    movable = _is_movable(config, env)
    places = [Path(command[0]), Path(command[0]).resolve(), Path(sys.prefix), Path(sys.base_prefix)]
    # `~` in these means another place for another user.
    places += [place for place in (path, None if movable else config.cache.dir, config.log.file) if place]
    home = home_above(places, env)
    server = config.server
    if server.public_url and not _PREFIX.fullmatch(urlsplit(server.public_url).path):
        raise PypicacheError(
            "server.public_url: its path is more than a proxy passes on: letters, digits and . _ ~ + -"
        )
    person = {} if home is None else _person(home)
    return Deployment(
        **person,
        command=command,
        configuration=path,
        text=path.read_text(encoding="utf-8-sig") if path else "",
        listen=server.listen,
        cache=_cache(config, env, home),
        movable=movable and home is None,
        container_owner=(os.geteuid(), os.getegid()) if os.geteuid() else CONTAINER_OWNER,
        caller_home=Path(env.get("HOME") or "/root"),
        accounts=bool(config.admin.users) and path is not None,
        accel_group=(server.accel_group or "www-data") if server.accel else None,
        log_file=config.log.file,
        public_url=server.public_url,
        trusts_loopback=any(network.is_loopback for network in server.trusted_proxies),
        shutdown_timeout=server.shutdown_timeout,
        workers=server.workers,
    )


def make_cache(deployment: Deployment) -> None:
    """Make the directory of a cache in a home, as its owner: systemd gives a service only what is there. Raises OSError."""
    home = deployment.home
    if home and deployment.cache.is_relative_to(home) and home.stat().st_uid == os.geteuid():
        deployment.cache.mkdir(mode=0o700, parents=True, exist_ok=True)


def program(argv0: str) -> tuple[str, ...]:
    """How to call this program from anywhere: the console script that was called, or Python with the module.

    A link to the script stays a link, so that an upgrade behind it needs no new files.
    """
    called = Path(os.path.abspath(argv0))  # noqa: PTH100 - systemd takes no `..`
    if called.name == "__main__.py" or not os.access(called, os.X_OK) or not called.is_file():
        return (sys.executable, "-m", "pypicache")
    return (str(called),)


def home_above(places: Sequence[Path], env: Mapping[str, str]) -> Path | None:
    """The home directory that the first such place is under, or None."""
    own = {Path(env["HOME"])} if env.get("HOME", "").startswith("/") else set()
    for place in places:
        for above in _homes(place, own):
            # Somebody may have said that their home is elsewhere; their commands look there.
            return next((home for home in own if _same_owner(home, above)), above)
    return None


def _same_owner(one: Path, other: Path) -> bool:
    try:
        return one.stat().st_uid == other.stat().st_uid
    except OSError:
        return False


def _homes(place: Path, own: Iterable[Path]) -> Iterable[Path]:
    for above in place.parents:
        named = above == Path("/root") or above.parent in {Path("/home"), Path("/Users")}
        if above != Path("/") and (named or above in own):
            yield above


def _person(home: Path) -> dict[str, Any]:
    """The home, the user whose it is, and their group. Raises PypicacheError when it's nobody's."""
    try:
        user = pwd.getpwuid(home.stat().st_uid)
        return {"home": home, "home_of": user.pw_name, "group": grp.getgrgid(user.pw_gid).gr_name}
    except (OSError, KeyError) as error:
        raise PypicacheError(
            f"{home} belongs to no user of this machine: whose is it to run the service?"
        ) from error


def _cache(config: Config, env: Mapping[str, str], home: Path | None) -> Path:
    """Where the cache is for whom the service runs as, who need not be whoever asks."""
    others = {name: value for name, value in env.items() if name != "CACHE_DIRECTORY"}
    return load(config.path, others | ({"HOME": str(home)} if home else {})).cache.dir


def _is_movable(config: Config, env: Mapping[str, str]) -> bool:
    """Whether the cache follows $CACHE_DIRECTORY: asked of the configuration itself."""
    elsewhere = "/nowhere/else"
    return load(config.path, {**env, "CACHE_DIRECTORY": elsewhere}).cache.dir == Path(elsewhere)
