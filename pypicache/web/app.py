"""The edge: every request goes through `Edge.handle`.

The path's meaning is decided by `routes.route`, on the path as it came, and what each meaning does stands in
one table. Only GET and HEAD are answered, and no request has a body, but for what devpi's client sends (`devpi`); so an
Expect header asks for nothing that would be done (RFC 9110 section 10.1.1), and is ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor

import msgspec
from aiohttp import hdrs, web

from pypicache import hops
from pypicache.errors import BadRequest, UpstreamError
from pypicache.index.explain import Explains
from pypicache.index.lru import ByteLRU
from pypicache.index.oldlinks import FindsOldLinks, LoneFile
from pypicache.index.origins import FindsOrigins
from pypicache.index.serving import Serving
from pypicache.simple.model import valid_filename
from pypicache.simple.negotiate import accepts_html
from pypicache.web import devpi_paths, places, routes
from pypicache.web.about import About
from pypicache.web.devpi import Devpi
from pypicache.web.errors import RETRY_AFTER, UNKEPT, plain, response_to
from pypicache.web.files import Files
from pypicache.web.following import Following
from pypicache.web.gate import Gate
from pypicache.web.headers import VARY, joined
from pypicache.web.legacy import LegacyPages
from pypicache.web.lists import ListPages
from pypicache.web.pages import Pages
from pypicache.web.record import BROKEN
from pypicache.web.rehearsal import rehearse, worth
from pypicache.web.reload import Reload
from pypicache.web.repeats import Repeats
from pypicache.web.request import Request
from pypicache.web.sender import finish
from pypicache.web.site import Site

_ALLOWED = {hdrs.METH_GET, hdrs.METH_HEAD}


ROUTES = 1 << 20
"""Bytes of paths whose meaning is remembered."""

ROUTE = 500
"""About what a path's meaning weighs."""


class Edge:
    """Answers every request."""

    def __init__(
        self,
        *,
        indexes: Mapping[str, Serving],
        explains: Mapping[str, Explains],
        origins: Mapping[str, FindsOrigins],
        old_links: Mapping[str, FindsOldLinks],
        devpi: Devpi,
        reload: Reload,
        default: str,
        clock: Callable[[], float],
        disk: Executor,
        legacy: LegacyPages,
        lists: ListPages,
        gate: Gate,
        about: About,
        site: Site,
        own_name: str,
        accel: bool = False,
        following: Following | None = None,
    ) -> None:
        self._own_name = own_name
        self._gate = gate
        self._indexes = indexes
        self._explains = explains
        self._origins = origins
        self._old_links = old_links
        self._devpi = devpi
        self._reload = reload
        self._default = default
        self._pages = Pages(indexes=indexes, clock=clock)
        self._legacy = legacy
        self._lists = lists
        self._about = about
        self._site = site
        self._files = Files(indexes=indexes, disk=disk, accel=accel, following=following)
        self._routes: ByteLRU[str, places.Route] = ByteLRU(ROUTES)
        self.repeats = Repeats(clock=clock)
        """What of its answers can be given again; it goes with the edge."""

    @property
    def indexes(self) -> Mapping[str, Serving]:
        """What it answers from, by name."""
        return self._indexes

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request, whatever happens; the answer has been sent when it is returned."""
        try:
            response = await self._respond(request)
            await finish(request, response)
            if isinstance(request, Request):
                if request.repeatable is not None:
                    request.keep = self.repeats.keep
                elif worth(request, response):
                    request.again = self._rehearse
        except ConnectionError:
            # Raised, it would be logged as a bug. What is returned instead goes nowhere: the connection has ended.
            if request.transport is not None:
                request.transport.abort()
            return plain(BROKEN, "the connection has ended")
        return response

    async def _rehearse(self, request: Request, repeats: Repeats) -> None:
        """Make the answer once more, unless another edge has come into force."""
        if repeats is self.repeats:
            await rehearse(request, self._respond, repeats)

    async def _respond(self, request: web.BaseRequest) -> web.StreamResponse:
        """The response, which may have been sent already. Raises ConnectionError when sending it broke."""
        try:
            return await self._answer(request)
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001 - the edge: a bug is logged there, and told as a 500
            return response_to(error)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if not hops.arrive(", ".join(request.headers.getall("Via", [])), self._own_name):
            raise UpstreamError(
                "", "a loop: this request has been here before; a mirror leads back to this cache"
            )
        where = self._route(request.rel_url.raw_path)
        if isinstance(request, Request):
            request.place = where
        if isinstance(request, Request) and request.crowded and not places.is_open(where):
            return plain(503, "too many connections", {"Retry-After": str(RETRY_AFTER)})
        if isinstance(where, devpi_paths.SPOKEN) or (
            isinstance(where, places.Root) and not accepts_html(joined(request, "Accept"))
        ):
            return await self._devpi.respond(request, where)
        if isinstance(where, places.Reload):
            return await self._reload.respond(request)
        if (refused := self._refused(request)) is not None:
            return refused
        await self._gate.admit(request, where)
        found = await self._resource(request, where)
        return self._simple_answer(request, where) if found is None else found

    def _route(self, path: str) -> places.Route:
        """What the path means; paths come again."""
        where = self._routes.get(path)
        if where is None:
            where = routes.route(path, self._indexes, self._default)
            self._routes.put(path, where, 2 * len(path) + ROUTE)
        return where

    async def _resource(self, request: web.BaseRequest, where: places.Route) -> web.StreamResponse | None:
        """What an index has at that place; None when the place is none of an index's."""
        match where:
            case places.ProjectPage(index, project):
                return await self._pages.page(request, index, project)
            case places.FilePath(index, path):
                return await self._files.file(request, index, path)
            case devpi_paths.OldLink(index, digits, filename):
                return await self._old_link(request, index, digits, filename)
            case places.ProjectList(index):
                return await self._lists.list(request, index)
            case places.LegacyJSON():
                return await self._legacy.document(request, where)
            case places.Explain(index, project):
                return _json(await self._explains[index].explain(project, _file(request)))
            case places.Origin(index, project):
                return _json(await self._origins[index].origin(project))
            case places.Status() | places.Metrics() | places.Ready():
                return await self._about.answer(request, where)
            case places.Root() | places.Asset() | places.ProjectAbout() | places.FindProject():
                return await self._site.answer(request, where)
        return None

    async def _old_link(
        self, request: web.BaseRequest, index: str, digits: str, filename: str
    ) -> web.StreamResponse:
        found = await self._old_links[index].find(digits, filename)
        if not isinstance(found, LoneFile):
            return await self._files.file(request, index, found)
        if not self._gate.opens_all(index):  # it may have come by an index that is closed to who asks
            raise UpstreamError("", f"no page of {index} can be had that could list {filename}")
        return await self._files.of(request, found, (filename,))

    def _simple_answer(self, request: web.BaseRequest, where: places.Route) -> web.StreamResponse:
        """What needs no index to be answered."""
        match where:
            case places.Redirect(location):
                query = request.rel_url.raw_query_string
                return plain(
                    301, "moved", {"Location": location + (f"?{query}" if query else ""), "Vary": VARY}
                )
            case places.Health():
                return plain(200, "ok")
            case places.NotHere(reason, status):
                return plain(status, reason, {"Vary": VARY})
        raise AssertionError(f"nobody answers {where}")

    def _refused(self, request: web.BaseRequest) -> web.StreamResponse | None:
        """The answer to a request that isn't looked at any further."""
        if request.method not in _ALLOWED:
            response = plain(405, f"{request.method} is not answered here", {"Allow": "GET, HEAD"})
            response.force_close()
            return response
        if request.can_read_body:
            response = plain(400, "a request has no body here")
            response.force_close()
            return response
        return None


def _file(request: web.BaseRequest) -> str | None:
    """The file that is asked about. Raises BadRequest for what can't be the name of one."""
    filename = request.query.get("file")
    if filename is not None and not valid_filename(filename):
        raise BadRequest("file: that can't be the name of a file")
    return filename


def _json(said: msgspec.Struct) -> web.Response:
    return web.Response(body=msgspec.json.encode(said), content_type="application/json", headers=UNKEPT)
