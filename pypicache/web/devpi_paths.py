"""What devpi's clients and old lock files ask for, by its path: a part of `routes`. Pure.

devpi knows every index as USER/NAME. One of a single segment is `root/NAME` to its clients, and is served under that name too. ::

    /+api  /{user}/+api            Api: where things are, and who the client is
    /{index}/+api                  the same, and where the index is
    /+status                       Status
    /+login                        Login
    /{user}                        User: the indexes of that user
    /{index}                       Settings: what the index is; changed by PATCH and PUT
    /{index}/+f/{3}/{13}/{file}    OldLink

A slash at the end changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

OWNER = "root"
"""The user whose the indexes of one segment are."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
_DIGITS = (re.compile(r"[0-9a-f]{3}"), re.compile(r"[0-9a-f]{13}"))


@dataclass(frozen=True, slots=True)
class Api:
    """Where things are; `of` is the index that was asked about, if it was one."""

    of: str | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """What this server is."""


@dataclass(frozen=True, slots=True)
class Login:
    """Where a name and a password become a token."""


@dataclass(frozen=True, slots=True)
class User:
    """The indexes of a user: those whose name begins so."""

    name: str


@dataclass(frozen=True, slots=True)
class Settings:
    """What an index is made of."""

    index: str


@dataclass(frozen=True, slots=True)
class NewIndex:
    """Where an index could be, and none is."""

    name: str


@dataclass(frozen=True, slots=True)
class OldLink:
    """devpi's link to a file: the first 16 digits of its digest, and its name."""

    index: str
    digits: str
    filename: str


Place = Api | Status | Login | User | Settings | NewIndex | OldLink

SPOKEN = (Api, Status, Login, User, Settings, NewIndex)
"""Places that are devpi's API: what is answered there is for its client."""

OPEN = (Api, Login, NewIndex)
"""Places that say nothing of what is here, and that one needs to log in."""


def shown(index: str) -> str:
    """What devpi's clients call the index."""
    return index if "/" in index else f"{OWNER}/{index}"


def meant(name: str, indexes: Collection[str]) -> str | None:
    """The index of that name, which may be the one that devpi's clients use; None when there is none."""
    if name in indexes:
        return name
    owner, _, rest = name.partition("/")
    return rest if owner == OWNER and owner not in indexes and rest in indexes else None


def below_index(index: str, texts: Sequence[str | None]) -> Place | None:
    """What stands below the index's name, decoded; None when it isn't devpi's."""
    match texts:
        case [] | [""]:
            return Settings(index)
        case ["+api"] | ["+api", ""]:
            return Api(index)
        case ["+f", str(three), str(thirteen), str(filename)] if filename not in {"", ".", ".."}:
            if _DIGITS[0].fullmatch(three) and _DIGITS[1].fullmatch(thirteen):
                return OldLink(index, three + thirteen, filename)
    return None


def elsewhere(texts: Sequence[str | None], indexes: Collection[str]) -> Place | None:
    """What stands at a path, decoded, that names no index; None when it isn't devpi's."""
    match [*texts[:-1]] if texts[-1:] == [""] else texts:
        case ["+api"]:
            return Api()
        case ["+status"]:
            return Status()
        case ["+login"]:
            return Login()
        case [str(user)] if user in users(indexes):
            return User(user)
        case [str(user), "+api"] if user in users(indexes):
            return Api()
        case [str(user), str(name)] if user != "pypi" and _NAME.fullmatch(user) and _NAME.fullmatch(name):
            return NewIndex(f"{user}/{name}")
    return None


def users(indexes: Collection[str]) -> set[str]:
    """What devpi would call users: how the indexes' names begin, and root, who is always there."""
    return {OWNER, *(shown(index).partition("/")[0] for index in indexes)}
