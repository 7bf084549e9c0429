"""The mirrors of an index: well-known names, addresses, and mappings with credentials and timeouts.

It reads the CA and secret files that a mirror names, and connects to nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from pypicache.config.expand import expand, note_inline, readable_file, take_secret
from pypicache.config.expand import secret as secret_text
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
from pypicache.config.schema import Mirror, Proxy
from pypicache.config.secret import Secret
from pypicache.config.values import (
    Bad,
    header_name,
    mirror_name,
    nearest,
    network,
    positive_duration,
    user_name,
    userinfo,
    web_address,
    without_userinfo,
)
from pypicache.config.wellknown import NAMES, address

_WORD = re.compile(r"[A-Za-z0-9_-]{1,40}", re.ASCII)
_MAX_CONNECTIONS: Final = 64


def mirrors(value: Value) -> tuple[Mirror, ...]:
    """The mirrors of one index, in order of preference. Raises Bad for an empty list."""
    found: list[Mirror] = []
    complete = True
    for item in value.items():
        mirror = item.attempt(_mirror, None)
        complete = complete and mirror is not None
        if mirror is not None and mirror.name and any(mirror.name == other.name for other in found):
            item.problem(f'the name "{mirror.name}" is taken by another mirror of this index')
        elif mirror is not None:
            found.append(mirror)
    if complete and not found:
        raise Bad("at least one mirror is due")
    for kind in ("pages", "files"):
        if complete and all(mirror.serves not in {"both", kind} for mirror in found):
            value.problem(f"no mirror here serves {kind}")
    return _named(found)


def _named(found: Sequence[Mirror]) -> tuple[Mirror, ...]:
    """The same, with a name made from the host for each that was given none."""
    taken = {mirror.name for mirror in found}
    named = []
    for mirror in found:
        name = host = mirror.name or (web_address(mirror.url).hostname or "")
        number = 2
        while not mirror.name and name in taken:
            name, number = f"{host}-{number}", number + 1
        taken.add(name)
        named.append(replace(mirror, name=name))
    return tuple(named)


def _mirror(value: Value) -> Mirror | None:
    """One mirror, None when it has no address; its name is empty where the file gives none and it isn't well known."""
    if value.kind != "map":
        return _located(value)
    section = Section(value)
    url = section.get("url")
    if url is None or url.is_null:
        value.problem("a mirror needs a url")
    located = None if url is None or url.is_null else url.attempt(_located, None)
    given = Mirror(name="", url="") if located is None else located
    timeout = section.take("timeout", _timeouts, (given.connect_timeout, given.read_timeout))
    mirror = replace(
        given,
        name=section.take("name", optional(worded(mirror_name)), None) or given.name,
        serves=section.take("serves", one_of("both", "pages", "files"), given.serves),
        ca_file=section.take("ca_file", optional(readable_file), None),
        proxy=section.take("proxy", optional(_proxy), None),
        trust_env=section.take("trust_env", flag, given.trust_env),
        netrc=section.take("netrc", flag, given.netrc),
        allow_private=section.take("allow_private", listed(worded(network)), ()),
        connections=section.take("connections", whole(1, _MAX_CONNECTIONS), given.connections),
        connect_timeout=timeout[0],
        read_timeout=timeout[1],
        headers=section.take("headers", _headers, {}),
    )
    mirror = _with_credentials(section, mirror)
    section.finish()
    return None if located is None else mirror


def _with_credentials(section: Section, mirror: Mirror) -> Mirror:
    """The mirror with its user and password, or its token; one kind, from one place."""
    username = section.take("username", optional(worded(user_name)), None)
    password = take_secret(section, "password")
    token = take_secret(section, "token")
    if mirror.username is not None and (username or password or token):
        section.value.problem("credentials stand both in the url and beside it")
    elif token is not None and (username or password):
        section.value.problem("either a token or username and password, not both")
    elif password is not None and username is None:
        section.value.problem("a password needs a username")
    if (mirror.username or username or token) and any(
        key.lower() == "authorization" for key in mirror.headers
    ):
        section.value.problem("credentials stand both in headers and beside it")
    if mirror.username is not None:
        return mirror
    if username is not None and password is None:
        password = Secret("")
    return replace(mirror, username=username, password=password, token=token)


def _located(value: Value) -> Mirror:
    """A mirror from its well-known name or its address."""
    raw = text(value)
    if raw in NAMES:
        return Mirror(name=raw, url=address(raw))
    if "://" not in raw:
        if _WORD.fullmatch(raw):
            hint = nearest(raw, NAMES) or f": there are {', '.join(NAMES)}"
            raise Bad(f'no well-known mirror is called "{raw}"{hint}')
        raise Bad(f"a mirror is an absolute URL (https://…/simple/) or one of {', '.join(NAMES)}")
    url, username, password = _split(value, ("http", "https"))
    return Mirror(name="", url=url if url.endswith("/") else f"{url}/", username=username, password=password)


def _proxy(value: Value) -> Proxy:
    url, username, password = _split(value, ("http", "https", "socks5", "socks5h"))
    return Proxy(url=url, username=username, password=password)


def _split(value: Value, schemes: tuple[str, ...]) -> tuple[str, str | None, Secret | None]:
    """An address, and the user and password that stood in it, percent-decoded and with variables expanded."""
    url = web_address(text(value), schemes)
    plain = without_userinfo(url)
    if "${" in plain:
        raise Bad("variables stand for paths and secrets, not for parts of an address")
    given = userinfo(url)
    if given[0] is None:
        return plain, None, None
    username, password = (expand(part or "", value.doc.env) for part in given)
    user_name(username)
    if any(not c.isprintable() for c in password):
        raise Bad("a password can't hold control characters")
    if password and password == given[1]:
        note_inline(value)
    return plain, username, Secret(password)


def _timeouts(value: Value) -> tuple[float, float]:
    section = Section(value)
    defaults = Mirror(name="", url="")
    connect = section.take("connect", scalar(positive_duration), defaults.connect_timeout)
    read = section.take("read", scalar(positive_duration), defaults.read_timeout)
    section.finish()
    return connect, read


def _headers(value: Value) -> Mapping[str, Secret]:
    found: dict[str, Secret] = {}
    if value.is_null:
        return found
    for key, entry in value.entries(named=True):
        name = key.attempt(lambda k: header_name(k.raw), "")
        if any(name.lower() == other.lower() for other in found):
            key.problem("given twice: the case of a header's name doesn't matter")
        content = entry.attempt(secret_text, None)
        if name and content is not None:
            found[name] = content
    return found
