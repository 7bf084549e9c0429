"""devpi's HTTP API, as much as its client needs to look around: documents of `result` and `type`.

What is said of an index is what devpi says of a mirror (or, of one with layers, of a stage): its first mirror's address, never
with credentials, `mirror_cache_expiry` for `ttl`, `mirror_web_url_fmt` for `web_url`, and beyond that `mirrors`, all
of them. The names of its projects aren't in it: a mirror has hundreds of thousands, and they are at `simple/`.

The links in it are paths, which the client joins to the address that it used. Who is behind a proxy that serves this below
a path gets that path before them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import hdrs, web

from pypicache import __version__
from pypicache.errors import MethodNotAllowed, NotFound, PypicacheError, Unauthorized, one_line
from pypicache.web import devpi_paths as paths
from pypicache.web import places
from pypicache.web.address import Network, path_prefix
from pypicache.web.body import read_body
from pypicache.web.errors import UNKEPT, response_to
from pypicache.web.gate import Gate

HEADERS = {**UNKEPT, "X-DEVPI-API-VERSION": "2", "Vary": "Accept, X-Devpi-Auth"}
"""Of every answer; the client of another version of the API stops there."""

FEATURES = ("server-keyvalue-parsing",)
"""What the client may rely on: changes come as `key=value`, and are taken apart here."""


_READING = (hdrs.METH_GET, hdrs.METH_HEAD)


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexFacts:
    """What is told of an index."""

    mirrors: tuple[str, ...] = ()
    """The addresses of its mirrors, without credentials."""
    layers: tuple[str, ...] = ()
    """Or the names of the indexes that it is made of."""
    ttl: float = 0.0
    web_url: str | None = None


class Devpi:
    """Answers questions about indexes."""

    def __init__(
        self,
        *,
        indexes: Mapping[str, IndexFacts],
        gate: Gate,
        public_url: str | None,
        trusted: Sequence[Network] = (),
    ) -> None:
        self._indexes = indexes
        self._gate = gate
        self._public_url = public_url
        self._trusted = trusted

    async def respond(self, request: web.BaseRequest, where: places.Route) -> web.Response:
        """The answer to whatever is asked at that place; errors too come as the client expects them."""
        try:
            return await self._answered(request, where)
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001 - as at the edge: a bug is logged where it becomes a response
            return refusal(request, error)

    async def _answered(self, request: web.BaseRequest, where: places.Route) -> web.Response:
        if request.method not in _READING:
            raise MethodNotAllowed(request.method, _READING)
        await _discard(request)
        await self._gate.admit(request, where)
        return self._answer(request, where)

    def _answer(self, request: web.BaseRequest, where: places.Route) -> web.Response:
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
                return document("indexconfig", self.settings(index) | listed)
        raise AssertionError(f"nobody answers {where}")

    def settings(self, index: str) -> dict[str, Any]:
        """What the index is, in devpi's words."""
        facts = self._indexes[index]
        if facts.layers:
            bases = [paths.shown(layer) for layer in facts.layers]
            return {"type": "stage", "bases": bases, "volatile": False, "acl_upload": []}
        said: dict[str, Any] = {
            "type": "mirror",
            "volatile": False,
            "mirror_url": facts.mirrors[0],
            "mirror_cache_expiry": int(facts.ttl),
        }
        if facts.web_url is not None:
            said["mirror_web_url_fmt"] = facts.web_url
        if len(facts.mirrors) > 1:
            said["mirrors"] = facts.mirrors
        return said

    def _user(self, name: str) -> dict[str, Any]:
        below = {index: paths.shown(index).partition("/") for index in self._indexes}
        indexes = {
            last: self.settings(index) for index, (owner, _, last) in sorted(below.items()) if owner == name
        }
        return {"username": name, "indexes": indexes}

    def _api(self, request: web.BaseRequest, index: str | None) -> dict[str, Any]:
        root = path_prefix(
            request.headers, peer=request.remote, public_url=self._public_url, trusted=self._trusted
        )
        said = {"login": f"{root}/+login", "authstatus": ["noauth", "", []], "features": FEATURES}
        if index is not None:
            at = f"{root}/{paths.shown(index)}"
            said |= {"index": at, "simpleindex": f"{at}/+simple/"}
        return said


async def _discard(request: web.BaseRequest) -> None:
    """Take what little devpi's client sends with a question (`{}`), and nothing more. Raises BadRequest."""
    if request.can_read_body:
        await read_body(request, most=64)


def document(kind: str, result: Any, *, status: int = 200) -> web.Response:
    """An answer in devpi's envelope."""
    body = msgspec.json.encode({"type": kind, "result": result})
    return web.Response(status=status, body=body, content_type="application/json", headers=HEADERS)


def refusal(request: web.BaseRequest, error: Exception) -> web.Response:
    """The error, in devpi's envelope for who asks for JSON, as its client does: it shows the message.

    Where an account is due for reading, that client is told 403: at a 401 it gives up instead of having its user log in.
    """
    response = response_to(error)
    if "application/json" in request.headers.get(hdrs.ACCEPT, ""):
        message = one_line(str(error), 2000) if isinstance(error, PypicacheError) else "internal error"
        response.body = msgspec.json.encode({"message": message})
        response.content_type, response.charset = "application/json", None
        response.headers.update(HEADERS)
    client = request.headers.get(hdrs.USER_AGENT, "").startswith("devpi-client")
    if client and isinstance(error, Unauthorized) and "Basic" in error.challenge:
        response.set_status(403)
        del response.headers[hdrs.WWW_AUTHENTICATE]
    if request.can_read_body or isinstance(error, MethodNotAllowed):
        response.force_close()
    return response
