"""One mirror's legacy JSON, where it has any.

No standard says where that is. The public index and its full mirrors keep it beside the Simple API, at
`pypi/{project}/json`; some indexes keep it at `{project}/json`. Both are tried, and an index that has neither is said to
offer none, which means nothing for the project. ::

    200                       LegacyDocument; NotModified if the body is the one that is known
    304                       NotModified
    404, 405, 410, 501        the next address; None after the last
    any other                 UpstreamRefused
    not such a document       UpstreamGarbled
    silence                   UpstreamTimeout
"""

from __future__ import annotations

import asyncio
import hashlib
from concurrent.futures import BrokenExecutor
from typing import Final
from urllib.parse import quote

from pypicache.errors import UpstreamGarbled, UpstreamTimeout
from pypicache.offload import Offload
from pypicache.simple.legacy_document import MAX_BODY, parse
from pypicache.simple.model import ProjectName
from pypicache.upstream.replies import content_coding, read_all, usable
from pypicache.upstream.source import LegacyDocument, NotModified, Validators
from pypicache.upstream.unpack import PLAIN, inflate, weight
from pypicache.upstream.wire import Reply, Wire

BUDGET = 10.0
"""Seconds for one document: both addresses, redirects, reading and parsing."""

NOT_OFFERED: Final = frozenset({404, 405, 410, 501})
"""Statuses that say that a mirror has no such thing to offer."""

_OK, _NOT_MODIFIED = 200, 304


class LegacyClient:
    """Asks one mirror for legacy JSON: a `pypicache.upstream.source.LegacySource`. Somebody else opens `wire`."""

    def __init__(self, *, wire: Wire, offload: Offload, budget: float = BUDGET) -> None:
        self.name = wire.name
        self._wire = wire
        self._offload = offload
        self._budget = budget

    async def legacy(
        self, name: ProjectName, version: str | None = None, known: Validators | None = None
    ) -> LegacyDocument | NotModified | None:
        """The document from the first address that has one; see the module's table."""
        if known is not None and known.origin != self.name:
            known = None
        try:
            async with asyncio.timeout(self._budget), self._wire.pages:
                for url in addresses(self._wire.url, name, version):
                    answer = await self._ask(url, name, known)
                    if answer is not None:
                        return answer
        except TimeoutError as error:
            raise UpstreamTimeout(self.name, f"no legacy JSON within {self._budget:g} s") from error
        return None

    async def _ask(
        self, url: str, name: ProjectName, known: Validators | None
    ) -> LegacyDocument | NotModified | None:
        headers = {"Accept": "application/json", "Accept-Encoding": "gzip"}
        if known is not None and known.etag is not None:
            headers["If-None-Match"] = known.etag
        reply = await self._wire.get(url, lane="pages", headers=headers)
        try:
            status = reply.response.status
            if status == _OK:
                return await self._document(reply, name, known)
            if status == _NOT_MODIFIED and known is not None and known.etag is not None:
                return NotModified(known)
            if status in NOT_OFFERED:
                return None
            raise self._wire.refusal(reply, "legacy JSON")
        finally:
            reply.response.close()

    async def _document(
        self, reply: Reply, name: ProjectName, known: Validators | None
    ) -> LegacyDocument | NotModified:
        coding = content_coding(reply, self.name)
        pieces = await read_all(reply, self._wire, limit=MAX_BODY, what="legacy JSON")
        old = None if known is None else known.body_digest
        try:
            digest, document = await self._offload.run(
                weight(sum(map(len, pieces)), coding), unpack, pieces, coding, name, old
            )
        except ValueError as error:
            raise UpstreamGarbled(self.name, f"not legacy JSON: {error}") from error
        except (BrokenExecutor, MemoryError, RecursionError) as error:
            raise UpstreamGarbled(
                self.name, "legacy JSON that can't be read with the memory there is"
            ) from error
        validators = Validators(
            origin=self.name, etag=usable(reply.header("ETag")), last_modified=None, body_digest=digest
        )
        return NotModified(validators) if document is None else LegacyDocument(document, validators)


def addresses(mirror: str, name: ProjectName, version: str | None) -> tuple[str, str]:
    """Where a mirror whose Simple API is at `mirror` may keep the document, the likelier place first."""
    root = (
        mirror.removesuffix("simple/").removesuffix("+")
        if mirror.endswith(("/simple/", "/+simple/"))
        else mirror
    )
    tail = f"{name}/json" if version is None else f"{name}/{quote(version, safe='')}/json"
    return f"{root}pypi/{tail}", f"{root}{tail}"


def unpack(
    pieces: list[bytes], coding: str, name: ProjectName, known: str | None
) -> tuple[str, bytes | None]:
    """A body's digest, and the document in it unless the digest is `known`. Raises ValueError for what is none."""
    body = b"".join(pieces) if coding in PLAIN else inflate(pieces)
    digest = hashlib.sha256(body).hexdigest()
    return digest, None if digest == known else parse(body, name)
