"""The pages for people: what this cache is and does, and one for each project. HTML, a style sheet, a small script.

Everything is rendered here, with autoescape on, so that the pages are whole without the script, which only fetches the
living part again. The Content-Security-Policy allows nothing but these own files: no inline style, script or handler, and
nothing from elsewhere. Links are relative, so that they hold below any path that a proxy puts before them.

What is so, it is given; how that looks is in `look`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor
from operator import attrgetter
from typing import Any
from urllib.parse import quote, urlsplit

from aiohttp import hdrs, web

from pypicache.errors import BadRequest
from pypicache.index.explain import Explains
from pypicache.index.inventory import TakesStock
from pypicache.monitor.status import Status
from pypicache.rules.conditional import not_modified
from pypicache.simple.model import ProjectName, project_name
from pypicache.web import places
from pypicache.web.address import Network, base_url
from pypicache.web.chart import chart
from pypicache.web.errors import plain
from pypicache.web.headers import joined
from pypicache.web.look import Look
from pypicache.web.snippets import clients

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}

FILES = 200
"""How many files of a project are on one page."""


class Site:
    """Answers browsers. `status`, `explains`, `stock` and `open_to_all` tell what is so; rendering is done in one of `threads`."""

    def __init__(
        self,
        *,
        status: Callable[[], Awaitable[Status]],
        explains: Mapping[str, Explains],
        stock: Mapping[str, TakesStock],
        web_urls: Mapping[str, str | None],
        open_to_all: Callable[[str], bool],
        default: str,
        look: Look,
        threads: Executor,
        public_url: str | None = None,
        trusted: Sequence[Network] = (),
    ) -> None:
        self._status = status
        self._explains = explains
        self._stock = stock
        self._web_urls = web_urls
        self._open_to_all = open_to_all
        self._default = default
        self._threads = threads
        self._public_url = public_url
        self._trusted = trusted
        self._look = look

    async def answer(
        self,
        request: web.BaseRequest,
        where: places.Root | places.Asset | places.ProjectAbout | places.FindProject,
    ) -> web.StreamResponse:
        """What is at that place."""
        match where:
            case places.Root():
                return await self._home(request)
            case places.Asset(name):
                return self._asset(request, name)
            case places.ProjectAbout(index, project):
                return await self._project(request, index, project)
            case places.FindProject():
                return self._find(request)

    async def _home(self, request: web.BaseRequest) -> web.StreamResponse:
        status = await self._status()
        index = request.query.get("index", self._default)
        if index not in self._explains:
            raise BadRequest("there is no such index here")
        base = self._base(request)
        url = f"{base}simple/" if index == self._default else f"{base}{index}/simple/"
        now, minutes = status.now, status.traffic
        return await self._render(
            "live.html" if "live" in request.query else "home.html",
            root="",
            status=status,
            index=index,
            url=url,
            clients=clients(url),
            closed=not self._open_to_all(index),
            host=urlsplit(url).hostname,
            questions=sum(mirror.requests for each in status.indexes for mirror in each.mirrors),
            answers=chart(minutes, now, attrgetter("hits"), attrgetter("misses"), stacked=True),
            bytes=chart(minutes, now, attrgetter("sent"), attrgetter("received"), stacked=False),
        )

    async def _project(
        self, request: web.BaseRequest, index: str, project: ProjectName
    ) -> web.StreamResponse:
        explained = await self._explains[index].explain(project)
        page = _page_number(request.query.get("page"))
        holder = self._stock.get(index)
        held = (
            None if holder is None else await holder.inventory(project, start=(page - 1) * FILES, count=FILES)
        )
        if held is not None and page > 1 and not held.shown:
            raise BadRequest("there is no such page of files")
        root = "../" * (2 + index.count("/") + 1)
        web_url = self._web_urls.get(index)
        return await self._render(
            "project.html",
            root=root,
            index=index,
            project=project,
            explained=explained,
            held=held,
            page=page,
            pages=1 if held is None else max(1, -(-held.total // FILES)),
            packages=f"{root}{index}/packages/",
            web_url=None if web_url is None else web_url.replace("{name}", quote(project)),
            now=time.time(),
        )

    def _find(self, request: web.BaseRequest) -> web.StreamResponse:
        """To the page of the project that was typed in."""
        index = request.query.get("index", self._default)
        name = project_name(request.query.get("name", "").strip())
        if index not in self._explains or name is None:
            raise BadRequest("no project can have that name")
        return plain(303, "this way", {"Location": f"project/{index}/{name}"})

    def _asset(self, request: web.BaseRequest, name: str) -> web.StreamResponse:
        asset = self._look.assets[name]
        etag = f'"{asset.version}"'
        headers = {
            **HEADERS,
            "ETag": etag,
            "Cache-Control": "public, max-age=86400",
            "Content-Type": asset.content_type,
        }
        if not_modified(joined(request, "If-None-Match"), etag):
            return web.Response(status=304, headers=headers)
        return web.Response(body=asset.body, headers=headers)

    async def _render(self, template: str, **terms: Any) -> web.StreamResponse:
        text = await asyncio.get_running_loop().run_in_executor(
            self._threads, self._look.render, template, terms
        )
        return web.Response(
            text=text,
            content_type="text/html",
            charset="utf-8",
            headers={**HEADERS, hdrs.CACHE_CONTROL: "no-store", hdrs.VARY: "Accept"},
        )

    def _base(self, request: web.BaseRequest) -> str:
        return base_url(
            request.headers,
            scheme=request.scheme,
            peer=request.remote,
            public_url=self._public_url,
            trusted=self._trusted,
        )


def _page_number(text: str | None) -> int:
    if text is None:
        return 1
    if not text.isascii() or not text.isdigit() or len(text) > 4 or int(text) < 1:  # noqa: PLR2004 - ten thousand pages
        raise BadRequest("there is no such page of files")
    return int(text)
