"""Who may read what. Without accounts and tokens in the configuration everyone may, and nobody is ever asked who they are.

An index is governed by its own name: whoever may read one that is made of others reads those through it. What
belongs to no index (the status page, its facts, metrics, the list of indexes) is for those who may read a
guarded index. Whether the process lives, and what is at no address, is for all.

::

    the index, or all of it           the request             its credentials    the answer
    open to all                       any                     not looked at      as ever
    guarded                           without, or malformed   -                  401
    guarded                           Basic, Bearer           right              as ever, and `private`
    guarded                           X-Devpi-Auth            right              as ever, and `private`
    guarded                           Basic, Bearer           wrong              401; after a few, 429
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from aiohttp import hdrs, web

from pypicache.errors import Unauthorized
from pypicache.web import places
from pypicache.web.accounts import Accounts
from pypicache.web.address import Network
from pypicache.web.credentials import Basic, Bearer, address_of, authorization
from pypicache.web.request import Request
from pypicache.web.session import Session


class Gate:
    """Lets requests pass, or raises. `guarded` are the indexes that need credentials; None: none, nothing does."""

    def __init__(
        self,
        *,
        guarded: Collection[str] | None,
        readers: Accounts,
        session: Session,
        trusted: Sequence[Network] = (),
    ) -> None:
        self._guarded = guarded
        self._readers = readers
        self._session = session
        self._trusted = trusted

    def open_to_all(self, index: str | None) -> bool:
        """Whether everyone may read the index; None: what belongs to no index."""
        return self._guarded is None or (index is not None and index not in self._guarded)

    def opens_all(self, index: str) -> bool:
        """Whether whoever may read that index may read every other one."""
        return self._guarded is None or index in self._guarded

    async def admit(self, request: web.BaseRequest, where: places.Route) -> None:
        """Return if the request may read what is at that place. Raises Unauthorized, TooManyAttempts."""
        index = places.index_of(where)
        if places.is_open(where) or self.open_to_all(index):
            return
        if isinstance(request, Request):
            request.guarded = True
        given = authorization(request.headers.get(hdrs.AUTHORIZATION))
        address = address_of(request, self._trusted)
        match given:
            case Bearer(token) if await self._readers.is_token(token, address):
                return
            case Basic(user, password) if await self._readers.verify(user, password, address):
                return
        if self._session.who(request).user is not None:  # who may change it may read it
            return
        what = "this" if index is None else index
        raise Unauthorized(
            f"{what} is for those who have an account or a token here"
            if given is None
            else f"these credentials don't open {what}"
        )
