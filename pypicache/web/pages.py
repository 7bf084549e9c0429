"""Project pages: `/{index}/simple/{project}/`, as JSON or HTML, compressed, conditional."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from aiohttp import hdrs, web

from pypicache.errors import PypicacheError
from pypicache.index.entry import Outcome, Page
from pypicache.index.lease import Lease
from pypicache.index.lru import ByteLRU
from pypicache.index.rendering import Rendering
from pypicache.index.serving import Serving
from pypicache.rules.conditional import not_modified, wants_revalidation
from pypicache.simple.model import ProjectName
from pypicache.simple.negotiate import Representation, negotiate, negotiate_coding
from pypicache.web.errors import response_to
from pypicache.web.headers import CODINGS, PAGE_CACHE_CONTROL, VARY, age, cache_status, joined
from pypicache.web.request import Repeatable, Request, note_mirror

log = logging.getLogger(__name__)

PIECE = 256 << 10
"""Bytes of a page that are handed to the connection at a time."""


_DECIDED = 256 << 10
"""Bytes of headers that are remembered with what they ask for."""

_OBJECTS = 500


_LASTING = {Outcome.HIT, Outcome.MISS, Outcome.REVALIDATED}
"""How a page came that is up to date."""


class Pages:
    """Answers requests for project pages."""

    def __init__(self, *, indexes: Mapping[str, Serving], clock: Callable[[], float]) -> None:
        self._indexes = indexes
        self._clock = clock
        self._decided: ByteLRU[tuple[str | None, ...], tuple[Representation, str, bool]] = ByteLRU(_DECIDED)

    async def page(self, request: web.BaseRequest, name: str, project: ProjectName) -> web.StreamResponse:
        """The page in the form and coding that the client prefers; what can't be had depends on them as well."""
        try:
            return await self._page(request, name, project)
        except PypicacheError as error:
            response = response_to(error)
            response.headers["Vary"] = VARY
            return response

    async def _page(self, request: web.BaseRequest, name: str, project: ProjectName) -> web.StreamResponse:
        representation, coding, revalidate = self._wanted(request)
        index = self._indexes[name]
        page = await index.page(project, revalidate=revalidate)
        if page.outcome in {Outcome.MISS, Outcome.REVALIDATED}:
            note_mirror(request, page.origin)
        etag = index.etag(page, representation.form, coding)
        answer = {
            "ETag": etag,
            "Cache-Control": PAGE_CACHE_CONTROL,
            "Vary": VARY,
            "Age": age(self._clock() - page.checked_at),
            "Cache-Status": cache_status(page.outcome, collapsed=page.collapsed),
        }
        lease = index.lease(page, revalidate=revalidate) if page.outcome in _LASTING else None
        if page.outcome is not Outcome.HIT:
            _next_time(request, lease)
            lease = None
        if not_modified(joined(request, "If-None-Match"), etag):
            _repeatable(request, page, lease, None)
            return web.Response(status=304, headers=answer)
        made = await index.rendering(page, representation.form, coding)
        _repeatable(request, page, lease, (index.renderings(page), etag))
        answer["Content-Type"] = representation.content_type
        if coding != "identity":
            answer["Content-Encoding"] = coding
        if len(made.body) <= PIECE or request.method == hdrs.METH_HEAD:
            return web.Response(body=made.body, headers=answer)
        return await _stream(request, made.body, answer)

    def _wanted(self, request: web.BaseRequest) -> tuple[Representation, str, bool]:
        """The form, the coding, and whether a mirror is to be asked now. Few kinds of clients come, again and again."""
        said = (
            joined(request, "Accept"),
            request.query.get("format"),
            joined(request, "Accept-Encoding"),
            joined(request, "Cache-Control"),
            request.headers.get("Pragma"),
        )
        wanted = self._decided.get(said)
        if wanted is None:
            accept, form, codings, control, pragma = said
            wanted = (
                negotiate(accept, form),
                negotiate_coding(codings, CODINGS),
                wants_revalidation(control, pragma),
            )
            self._decided.put(said, wanted, sum(len(text) for text in said if text) + _OBJECTS)
        return wanted


def _next_time(request: web.BaseRequest, lease: Lease | None) -> None:
    """Note how long the next such request needs no mirror. The lease is taken now: it is small, and the page, which would be looked up by, isn't."""
    if isinstance(request, Request) and lease is not None:
        request.next_time = lambda: lease


def _repeatable(
    request: web.BaseRequest,
    page: Page,
    lease: Lease | None,
    body: tuple[ByteLRU[str, Rendering], str] | None,
) -> None:
    """Note that the answer is to be given again as long as the lease holds."""
    if isinstance(request, Request) and lease is not None and not page.collapsed:
        request.repeatable = Repeatable(lease, body, page.checked_at)


async def _stream(request: web.BaseRequest, body: bytes, headers: dict[str, str]) -> web.StreamResponse:
    """The answer in pieces: the connection copies what it is given, and a slow client must not cost a whole page."""
    response = web.StreamResponse(headers=headers)
    response.content_length = len(body)
    await response.prepare(request)
    try:
        for start in range(0, len(body), PIECE):
            await response.write(memoryview(body)[start : start + PIECE])
    except ConnectionError as error:
        log.debug("connection lost in the middle of %s: %s", request.path, error)
    return response
