"""One remote index: asks it for pages and files, and says what came of it in this package's words.

A page is asked for as JSON where the mirror speaks it, conditionally where it is known, and comes back parsed,
unchanged, absent, or as an error; a table in `project` tells which status means what. HEAD is never used: there are
mirrors whose HEAD lies. Order among mirrors, breakers and second attempts elsewhere are `mirrors`' business;
connections and redirects are `wire`'s.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import replace
from types import TracebackType
from typing import Self

from pypicache.errors import (
    FileNotFound,
    ProjectNotFound,
    UpstreamGarbled,
    UpstreamRefused,
    UpstreamTimeout,
)
from pypicache.offload import Offload
from pypicache.rules.freshness import clamp_age
from pypicache.simple.links import OWN, packages_path
from pypicache.simple.model import File, ProjectName
from pypicache.upstream.faults import status_line
from pypicache.upstream.files import FileCopy, Parts
from pypicache.upstream.lookup import OwnPages
from pypicache.upstream.replies import content_coding, read_all, usable
from pypicache.upstream.source import Copy, Listing, NotModified, Validators
from pypicache.upstream.unpack import MAX_WIRE, Unpacked, unpack, weight
from pypicache.upstream.wire import LIMITS, Reply, Wire

ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01"
"""JSON first (PEP 691): there are mirrors whose HTML has less in it than their JSON."""

PAGE_BUDGET = 10.0
"""Seconds for one page: connecting, redirects, reading and parsing."""

MAX_AGE = 86_400.0
"""An Age header counts up to this many seconds; the index bounds it further by its own ttl."""

_OK, _NOT_MODIFIED = 200, 304
_ABSENT = frozenset({404, 410})


class Client:
    """One mirror: a `pypicache.upstream.source.Source`. Use as an async context manager; it opens `wire`."""

    def __init__(
        self,
        *,
        wire: Wire,
        offload: Offload,
        connections: int = 4,
        page_budget: float = PAGE_BUDGET,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = wire.name
        self._wire = wire
        self._offload = offload
        self._connections = connections
        self._page_budget = page_budget
        self._monotonic = monotonic
        # Files wait for their turn here and not in the connector, where waiting would look like a silent mirror.
        self._slots = asyncio.Semaphore(LIMITS["files"])
        self._parts = Parts(monotonic=monotonic)
        self._own_pages = OwnPages(origin=wire.name, fetch=self.project, offload=offload, monotonic=monotonic)

    async def __aenter__(self) -> Self:
        await self._wire.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._wire.__aexit__(kind, error, trace)

    async def project(self, name: ProjectName, known: Validators | None = None) -> Listing | NotModified:
        """The project's page. ::

        200               Listing; NotModified if the body is the one that is known
        304               NotModified; UpstreamGarbled if nothing was asked for conditionally
        404, 410          ProjectNotFound
        any other         UpstreamRefused
        silence           UpstreamTimeout
        not a page        UpstreamGarbled
        """
        if known is not None and known.origin != self.name:
            known = None
        try:
            async with asyncio.timeout(self._page_budget), self._wire.pages:
                try:
                    return await self._ask(name, known)
                except _WrongValidator:
                    return await self._ask(name, None)
        except TimeoutError as error:
            raise UpstreamTimeout(self.name, f"no page within {self._page_budget:g} s") from error

    def copies(
        self,
        project: ProjectName,
        file: File,
        origin: str,
        *,
        sidecar: bool = False,
        unproven: bool = False,  # noqa: ARG002 - whom to trust is decided where there are several
    ) -> Sequence[Copy]:
        """The one copy that this mirror may have. Of another one's file it is looked up on the own page and, if
        that doesn't tell, expected at the same path below `packages/`; its digest proves it.
        """
        suffix = ".metadata" if sidecar else ""

        async def locate() -> str:
            link = file.url if origin == self.name else await self._own_link(project, file)
            return _with_suffix(self._wire.resolve(link), suffix)

        return (self._copy(file.filename + suffix, locate),)

    async def _own_link(self, project: ProjectName, file: File) -> str:
        try:
            return await self._own_pages.url(project, file)
        except (FileNotFound, UpstreamRefused) as error:
            unreachable = isinstance(error, UpstreamRefused) and error.http_status is None
            guess = None if unreachable or file.best_digest is None else self._same_path(project, file)
            if guess is None:
                raise
            return guess

    def _same_path(self, project: ProjectName, file: File) -> str | None:
        """Where a replica with the usual layout has the file: `packages/` stands beside `simple/`."""
        path = packages_path(project, file.url, file.filename)
        root = self._wire.url.removesuffix("simple/")
        return None if path.startswith(f"{OWN}/") or root == self._wire.url else f"{root}packages/{path}"

    def _copy(self, filename: str, locate: Callable[[], Awaitable[str]]) -> FileCopy:
        return FileCopy(
            wire=self._wire,
            filename=filename,
            locate=locate,
            slots=self._slots,
            parts=self._parts,
            connections=self._connections,
        )

    async def _ask(self, name: ProjectName, known: Validators | None) -> Listing | NotModified:
        url = f"{self._wire.url}{name}/"
        headers = {"Accept": ACCEPT, "Accept-Encoding": "gzip"}
        if known is not None and known.etag is not None:
            headers["If-None-Match"] = known.etag
        if known is not None and known.last_modified is not None:
            headers["If-Modified-Since"] = known.last_modified
        began = self._monotonic()
        reply = await self._wire.get(url, lane="pages", headers=headers)
        first_byte = self._monotonic() - began
        try:
            status = reply.response.status
            if status == _OK:
                return replace(await self._page(reply, name, known, asked=url), first_byte=first_byte)
            if status == _NOT_MODIFIED:
                return replace(self._unchanged(reply, known), first_byte=first_byte)
            if status in _ABSENT:
                reply.response.release()
                raise ProjectNotFound(f"{name}: {self.name} answered {status_line(status, None)}")
            raise self._wire.refusal(reply)
        finally:
            reply.response.close()

    async def _page(
        self, reply: Reply, name: ProjectName, known: Validators | None, *, asked: str
    ) -> Listing | NotModified:
        unpacked = await self._unpack(reply, name, None if known is None else known.body_digest, asked)
        validators = Validators(
            origin=self.name,
            etag=usable(reply.header("ETag")),
            last_modified=usable(reply.header("Last-Modified")),
            body_digest=unpacked.body_digest,
        )
        age = clamp_age(reply.header("Age"), 2 * MAX_AGE)
        if unpacked.page is None:
            return NotModified(validators, age)
        return Listing(unpacked.page, validators, age)

    def _unchanged(self, reply: Reply, known: Validators | None) -> NotModified:
        """A 304 updates what is known (RFC 9111 section 4.3.4), unless it speaks of something else."""
        if known is None or (known.etag is None and known.last_modified is None):
            raise UpstreamGarbled(self.name, "304 Not Modified to an unconditional request")
        etag = usable(reply.header("ETag"))
        if etag and known.etag and etag.removeprefix("W/") != known.etag.removeprefix("W/"):
            raise _WrongValidator
        last_modified = usable(reply.header("Last-Modified"))
        validators = Validators(
            origin=self.name,
            etag=etag or known.etag,
            last_modified=last_modified or known.last_modified,
            body_digest=known.body_digest,
        )
        return NotModified(validators, clamp_age(reply.header("Age"), 2 * MAX_AGE))

    async def _unpack(self, reply: Reply, name: ProjectName, known: str | None, asked: str) -> Unpacked:
        coding = content_coding(reply, self.name)
        pieces = await read_all(reply, self._wire, limit=MAX_WIRE, what="a page")
        size = sum(map(len, pieces))
        try:
            return await self._offload.run(
                weight(size, coding),
                unpack,
                pieces,
                coding,
                reply.header("Content-Type"),
                url=reply.url,
                name=name,
                known=known,
                salt="" if reply.url == asked else reply.url,
            )
        except ValueError as error:
            raise UpstreamGarbled(self.name, f"not an index page: {error}") from error
        except (BrokenExecutor, MemoryError, RecursionError) as error:
            raise UpstreamGarbled(self.name, "a page that can't be read with the memory there is") from error


class _WrongValidator(Exception):
    """A 304 with an ETag that isn't the one that was sent: some servers rename it when they compress."""


def _with_suffix(url: str, suffix: str) -> str:
    """The URL with `suffix` on its path, before the query if there is one (PEP 658)."""
    path, mark, query = url.partition("?")
    return f"{path}{suffix}{mark}{query}"
