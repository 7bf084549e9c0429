"""The part of devpi's API that changes something: logging in, and what an index is made of.

The change itself, and everything that could be wrong with it, is the editor's; who may ask for one is the session's.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from aiohttp import hdrs, web

from pypicache.errors import BadRequest, Denied, MethodNotAllowed, one_line
from pypicache.rules.tokens import LIFETIME
from pypicache.web import devpi_paths as paths
from pypicache.web import places
from pypicache.web.address import Network
from pypicache.web.body import read_json
from pypicache.web.credentials import address_of
from pypicache.web.devpi_facts import IndexFacts, document, settings
from pypicache.web.devpi_keys import change_of
from pypicache.web.session import Session

log = logging.getLogger(__name__)

READING = (hdrs.METH_GET, hdrs.METH_HEAD)

_METHODS: Mapping[type[object], tuple[str, ...]] = {
    paths.Login: ("POST",),
    paths.Settings: (*READING, "PATCH", "PUT", "DELETE"),
    paths.NewIndex: (*READING, "PUT"),
    paths.User: (*READING, "PATCH", "PUT", "DELETE"),
}

_NO_ACCOUNTS = (
    "nothing can be changed here over HTTP, since the configuration has no account for it. To make one: "
    "`admin: {users: {root: {password: …}}}` in the configuration file, and a reload"
)


class Editor(Protocol):
    """Changes the configuration, and puts it in force."""

    async def set_index(
        self,
        name: str,
        *,
        create: bool,
        first_mirror: str | None,
        settings: Mapping[str, str | None],
    ) -> IndexFacts:
        """Change or make an index; what it is then. Raises BadRequest, CannotChange, ConfigError."""
        ...


class Changes:
    """Answers requests that change something."""

    def __init__(
        self,
        *,
        indexes: Mapping[str, IndexFacts],
        session: Session,
        editor: Editor,
        trusted: Sequence[Network] = (),
    ) -> None:
        self._indexes = indexes
        self._session = session
        self._editor = editor
        self._trusted = trusted

    async def respond(self, request: web.BaseRequest, where: places.Route) -> web.Response:
        """What comes of it. Raises what is wrong with it."""
        allowed = _METHODS.get(type(where), READING)
        if request.method not in allowed:
            raise MethodNotAllowed(request.method, allowed)
        if not self._session.possible:
            raise Denied(_NO_ACCOUNTS)
        if isinstance(where, paths.Login):
            return await self._log_in(request)
        user = self._session.may_change(request)
        match where, request.method:
            case paths.User(), _:
                raise Denied("accounts are set in the configuration file, in admin.users")
            case _, "DELETE":
                raise Denied("indexes are removed in the configuration file")
            case paths.Settings(index), "PUT":
                raise BadRequest(f"the index {index} is there already")
            case paths.Settings(index), _:
                return await self._set(request, user, index, settings(self._indexes[index]))
            case paths.NewIndex(name), _:
                return await self._set(request, user, name, {})
        raise AssertionError(f"nobody answers {where}")

    async def _log_in(self, request: web.BaseRequest) -> web.Response:
        body = await read_json(request)
        user, password = (body.get(key) if isinstance(body, dict) else None for key in ("user", "password"))
        if not isinstance(user, str) or not isinstance(password, str):
            raise BadRequest("user and password are due, as text")
        try:
            token = await self._session.log_in(request, user, password)
        except Exception as error:
            log.warning("no login for %s from %s: %s", one_line(user, 50), self._address(request), error)
            raise
        log.info("%s has logged in from %s", one_line(user, 50), self._address(request))
        return document("proxyauth", {"password": token, "expiration": LIFETIME})

    async def _set(
        self, request: web.BaseRequest, user: str, index: str, shown: Mapping[str, Any]
    ) -> web.Response:
        change = change_of(await read_json(request), shown)
        if not change:
            return document("indexconfig", settings(self._indexes[index]))
        facts = await self._editor.set_index(
            index, create=not shown, first_mirror=change.first_mirror, settings=change.settings
        )
        what = [*(["mirror_url"] if change.first_mirror else []), *change.settings]
        log.info(
            "%s changed %s of the index %s, from %s", user, ", ".join(what), index, self._address(request)
        )
        return document("indexconfig", settings(facts))

    def _address(self, request: web.BaseRequest) -> str:
        return one_line(address_of(request, self._trusted), 60)
