"""Renderings of one index's pages: made at most once, off the event loop, and held in memory as far as there is room.

What a rendering is, and how it is named, is `rendering`'s business.
"""

from __future__ import annotations

import asyncio

from pypicache.index import rendering
from pypicache.index.entry import Page
from pypicache.index.lru import ByteLRU
from pypicache.index.rendering import Rendering
from pypicache.index.tasks import Tasks
from pypicache.offload import Offload


class Renderer:
    """Makes renderings; its work belongs to `tasks`. `synthesize`: every wheel has a sidecar. `held` may be shared."""

    def __init__(
        self, *, held: ByteLRU[str, Rendering], offload: Offload, tasks: Tasks, synthesize: bool
    ) -> None:
        self._held = held
        self._offload = offload
        self._tasks = tasks
        self._synthesize = synthesize
        self._making: dict[str, asyncio.Task[Rendering]] = {}

    async def rendering(self, page: Page, form: str, coding: str) -> Rendering:
        """The page in that form and coding, made at most once."""
        etag = rendering.etag(page.digest, page.facts_digest, form, coding)
        if (made := self._held.get(etag)) is not None:
            return made
        task = self._making.get(etag)
        if task is None:
            task = self._tasks.start(
                self._render(page, form, coding, etag), name=f"rendering of {page.project}"
            )
            self._making[etag] = task
            task.add_done_callback(lambda _: self._making.pop(etag, None))
        return await asyncio.shield(task)

    async def _render(self, page: Page, form: str, coding: str, etag: str) -> Rendering:
        body = await self._offload.run(
            len(page.data) + len(page.facts),
            rendering.render,
            page.data,
            page.facts,
            form,
            coding,
            synthesize=self._synthesize,
        )
        made = Rendering(body=body, etag=etag, coding=coding)
        self._held.put(etag, made, len(body))
        return made
