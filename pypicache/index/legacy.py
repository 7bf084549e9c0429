"""One index's legacy JSON: a mirror's document where there is one, in agreement with the page that clients see.

The page decides what exists and what is listed; a document only adds to it. So a document is never waited for long, and
where none comes (no mirror offers one, or none answers) the page alone is enough. Documents are kept as pages are, with
the index's own ages, by a `Catalog` of their own, to which "none is offered" is an absence.

It knows no HTTP. Whoever asks says where the links lead.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from packaging.utils import canonicalize_version

from pypicache.errors import NotFound, ProjectNotFound, UpstreamError
from pypicache.events import Observer
from pypicache.index import facts
from pypicache.index.catalog import Catalog
from pypicache.index.entry import Entry, Outcome, Page
from pypicache.index.lru import ByteLRU
from pypicache.index.rendering import Rendering, compress
from pypicache.index.serving import Serving
from pypicache.index.tasks import Tasks
from pypicache.offload import Offload
from pypicache.rules import policy
from pypicache.rules.freshness import Windows
from pypicache.simple import legacy, model
from pypicache.simple.links import packages_path
from pypicache.simple.model import ProjectName
from pypicache.store.pages import PageStore
from pypicache.upstream.source import LegacySource, NotModified

WITHIN = 4.0
"""Seconds that a client waits for a mirror's document, once the page is there. The question goes on behind."""

RETRY = 60.0
"""Seconds for which nobody asks again after no mirror answered."""

FORMAT = "1"
"""Part of every ETag; raise it when a rendering changes."""

_REMEMBERED = 256 << 10


@dataclass(frozen=True, slots=True)
class LegacyAnswer:
    """A document as it can be sent; its body is made when it is asked for."""

    etag: str
    """Strong, quoted; another one for each content, base of links, and coding."""
    checked_at: float
    outcome: Outcome
    collapsed: bool
    page: Page
    document: bytes | None
    version: str | None
    packages: str
    coding: str


class Documents:
    """Asks for mirrors' documents, for a `Catalog`: the key is `name` or `name/version`. One mirror's word is enough."""

    def __init__(self, source: LegacySource, clock: Callable[[], float]) -> None:
        self._source = source
        self._clock = clock

    async def ask(
        self, project: ProjectName, held: Entry | None, page: bytes | None
    ) -> tuple[Entry, bytes | None]:
        """The document, or an absence where none is offered."""
        name, _, version = project.partition("/")
        known = held.validators if held is not None and page is not None else None
        answer = await self._source.legacy(ProjectName(name), version or None, known)
        now = self._clock()
        if answer is None:
            return Entry(checked_at=now, asked_at=now), None
        document = page if isinstance(answer, NotModified) else answer.document
        assert document is not None, "unchanged, compared with nothing"
        validators = answer.validators
        entry = Entry(
            checked_at=now,
            asked_at=now,
            page_digest=hashlib.sha256(document).hexdigest(),
            origin=validators.origin,
            answered=validators.origin,
            etag=validators.etag,
            last_modified=validators.last_modified,
            body_digest=validators.body_digest,
        )
        return entry, None if document is page else document


class Legacy:
    """The legacy JSON of one index. Use as an async context manager. `renderings`, and `pages`, may be shared with pages."""

    def __init__(
        self,
        *,
        index: Serving,
        source: LegacySource,
        store: PageStore,
        windows: Windows,
        renderings: ByteLRU[str, Rendering],
        offload: Offload,
        clock: Callable[[], float],
        observer: Observer,
        offline: bool = False,
        pages: ByteLRU[str, bytes] | None = None,
        within: float = WITHIN,
    ) -> None:
        self._index = index
        self._documents = Catalog(
            index=f"+legacy/{index.name}",  # a name that no index can have
            asker=Documents(source, clock),
            store=store,
            # That a mirror offers none is believed for as long as a document: it is no news, as a new project is.
            windows=replace(windows, negative_ttl=windows.ttl),
            clock=clock,
            observer=observer,
            offline=offline,
            pages=pages,
        )
        self._renderings = renderings
        self._offload = offload
        self._clock = clock
        self._within = within
        self._failed: ByteLRU[ProjectName, float] = ByteLRU(_REMEMBERED)
        self._making: dict[str, asyncio.Task[Rendering]] = {}
        self._tasks = Tasks()

    async def __aenter__(self) -> Self:
        await self._documents.__aenter__()
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._tasks.__aexit__(kind, error, trace)
        await self._documents.__aexit__(kind, error, trace)

    def forget(self) -> None:
        """Let go of the documents that memory holds."""
        self._documents.forget()

    async def answer(
        self,
        project: ProjectName,
        version: str | None,
        *,
        packages: str,
        coding: str,
        revalidate: bool = False,
    ) -> LegacyAnswer:
        """What the index has to say. `packages` is the absolute URL that paths of files are appended to.

        Raises what the project's page raises, and NotFound for a version that the page doesn't know.
        """
        page = await self._index.page(project, revalidate=revalidate)
        key = project
        if version is not None:
            # Before a mirror hears of it: or anyone could have it asked for versions without end.
            if not await self._offload.run(len(page.data), has_version, page.data, version):
                raise NotFound(f"{self._index.name}: {project} has no version {version}")
            version = canonicalize_version(version)
            key = ProjectName(f"{project}/{version}")
        held = await self._document(key, revalidate=revalidate)
        latest = page if held is None or page.outcome is not Outcome.HIT else held
        return LegacyAnswer(
            etag=_etag(
                page.digest,
                page.facts_digest,
                "" if held is None else held.digest,
                version or "",
                packages,
                coding,
            ),
            checked_at=page.checked_at,
            outcome=latest.outcome,
            collapsed=latest.collapsed,
            page=page,
            document=None if held is None else held.data,
            version=version,
            packages=packages,
            coding=coding,
        )

    async def body(self, answer: LegacyAnswer) -> bytes:
        """The answer's bytes in its coding, made at most once."""
        if (made := self._renderings.get(answer.etag)) is not None:
            return made.body
        task = self._making.get(answer.etag)
        if task is None:
            task = self._tasks.start(self._make(answer), name=f"legacy JSON of {answer.page.project}")
            self._making[answer.etag] = task
            task.add_done_callback(lambda _: self._making.pop(answer.etag, None))
        return (await asyncio.shield(task)).body

    async def _make(self, answer: LegacyAnswer) -> Rendering:
        weight = len(answer.page.data) + len(answer.page.facts) + len(answer.document or b"")
        body = await self._offload.run(
            weight,
            render,
            answer.page.data,
            answer.page.facts,
            answer.document,
            answer.version,
            answer.packages,
            answer.coding,
        )
        if body is None:
            raise NotFound(f"{self._index.name}: {answer.page.project} has no version {answer.version}")
        made = Rendering(body=body, etag=answer.etag, coding=answer.coding)
        self._renderings.put(answer.etag, made, len(body))
        return made

    async def _document(self, key: ProjectName, *, revalidate: bool) -> Page | None:
        """The mirrors' document as it is held or comes soon; None when the page must do."""
        failed_at = self._failed.get(key)
        if failed_at is not None and 0 <= self._clock() - failed_at < RETRY:
            return await self._documents.held(key)
        try:
            async with asyncio.timeout(self._within):
                return await self._documents.page(key, revalidate=revalidate)
        except ProjectNotFound:
            return None
        except (UpstreamError, TimeoutError):
            self._failed.put(key, self._clock(), 100 + len(key))
            return await self._documents.held(key)


def _etag(*parts: str) -> str:
    """Strong, quoted (RFC 9110 section 8.8.3); the parts are joined so that no two lists of them are the same."""
    name = hashlib.sha256("\0".join(("legacy", FORMAT, *parts)).encode()).hexdigest()
    return f'"{name[:32]}"'


def has_version(page: bytes, version: str) -> bool:
    """Whether the stored page knows that version, in any spelling (PEP 440)."""
    wanted = canonicalize_version(version)
    return any(canonicalize_version(known) == wanted for known in model.load(page).versions)


def render(
    page: bytes, learned: bytes, document: bytes | None, version: str | None, packages: str, coding: str
) -> bytes | None:
    """The document for clients, compressed; None when the page has no such version. For the helper process.

    `learned` are the facts that fill in what the page leaves out, the SHA-256 of a file that was downloaded above all.
    """
    project = policy.visible(facts.apply(model.load(page), facts.decode(learned), synthesize=False))
    body = legacy.render(
        project,
        document,
        version=version,
        href=lambda file: packages + packages_path(project.name, file.url, file.filename),
    )
    return None if body is None else compress(body, coding)
