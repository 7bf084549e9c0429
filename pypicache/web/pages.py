"""Project pages: `/{index}/simple/{project}/`, as JSON or HTML, compressed, conditional."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aiohttp import web

from pypicache.errors import PypicacheError
from pypicache.index.index import Index
from pypicache.rules.conditional import not_modified, wants_revalidation
from pypicache.simple.model import ProjectName
from pypicache.simple.negotiate import negotiate, negotiate_coding
from pypicache.web.errors import response_to
from pypicache.web.headers import PAGE_CACHE_CONTROL, VARY, age, cache_status, joined

CODINGS = ("zstd", "gzip")
"""What pages are compressed with, the preferred coding first."""


class Pages:
    """Answers requests for project pages."""

    def __init__(self, *, indexes: Mapping[str, Index], clock: Callable[[], float]) -> None:
        self._indexes = indexes
        self._clock = clock

    async def page(self, request: web.BaseRequest, name: str, project: ProjectName) -> web.StreamResponse:
        """The page in the form and coding that the client prefers; what can't be had depends on them as well."""
        try:
            return await self._page(request, name, project)
        except PypicacheError as error:
            response = response_to(error)
            response.headers["Vary"] = VARY
            return response

    async def _page(self, request: web.BaseRequest, name: str, project: ProjectName) -> web.StreamResponse:
        headers = request.headers
        representation = negotiate(joined(request, "Accept"), request.query.get("format"))
        coding = negotiate_coding(joined(request, "Accept-Encoding"), CODINGS)
        index = self._indexes[name]
        revalidate = wants_revalidation(joined(request, "Cache-Control"), headers.get("Pragma"))
        page = await index.page(project, revalidate=revalidate)
        etag = index.etag(page, representation.form, coding)
        answer = {
            "ETag": etag,
            "Cache-Control": PAGE_CACHE_CONTROL,
            "Vary": VARY,
            "Age": age(self._clock() - page.checked_at),
            "Cache-Status": cache_status(page.outcome, collapsed=page.collapsed),
        }
        if not_modified(joined(request, "If-None-Match"), etag):
            return web.Response(status=304, headers=answer)
        made = await index.rendering(page, representation.form, coding)
        answer["Content-Type"] = representation.content_type
        if coding != "identity":
            answer["Content-Encoding"] = coding
        return web.Response(body=made.body, headers=answer)
