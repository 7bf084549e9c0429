"""devpi's HTTP API, as much as its client needs to look around and to change an index: `devpi_paths` has its places.

The links in its documents are paths, which the client joins to the address that it used; who is behind a proxy that serves this
below a path gets that path before them. The names of an index's projects aren't in them: a mirror has hundreds of
thousands, and they are at `simple/`. Changes are `devpi_changes`' business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from aiohttp import hdrs, web

from pypicache import __version__
from pypicache.errors import MethodNotAllowed, NotFound, PypicacheError, Unauthorized, one_line
from pypicache.web import devpi_paths as paths
from pypicache.web import places
from pypicache.web.address import Network, path_prefix
from pypicache.web.body import read_body
from pypicache.web.devpi_changes import READING, Changes
from pypicache.web.devpi_facts import HEADERS, IndexFacts, document, settings
from pypicache.web.errors import response_to
from pypicache.web.gate import Gate
from pypicache.web.session import CHALLENGE, Session

FEATURES = ("server-keyvalue-parsing",)
"""What the client may rely on: changes come as `key=value`, and are taken apart here."""


class Devpi:
    """Answers what devpi's client asks."""

    def __init__(
        self,
        *,
        indexes: Mapping[str, IndexFacts],
        changes: Changes,
        session: Session,
        gate: Gate,
        public_url: str | None,
        trusted: Sequence[Network] = (),
    ) -> None:
        self._indexes = indexes
        self._changes = changes
        self._session = session
        self._gate = gate
        self._public_url = public_url
        self._trusted = trusted

    async def respond(self, request: web.BaseRequest, where: places.Route) -> web.Response:
        """The answer to whatever is asked at that place; errors too come as the client expects them."""
        try:
            if request.method not in READING or isinstance(where, paths.Login):
                return await self._changes.respond(request, where)
            return await self._answered(request, where)
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001 - as at the edge: a bug is logged where it becomes a response
            return refusal(request, error)

    async def _answered(self, request: web.BaseRequest, where: places.Route) -> web.Response:
        if request.can_read_body:  # the client sends `{}` with some questions
            await read_body(request, most=64)
        await self._gate.admit(request, where)
        match where:
            case places.Root():
                names = sorted(paths.users(self._indexes))
                return document("list:userconfig", {name: self._user(name) for name in names})
            case paths.NewIndex(name):
                raise NotFound(f"there is no index {name}")
            case paths.Api(index):
                return document("apiconfig", self._api(request, index))
            case paths.Status():
                return document("status", {"role": "MASTER", "versioninfo": {"pypicache": __version__}})
            case paths.User(name):
                return document("userconfig", self._user(name))
            case paths.Settings(index):
                listed: dict[str, Any] = {} if "no_projects" in request.query else {"projects": []}
                return document("indexconfig", settings(self._indexes[index]) | listed)
        raise AssertionError(f"nobody answers {where}")

    def _user(self, name: str) -> dict[str, Any]:
        below = {index: paths.shown(index).partition("/") for index in self._indexes}
        indexes = {
            last: settings(self._indexes[index])
            for index, (owner, _, last) in sorted(below.items())
            if owner == name
        }
        return {"username": name, "indexes": indexes}

    def _api(self, request: web.BaseRequest, index: str | None) -> dict[str, Any]:
        root = path_prefix(
            request.headers, peer=request.remote, public_url=self._public_url, trusted=self._trusted
        )
        who = self._session.who(request)
        status = "ok" if who.user is not None else "expired" if who.expired else "noauth"
        said = {
            "login": f"{root}/+login",
            "authstatus": [status, who.user or "", []],
            "features": FEATURES,
        }
        if index is not None:
            at = f"{root}/{paths.shown(index)}"
            said |= {"index": at, "simpleindex": f"{at}/+simple/"}
        return said


def refusal(request: web.BaseRequest, error: Exception) -> web.Response:
    """The error, in devpi's envelope for who asks for JSON, as its client does: it shows the message.

    Where an account is due for reading, that client is told 403: at a 401 it gives up instead of having its user log in.
    At a 401 with a Location it forgets its token.
    """
    response = response_to(error)
    if "application/json" in request.headers.get(hdrs.ACCEPT, ""):
        message = one_line(str(error), 2000) if isinstance(error, PypicacheError) else "internal error"
        response.body = msgspec.json.encode({"message": message})
        response.content_type, response.charset = "application/json", None
        response.headers.update(HEADERS)
    if isinstance(error, Unauthorized) and error.challenge == CHALLENGE:
        response.headers[hdrs.LOCATION] = "/+login"
    elif isinstance(error, Unauthorized) and request.headers.get(hdrs.USER_AGENT, "").startswith(
        "devpi-client"
    ):
        response.set_status(403)
        del response.headers[hdrs.WWW_AUTHENTICATE]
    if request.can_read_body or isinstance(error, MethodNotAllowed):
        response.force_close()
    return response
