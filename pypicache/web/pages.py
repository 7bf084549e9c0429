"""Project pages: `/{index}/simple/{project}/`, as JSON or HTML, compressed, conditional."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aiohttp import web

from pypicache.errors import NotAcceptable
from pypicache.index.index import Index
from pypicache.rules.conditional import not_modified, wants_revalidation
from pypicache.simple.model import ProjectName
from pypicache.simple.negotiate import negotiate, negotiate_coding
from pypicache.web.errors import response_to
from pypicache.web.headers import CODINGS, PAGE_CACHE_CONTROL, cache_status, joined

VARY = "Accept, Accept-Encoding"


class Pages:
    """Answers requests for project pages."""

    def __init__(self, *, indexes: Mapping[str, Index], clock: Callable[[], float]) -> None:
        self._indexes = indexes
        self._clock = clock

    async def page(self, request: web.BaseRequest, name: str, project: ProjectName) -> web.StreamResponse:
        """The page in the form and coding that the client prefers."""
        headers = request.headers
        try:
            representation = negotiate(joined(headers.getall("Accept", [])), request.query.get("format"))
        except NotAcceptable as error:
            response = response_to(error)
            response.headers["Vary"] = VARY
            return response
        coding = negotiate_coding(joined(headers.getall("Accept-Encoding", [])), CODINGS)
        index = self._indexes[name]
        revalidate = wants_revalidation(joined(headers.getall("Cache-Control", [])), headers.get("Pragma"))
        page = await index.page(project, revalidate=revalidate)
        etag = index.etag(page, representation.form, coding)
        answer = {
            "ETag": etag,
            "Cache-Control": PAGE_CACHE_CONTROL,
            "Vary": VARY,
            "Age": str(max(0, int(self._clock() - page.checked_at))),
            "Cache-Status": cache_status(page.outcome, collapsed=page.collapsed),
        }
        if not_modified(joined(headers.getall("If-None-Match", [])), etag):
            return web.Response(status=304, headers=answer)
        made = await index.rendering(page, representation.form, coding)
        answer["Content-Type"] = representation.content_type
        if coding != "identity":
            answer["Content-Encoding"] = coding
        return web.Response(body=made.body, headers=answer)
