"""What the daemon tells of itself over HTTP: `/readyz` and `/-/status`, for programs.

None of it may be kept, and none of it asks a mirror. It knows how to say things, not what is so: that it is given.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from pypicache.monitor.status import Status
from pypicache.web.errors import UNKEPT, plain


class About:
    """Answers what isn't about an index. `unready` says why requests had better go elsewhere, if they had."""

    def __init__(
        self,
        *,
        unready: Callable[[], Awaitable[str | None]],
        status: Callable[[], Awaitable[Status]],
    ) -> None:
        self._unready = unready
        self._status = status

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
