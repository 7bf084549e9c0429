"""A mirror's own page, asked for a file that another mirror's page lists.

Replicas keep the same file under different URLs, so another mirror's link is no use here: the file is looked up by
name, and taken only where digests agree (or, where none can be compared, sizes). Pages are kept for a minute, a
bounded number of bytes of them, since a broken download asks for the same page at each attempt.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pypicache.errors import FileNotFound, ProjectNotFound, UpstreamGarbled
from pypicache.offload import Offload
from pypicache.simple.model import STRENGTH, File, ProjectName, load
from pypicache.upstream.source import Listing, NotModified, Validators

MAX_BYTES = 16 << 20
"""Bytes of pages that are kept; a larger page isn't."""

FRESH = 60.0
"""Seconds for which a page that is kept is believed."""

Fetch = Callable[[ProjectName, Validators | None], Awaitable[Listing | NotModified]]


@dataclass(frozen=True, slots=True)
class _Kept:
    page: bytes
    validators: Validators
    at: float


class OwnPages:
    """Finds files on one mirror's pages."""

    def __init__(
        self,
        *,
        origin: str,
        fetch: Fetch,
        offload: Offload,
        monotonic: Callable[[], float] = time.monotonic,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._origin = origin
        self._fetch = fetch
        self._offload = offload
        self._monotonic = monotonic
        self._max_bytes = max_bytes
        self._kept: OrderedDict[ProjectName, _Kept] = OrderedDict()
        self._bytes = 0

    async def url(self, project: ProjectName, file: File) -> str:
        """Where this mirror has that file. Raises FileNotFound, UpstreamGarbled for other bytes, or any UpstreamError."""
        page = await self._page(project)
        try:
            url = await self._offload.run(len(page), find, page, file)
        except ValueError as error:
            raise UpstreamGarbled(self._origin, str(error)) from error
        if url is None:
            raise FileNotFound(f"{file.filename}: not on {self._origin}'s page")
        return url

    async def _page(self, project: ProjectName) -> bytes:
        kept = self._kept.get(project)
        now = self._monotonic()
        if kept is not None and now - kept.at < FRESH:
            self._kept.move_to_end(project)
            return kept.page
        try:
            answer = await self._fetch(project, None if kept is None else kept.validators)
        except ProjectNotFound as error:
            raise FileNotFound(f"{project}: not on {self._origin}") from error
        if isinstance(answer, Listing):
            page = answer.page
        else:
            assert kept is not None, (
                "an answer of 304 to a question without validators is an error before this"
            )
            page = kept.page
        self._keep(project, _Kept(page, answer.validators, now))
        return page

    def _keep(self, project: ProjectName, page: _Kept) -> None:
        old = self._kept.pop(project, None)
        self._bytes += len(page.page) - (0 if old is None else len(old.page))
        self._kept[project] = page
        while self._bytes > self._max_bytes:
            _, dropped = self._kept.popitem(last=False)
            self._bytes -= len(dropped.page)


def find(page: bytes, wanted: File) -> str | None:
    """The URL of `wanted` on that page; None when it isn't listed. Raises ValueError when the name means other bytes.

    Without anything to compare, a listed name is enough if `wanted` has a digest: its bytes are checked by it later.
    """
    found = load(page).file(wanted.filename)
    if found is None:
        return None
    for algorithm in STRENGTH:
        ours, theirs = wanted.hash(algorithm), found.hash(algorithm)
        if ours is not None and theirs is not None:
            if ours != theirs:
                raise ValueError(f"{wanted.filename}: listed with another {algorithm}")
            return found.url
    if wanted.size is not None and found.size is not None:
        if wanted.size != found.size:
            raise ValueError(f"{wanted.filename}: listed with another size")
        return found.url
    if wanted.best_digest is None:
        raise ValueError(f"{wanted.filename}: nothing to tell whether it is the same file")
    return found.url
