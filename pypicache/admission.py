"""Who may read and who may change, made of a configuration: the part of the composition root that hands accounts to the edge.

It opens nothing. What has to outlive a reload (how often somebody guessed, the key of tokens) is in `Lasting`, made
once for a process.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from pypicache.config import schema
from pypicache.editing import Editor, facts
from pypicache.rules.attempts import Attempts
from pypicache.web.accounts import Account, Accounts, account
from pypicache.web.devpi import Devpi
from pypicache.web.devpi_changes import Changes
from pypicache.web.gate import Gate
from pypicache.web.reload import Reload
from pypicache.web.session import Session

CHECKERS = 2
"""Threads that check passwords: guesses may have these and no more."""


class Lasting:
    """What every configuration of a process shares. `key` signs tokens. Use as a context manager."""

    def __init__(self, *, key: bytes) -> None:
        self.key = key
        self.attempts = Attempts()
        self.threads = ThreadPoolExecutor(CHECKERS, thread_name_prefix="password")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.threads.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True, slots=True)
class Admission:
    """What the edge asks."""

    gate: Gate
    devpi: Devpi
    reload: Reload


def admission(config: schema.Config, lasting: Lasting, editor: Editor) -> Admission:
    """Who may do what, by this configuration; what may be changed is the editor's."""
    trusted = config.server.trusted_proxies
    session = Session(
        accounts=_accounts(config.admin.users, (), lasting),
        secrets={name: _secret(user) for name, user in config.admin.users.items()},
        key=lasting.key,
        clock=time.time,
        trusted=trusted,
    )
    closed = config.auth.anonymous == "none"
    guarded = [name for name, index in config.indexes.items() if index.auth != "none"]
    gate = Gate(
        guarded=guarded if closed else None,
        readers=_accounts(config.auth.users, tuple(token.reveal() for token in config.auth.tokens), lasting),
        session=session,
        trusted=trusted,
    )
    indexes = {name: facts(index) for name, index in config.indexes.items()}
    devpi = Devpi(
        indexes=indexes,
        changes=Changes(indexes=indexes, session=session, editor=editor, trusted=trusted),
        session=session,
        gate=gate,
        public_url=config.server.public_url,
        trusted=trusted,
    )
    return Admission(gate=gate, devpi=devpi, reload=Reload(session=session, editor=editor))


def _accounts(users: Mapping[str, schema.User], tokens: tuple[str, ...], lasting: Lasting) -> Accounts:
    return Accounts(
        accounts={name: _account(user) for name, user in users.items()},
        tokens=tokens,
        attempts=lasting.attempts,
        threads=lasting.threads,
        monotonic=time.monotonic,
    )


def _account(user: schema.User) -> Account:
    return account(
        password=user.password.reveal() if user.password is not None else None,
        password_hash=user.password_hash.reveal() if user.password_hash is not None else None,
    )


def _secret(user: schema.User) -> str:
    """What a user's tokens die with."""
    given = user.password if user.password_hash is None else user.password_hash
    return given.reveal() if given is not None else ""
