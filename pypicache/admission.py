"""Who may read, made of a configuration: the part of the composition root that hands accounts to the edge.

It opens nothing. What has to outlive a reload (how often somebody guessed) is in `Lasting`, made once for a process.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

from pypicache.config import schema
from pypicache.rules.attempts import Attempts
from pypicache.web.accounts import Account, Accounts, account
from pypicache.web.devpi import Devpi, IndexFacts
from pypicache.web.gate import Gate

CHECKERS = 2
"""Threads that check passwords: guesses may have these and no more."""


class Lasting:
    """What every configuration of a process shares. Use as a context manager."""

    def __init__(self) -> None:
        self.attempts = Attempts()
        self.threads = ThreadPoolExecutor(CHECKERS, thread_name_prefix="password")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.threads.shutdown(wait=True, cancel_futures=True)


def gate(config: schema.Config, lasting: Lasting) -> Gate:
    """Who may read what."""
    closed = config.auth.anonymous == "none"
    guarded = [name for name, index in config.indexes.items() if index.auth != "none"]
    return Gate(
        guarded=guarded if closed else None,
        readers=Accounts(
            accounts=_accounts(config.auth.users),
            tokens=tuple(token.reveal() for token in config.auth.tokens),
            attempts=lasting.attempts,
            threads=lasting.threads,
            monotonic=time.monotonic,
        ),
        trusted=config.server.trusted_proxies,
    )


def devpi(config: schema.Config, who: Gate) -> Devpi:
    """What devpi's client is told of the indexes."""
    return Devpi(
        indexes={name: _facts(index) for name, index in config.indexes.items()},
        gate=who,
        public_url=config.server.public_url,
        trusted=config.server.trusted_proxies,
    )


def _facts(index: schema.Index) -> IndexFacts:
    return IndexFacts(
        mirrors=tuple(mirror.url for mirror in index.mirrors),
        layers=tuple(layer.index for layer in index.layers),
        ttl=index.ttl,
        web_url=index.web_url,
    )


def _accounts(users: Mapping[str, schema.User]) -> Mapping[str, Account]:
    return {
        name: account(
            password=user.password.reveal() if user.password is not None else None,
            password_hash=user.password_hash.reveal() if user.password_hash is not None else None,
        )
        for name, user in users.items()
    }
