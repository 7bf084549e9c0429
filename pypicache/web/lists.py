"""The list of all projects: `/{index}/simple/`, as JSON or HTML, from prepared files, conditional."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor

from aiohttp import hdrs, web

from pypicache.errors import NotAcceptable, NotFound
from pypicache.index.lists import OpenedList, ProjectLists
from pypicache.rules.conditional import not_modified, wants_revalidation
from pypicache.simple.listing import Part
from pypicache.simple.negotiate import Representation, negotiate, negotiate_coding
from pypicache.web.errors import response_to
from pypicache.web.files import SMALL
from pypicache.web.headers import PAGE_CACHE_CONTROL, VARY, cache_status, joined
from pypicache.web.sender import read_small, send

CODINGS = ("gzip",)
"""What lists are held compressed with."""

_PARTS: Mapping[tuple[str, str], Part] = {
    ("html", "identity"): "html",
    ("html", "gzip"): "html.gz",
    ("json", "identity"): "json",
    ("json", "gzip"): "json.gz",
}


class ListPages:
    """Answers requests for the list of all projects."""

    def __init__(
        self, *, lists: Mapping[str, ProjectLists], disk: Executor, clock: Callable[[], float]
    ) -> None:
        self._lists = lists
        self._disk = disk
        self._clock = clock

    async def list(self, request: web.BaseRequest, name: str) -> web.StreamResponse:
        """The list in the form and coding that the client prefers."""
        if name not in self._lists:
            raise NotFound(f"{name} is made of other indexes, which have lists of all projects; it has none")
        headers = request.headers
        try:
            representation = negotiate(joined(request, "Accept"), request.query.get("format"))
        except NotAcceptable as error:
            response = response_to(error)
            response.headers["Vary"] = VARY
            return response
        coding = negotiate_coding(joined(request, "Accept-Encoding"), CODINGS)
        opened = await self._lists[name].open(
            _PARTS[representation.form, coding],
            revalidate=wants_revalidation(joined(request, "Cache-Control"), headers.get("Pragma")),
        )
        try:
            return await self._answer(request, opened, representation, coding)
        finally:
            opened.content.close()

    async def _answer(
        self, request: web.BaseRequest, opened: OpenedList, representation: Representation, coding: str
    ) -> web.StreamResponse:
        # The media types of one form have the same bytes, but an ETag is for what a client got under its type.
        etag = f'"{opened.content.sha256}-{representation.name.lower()}"'
        answer = {
            "ETag": etag,
            "Cache-Control": PAGE_CACHE_CONTROL,
            "Vary": VARY,
            "Age": str(max(0, int(self._clock() - opened.checked_at))),
            "Cache-Status": cache_status(opened.outcome, collapsed=opened.collapsed),
        }
        if not_modified(joined(request, "If-None-Match"), etag):
            return web.Response(status=304, headers=answer)
        answer["Content-Type"] = representation.content_type
        if coding != "identity":
            answer["Content-Encoding"] = coding
        size = opened.content.size
        assert size is not None, "a stored file has a size"
        if request.method == hdrs.METH_HEAD:
            return web.Response(headers={**answer, "Content-Length": str(size)})
        if size <= SMALL:
            return web.Response(body=await read_small(opened.content, 0, size, self._disk), headers=answer)
        response = web.StreamResponse(headers=answer)
        response.content_length = size
        await send(request, response, opened.content, start=0, stop=size, disk=self._disk)
        return response
