"""The sections that belong to the daemon as a whole: server, cache, log, admin and auth.

Each function takes the section's value, notes what can't be, and gives what the schema calls it. It reads the
secret files that are named, and knows nothing of indexes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from pypicache.config.expand import file_path, secret, secret_file, secret_or_empty
from pypicache.config.reader import (
    Section,
    Value,
    flag,
    listed,
    one_of,
    optional,
    scalar,
    text,
    whole,
    worded,
)
from pypicache.config.schema import DEFAULT_CACHE_DIR, Admin, Auth, Cache, Listen, Log, Server, User
from pypicache.config.secret import Secret
from pypicache.config.values import (
    Bad,
    duration,
    host_and_port,
    network,
    positive_duration,
    positive_size,
    project_pattern,
    size,
    slashed_address,
    user_name,
)
from pypicache.rules import passwords

_MAX_SOCKET_PATH: Final = 107
"""Bytes that sockaddr_un has for a path on Linux, without the final NUL."""

_MAX_WORKERS: Final = 1024
_MAX_CONNECTIONS: Final = 1_000_000


def server(value: Value) -> Server:
    """How clients reach the daemon."""
    section, default = Section(value), Server()
    result = Server(
        listen=section.take("listen", _listens, default.listen),
        workers=section.take("workers", _workers, default.workers),
        public_url=section.take("public_url", optional(worded(slashed_address)), None),
        trusted_proxies=section.take("trusted_proxies", listed(worded(network)), ()),
        shutdown_timeout=section.take("shutdown_timeout", scalar(duration), default.shutdown_timeout),
        keepalive_timeout=section.take("keepalive_timeout", scalar(_keepalive), default.keepalive_timeout),
        max_connections=section.take("max_connections", whole(1, _MAX_CONNECTIONS), default.max_connections),
        accel=section.take("accel", optional(one_of("nginx")), None),
        accel_group=section.take("accel_group", optional(text), None),
    )
    accel, group = section.get("accel"), section.get("accel_group")
    if accel is not None and result.accel and not result.accel_group:
        accel.warn("without accel_group, nginx can read stored files only if it runs as this user")
    if group is not None and result.accel_group and not result.accel:
        group.warn("has no effect without accel: nginx")
    section.finish()
    return result


def _keepalive(text: str) -> float:
    """A duration in which a client can say what it wants."""
    seconds = duration(text)
    if seconds < 1:
        raise Bad("at least a second is due, since a request's head gets no longer")
    return seconds


def _workers(value: Value) -> int:
    if value.kind == "str" and value.raw == "auto":
        return 0
    try:
        return whole(1, _MAX_WORKERS)(value)
    except Bad as bad:
        raise Bad(f"{bad}, or auto") from None


def _listens(value: Value) -> tuple[Listen, ...]:
    """One address or a list of them."""
    if value.kind != "seq":
        return (_listen(value),)
    found = listed(_listen)(value)
    if not value.node.value:
        raise Bad("at least one address is due")
    return found


def _listen(value: Value) -> Listen:
    # A port alone is a number to YAML: what is missing is an address, not quotes.
    raw = value.raw if value.kind in {"int", "float"} else text(value)
    if not raw.startswith("unix:"):
        host, port = host_and_port(raw)
        return Listen(host=host, port=port)
    path = file_path(value, raw.removeprefix("unix:").removeprefix("//"))
    if len(os.fsencode(path)) > _MAX_SOCKET_PATH:
        raise Bad(f"the path of a socket has at most {_MAX_SOCKET_PATH} bytes")
    return Listen(unix=path)


def cache(value: Value) -> Cache:
    """Where bytes are kept. An unset `dir`, or one left as shipped, follows `$CACHE_DIRECTORY` (systemd.exec)."""
    section, default = Section(value), Cache()
    # systemd separates several directories with colons; the first is the cache.
    given = value.doc.env.get("CACHE_DIRECTORY", "").partition(":")[0]

    def directory(place: Value) -> Path:
        shipped = text(place) == DEFAULT_CACHE_DIR
        return file_path(place, given.replace("${", "$${")) if shipped and given else file_path(place)

    at = section.get("dir") or value.stand_in("dir", DEFAULT_CACHE_DIR)
    result = Cache(
        dir=at.attempt(directory, default.dir),
        max_size=section.take("max_size", scalar(positive_size), default.max_size),
        min_free=section.take("min_free", scalar(size), default.min_free),
        max_age=section.take("max_age", optional(scalar(positive_duration)), default.max_age),
        scrub=section.take("scrub", optional(scalar(positive_duration)), default.scrub),
        pin=section.take("pin", listed(worded(project_pattern)), ()),
    )
    section.finish()
    return result


def log(value: Value) -> Log:
    """What is written down, and where."""
    section, default = Section(value), Log()
    result = Log(
        level=section.take("level", one_of("debug", "info", "warning", "error"), default.level),
        format=section.take("format", one_of("text", "json"), default.format),
        access=section.take("access", flag, default.access),
        file=section.take("file", optional(file_path), None),
    )
    section.finish()
    return result


def admin(value: Value) -> Admin:
    """Who may change the configuration over HTTP. A password may be empty: it then counts on this machine only."""
    section = Section(value)
    result = Admin(users=section.take("users", lambda users: _users(users, secret_or_empty), {}))
    section.finish()
    return result


def auth(value: Value) -> Auth:
    """Who may read."""
    section, default = Section(value), Auth()
    tokens = section.take("tokens", listed(secret), default.tokens)
    filed = section.take("token_files", listed(secret_file), default.tokens)
    users = section.take("users", _users, default.users)
    anonymous = section.take("anonymous", one_of("read", "none"), default.anonymous)
    section.finish()
    if anonymous == "none" and not (users or tokens or filed):
        value.problem("nobody could read: anonymous is none, and there are no users and no tokens")
    elif anonymous == "read" and (users or tokens or filed):
        value.warn(
            "everyone may read, with or without an account: anonymous: none is what closes the indexes"
        )
    return Auth(users=users, tokens=(*tokens, *filed), anonymous=anonymous)


def _users(value: Value, password: Callable[[Value], Secret] = secret) -> Mapping[str, User]:
    found: dict[str, User] = {}
    if value.is_null:
        return found
    for key, entry in value.entries(named=True):
        name = key.attempt(lambda k: user_name(k.raw), "")
        user = entry.attempt(lambda given: _user(given, password), None)
        if name and user is not None:
            found[name] = user
    return found


def _password_hash(value: Value) -> Secret:
    """A hash that passwords can be checked against."""
    hashed = secret(value)
    try:
        passwords.parse(hashed.reveal())
    except ValueError as error:
        raise Bad(str(error)) from None
    return hashed


def _user(value: Value, parse: Callable[[Value], Secret]) -> User | None:
    section = Section(value)
    password = section.take("password", optional(parse), None)
    filed = section.take("password_file", optional(secret_file), None)
    hashed = section.take("password_hash", optional(_password_hash), None)
    given = [section.get(key) for key in ("password", "password_file", "password_hash")]
    section.finish()
    if len([place for place in given if place is not None and not place.is_null]) != 1:
        value.problem("exactly one of password, password_hash and password_file is due")
    return User(password=filed if password is None else password, password_hash=hashed)
