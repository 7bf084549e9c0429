"""A request as the server hands it to the edge: aiohttp's, and what the access log wants to know of it.

It also puts the `Server` header on its response, whoever makes that.
"""

from __future__ import annotations

import time

from aiohttp import hdrs, web

NAME = "pypicache"
"""What the Server header says: no versions, which only help who looks for holes (RFC 9110 section 10.2.4)."""


class Request(web.BaseRequest):
    """One request. `began`, `refusal` and `sent` are set by whoever knows."""

    began = 0.0
    """When its turn came, by `time.perf_counter`: the loop's clock has milliseconds only."""

    refusal: str | None = None
    """Why it can't be answered, although it could be parsed."""

    sent: int | None = None
    """Bytes of the body that went out past aiohttp's writer; None when all of them go through it."""

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return time.perf_counter() - self.began

    async def _prepare_hook(self, response: web.StreamResponse) -> None:
        response.headers[hdrs.SERVER] = NAME
