"""`POST /-/reload`: read the configuration again, as SIGHUP does, for whoever may change it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Protocol

import msgspec
from aiohttp import web

from pypicache.errors import MethodNotAllowed
from pypicache.web.errors import UNKEPT
from pypicache.web.session import Session

log = logging.getLogger(__name__)


class Reloads(Protocol):
    """Reads the configuration again."""

    async def reload(self) -> tuple[Path | None, tuple[str, ...]]:
        """The file, and its problems; with problems nothing has changed."""
        ...


class Reload:
    """Answers requests to reload: which file was read, and what is wrong with it (409, if anything is)."""

    def __init__(self, *, session: Session, editor: Reloads) -> None:
        self._session = session
        self._editor = editor

    async def respond(self, request: web.BaseRequest) -> web.Response:
        """Reload. Raises MethodNotAllowed, Unauthorized, Denied."""
        if request.method != "POST":
            raise MethodNotAllowed(request.method, ("POST",))
        user = self._session.may_change(request)
        log.info("%s asks for a reload", user)
        path, problems = await self._editor.reload()
        body = msgspec.json.encode({"config": None if path is None else str(path), "problems": problems})
        return web.Response(
            status=409 if problems else 200, body=body, content_type="application/json", headers=UNKEPT
        )
