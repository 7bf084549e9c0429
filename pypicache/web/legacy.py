"""Legacy JSON over HTTP: `/pypi/{project}/json` and its other addresses, with absolute links."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from aiohttp import web

from pypicache.index.layered_legacy import AnswersLegacy
from pypicache.rules.conditional import not_modified, wants_revalidation
from pypicache.simple.negotiate import negotiate_coding
from pypicache.web.address import Network, base_url
from pypicache.web.headers import CODINGS, PAGE_CACHE_CONTROL, cache_status, joined
from pypicache.web.places import LegacyJSON

VARY = "Accept-Encoding"


class LegacyPages:
    """Answers requests for legacy JSON.

    `public_url` and `trusted` decide what links begin with, as `address.base_url` has it.
    """

    def __init__(
        self,
        *,
        legacy: Mapping[str, AnswersLegacy],
        clock: Callable[[], float],
        public_url: str | None = None,
        trusted: Sequence[Network] = (),
    ) -> None:
        self._legacy = legacy
        self._clock = clock
        self._public_url = public_url
        self._trusted = trusted

    async def document(self, request: web.BaseRequest, wanted: LegacyJSON) -> web.StreamResponse:
        """The project's document, its links as those of the page at the same address resolve for this client."""
        headers = request.headers
        base = base_url(
            headers,
            scheme=request.scheme,
            peer=request.remote,
            public_url=self._public_url,
            trusted=self._trusted,
        )
        coding = negotiate_coding(joined(request, "Accept-Encoding"), CODINGS)
        legacy = self._legacy[wanted.index]
        found = await legacy.answer(
            wanted.project,
            wanted.version,
            packages=f"{base}{wanted.root}packages/",
            coding=coding,
            revalidate=wants_revalidation(joined(request, "Cache-Control"), headers.get("Pragma")),
        )
        answer = {
            "ETag": found.etag,
            "Cache-Control": PAGE_CACHE_CONTROL,
            "Vary": VARY,
            "Age": str(max(0, int(self._clock() - found.checked_at))),
            "Cache-Status": cache_status(found.outcome, collapsed=found.collapsed),
        }
        if not_modified(joined(request, "If-None-Match"), found.etag):
            return web.Response(status=304, headers=answer)
        body = await legacy.body(found)
        answer["Content-Type"] = "application/json"
        if coding != "identity":
            answer["Content-Encoding"] = coding
        return web.Response(body=body, headers=answer)
