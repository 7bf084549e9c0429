"""What the daemon tells of itself over HTTP: `/readyz`, `/metrics` and `/-/status`, for programs.

None of it may be kept, and none of it asks a mirror. It knows how to say things, not what is so: that it is given.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from pypicache.monitor.status import Status
from pypicache.web import places
from pypicache.web.errors import UNKEPT, plain
from pypicache.web.headers import joined


class About:
    """Answers what isn't about an index.

    `unready` says why requests had better go elsewhere, if they had; `metrics` gives metrics and their media type, as
    Accept has it.
    """

    def __init__(
        self,
        *,
        unready: Callable[[], Awaitable[str | None]],
        status: Callable[[], Awaitable[Status]],
        metrics: Callable[[str | None], Awaitable[tuple[bytes, str]]],
    ) -> None:
        self._unready = unready
        self._status = status
        self._metrics = metrics

    async def answer(
        self, request: web.BaseRequest, where: places.Status | places.Metrics | places.Ready
    ) -> web.StreamResponse:
        """What is told at that place."""
        match where:
            case places.Status():
                return await self.status()
            case places.Metrics():
                return await self.metrics(request)
            case places.Ready():
                return await self.ready()

    async def ready(self) -> web.StreamResponse:
        """Whether it can serve."""
        why = await self._unready()
        if why is None:
            return plain(200, "ok")
        return plain(503, f"not ready: {why}", {"Retry-After": "5"})

    async def status(self) -> web.StreamResponse:
        """Everything, as JSON."""
        body = msgspec.json.encode(await self._status())
        return web.Response(body=body, content_type="application/json", headers=UNKEPT)

    async def metrics(self, request: web.BaseRequest) -> web.StreamResponse:
        """All metrics, in the Prometheus text format or OpenMetrics, as Accept has it."""
        body, content_type = await self._metrics(joined(request, "Accept"))
        return web.Response(body=body, headers={**UNKEPT, "Content-Type": content_type, "Vary": "Accept"})
