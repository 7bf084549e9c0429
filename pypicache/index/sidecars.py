"""Sidecars (PEP 658) for wheels whose mirror has none: made here from the wheel's own METADATA, and kept.

Ways to one, the cheapest first::

    made before, and still in the cache          nothing is read
    the wheel is in the cache                    its METADATA, read from disk
    a mirror answers ranges                      tens of kilobytes of the wheel, from one page mirror after the other
    a mirror has the wheel, without ranges       the whole download, which the cache then keeps
    nobody answers                               UpstreamError, a 503: the page advertised it, so it is never a 404

What a mirror's ranges say is checked against nothing but the zip file's CRC, as an advertised sidecar without a hash is. So
only mirrors that are trusted for facts are asked for ranges; and it is made once more when the whole, verified wheel is
in the cache, and replaced if it differs. Only such a wheel can prove that there is no METADATA to be had. Whoever asked then
gets a 503; the page stops advertising the sidecar, and from then on it is a 404.

Requests for one sidecar share the work, which goes on when they leave. What is kept is a blob like any other, named by its
digest, and a `Fact` that says which wheel it belongs to.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from pypicache.errors import (
    AllUpstreamsFailed,
    FileNotFound,
    IntegrityError,
    StoreError,
    UpstreamError,
    UpstreamGarbled,
    UpstreamRefused,
    UpstreamTimeout,
)
from pypicache.events import Observer, SidecarMade
from pypicache.index.catalog import ANSWER_WITHIN
from pypicache.index.content import Content, Stored
from pypicache.index.extract import Extractor, Found
from pypicache.index.facts import Facts
from pypicache.index.locate import SIDECAR, sidecar_of
from pypicache.index.lru import ByteLRU
from pypicache.index.tasks import Tasks
from pypicache.index.unstored import Unstored
from pypicache.offload import Offload
from pypicache.simple.metadata import MAX_HEADERS, is_metadata_of, requires_python
from pypicache.simple.model import Digest, File, ProjectName
from pypicache.store.blobs import BlobStore
from pypicache.upstream.source import Source

_ABSENT = frozenset({404, 410})

THEIRS_WITHIN = 8.0
"""Seconds without a byte after which a sidecar that a mirror promises is made instead."""

ADOPTED = 1 << 20
"""Bytes of memory of which sidecars have been learned from."""

OpenWheel = Callable[[], Awaitable[Content]]
"""Opens the wheel itself, downloading it if need be; the caller closes it."""


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A sidecar, ready to be sent."""

    content: Content
    made: bool
    """Whether it was made for this request, rather than kept from an earlier one."""
    collapsed: bool
    """Whether another request's work was shared."""


class Sidecars:
    """Makes and keeps the sidecars of one index. Use as an async context manager."""

    def __init__(
        self,
        *,
        source: Source,
        store: BlobStore,
        facts: Facts,
        offload: Offload,
        clock: Callable[[], float],
        observer: Observer,
        offline: bool = False,
        answer_within: float = ANSWER_WITHIN,
    ) -> None:
        self._source = source
        self._store = store
        self._facts = facts
        self._extractor = Extractor(offload=offload, clock=clock, observer=observer)
        self._observer = observer
        self._offline = offline
        self._answer_within = answer_within
        self._flights: dict[tuple[Digest | None, str], asyncio.Task[bytes]] = {}
        self._adopted: ByteLRU[tuple[str, str | None], bool] = ByteLRU(ADOPTED)
        self._tasks = Tasks()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._tasks.__aexit__(kind, error, trace)

    async def kept(self, project: ProjectName, file: File) -> Stored | None:
        """The sidecar of that wheel as it was made before, if it is still there and as good as can be."""
        fact = (await self._facts.of(project)).of(file)
        promised = sidecar_of(file).sha256
        if fact.sidecar is None or promised not in {None, fact.sidecar}:
            return None
        if not fact.checked and self._has_wheel(fact.sha256 or file.sha256):
            return None  # it can be made better now
        blob = self._store.open(fact.sidecar, fact.sidecar_size)
        return Stored(blob) if blob is not None else None

    async def open(
        self, project: ProjectName, origin: str, file: File, open_wheel: OpenWheel, asked_at: float
    ) -> Sidecar:
        """The sidecar of that wheel, as the page from `origin` lists it, kept or made. `asked_at` is by the loop's clock.

        Raises FileNotFound when it is known that there can't be one, UpstreamError when it can't be had now,
        IntegrityError when the page gives another hash of it.
        """
        if (kept := await self.kept(project, file)) is not None:
            return Sidecar(kept, made=False, collapsed=False)
        if (why := (await self._facts.of(project)).of(file).unreadable) is not None:
            raise FileNotFound(f"{file.filename} has no metadata sidecar: {why}")
        key = (file.best_digest, file.filename)
        flight = self._flights.get(key)
        collapsed = flight is not None
        if flight is None:
            work = self._make(project, origin, file, open_wheel)
            flight = self._flights[key] = self._tasks.start(work, name=f"sidecar of {file.filename}")
            flight.add_done_callback(lambda _: self._flights.pop(key, None))
        left = asked_at + self._answer_within - asyncio.get_running_loop().time()
        done, _ = await asyncio.wait({flight}, timeout=left)
        if not done:
            raise UpstreamError("", f"the metadata of {file.filename} isn't there yet", retry_after=2)
        return Sidecar(self._content(flight.result()), made=True, collapsed=collapsed)

    async def accept(self, project: ProjectName, file: File, content: Content) -> None:
        """Learn from a mirror's sidecar that is about to be sent. What `adopt` refuses is closed."""
        try:
            await self.adopt(project, file, content.sha256, content.data)
        except UpstreamGarbled:
            content.close()
            raise

    async def adopt(
        self, project: ProjectName, file: File, sha256: str | None, data: bytes | None = None
    ) -> None:
        """Learn from a sidecar that a mirror had, and that is stored: what is in it, and its hash if the page doesn't say.

        `data` is all of it, if that is at hand.

        Raises UpstreamGarbled where the page gives no hash and it isn't metadata of that project.
        """
        key = (f"{file.best_digest} {file.filename} {sidecar_of(file).best_digest}", sha256)
        if sha256 is None or self._adopted.get(key) is not None:
            return
        size = None if data is None else len(data)
        if data is None or size is None:
            if (blob := self._store.open(sha256)) is None:
                return
            try:
                size, data = blob.size, await asyncio.to_thread(os.pread, blob.fileno(), MAX_HEADERS, 0)
            except OSError:
                return  # whoever reads it to a client will say what is wrong with the disk
            finally:
                blob.close()
        if not sidecar_of(file).hashes and not is_metadata_of(data, project):
            raise UpstreamGarbled("", f"{file.filename + SIDECAR} isn't metadata of {project}")
        news: dict[str, str | int | bool | None] = {"requires_python": _missing(file, data)}
        if not sidecar_of(file).hashes:
            news |= {"sidecar": sha256, "sidecar_size": size, "checked": True}
        await self._facts.learn(project, file, **news)
        self._adopted.put(key, value=True, weight=400)

    def forget(self) -> None:
        """Let go of what was learned from: where its facts have gone, it is learned from again."""
        self._adopted.clear()

    def _has_wheel(self, sha256: str | None) -> bool:
        blob = self._store.open(sha256) if sha256 else None
        if blob is not None:
            blob.close()
        return blob is not None

    # The work

    async def _make(self, project: ProjectName, origin: str, file: File, open_wheel: OpenWheel) -> bytes:
        """Find the METADATA, keep it, and learn from it."""
        found = await self._find(project, origin, file, open_wheel)
        sha256 = hashlib.sha256(found.content).hexdigest()
        _check(file, found.content)
        news: dict[str, str | int | bool | None] = {
            "sidecar": sha256,
            "sidecar_size": len(found.content),
            "checked": found.whole,
            "requires_python": _missing(file, found.content),
        }
        await self._keep(f"sidecar:{file.best_digest}", sha256, found.content)
        await self._facts.learn(project, file, **news)
        self._observer(
            SidecarMade(
                filename=file.filename, size=len(found.content), origin=found.origin, fetched=found.fetched
            )
        )
        return found.content

    async def _find(self, project: ProjectName, origin: str, file: File, open_wheel: OpenWheel) -> Found:
        fact = (await self._facts.of(project)).of(file)
        sha256 = file.sha256 or fact.sha256
        if sha256 is not None and (blob := self._store.open(sha256)) is not None:
            with contextlib.suppress(StoreError):  # a disk that can't read it; the mirrors can
                return await self._of_wheel(project, file, Stored(blob))
        if self._offline:
            raise UpstreamError("", f"offline, and neither {file.filename} nor its metadata is in the cache")
        copies = self._source.copies(project, file, origin, unproven=True)
        found, failures = await self._extractor.of_copies(file, copies, file.size or fact.size)
        if found is not None:
            return found
        others = {copy.origin for copy in self._source.copies(project, file, origin)}
        if failures and all(map(_hopeless, failures)) and others <= {copy.origin for copy in copies}:
            raise AllUpstreamsFailed(file.filename + SIDECAR, failures)
        try:
            return await self._of_wheel(project, file, await open_wheel())
        except StoreError as error:
            what = f"{file.filename} can't be kept, so its metadata can't be made"
            raise UpstreamError("", f"{what}: {error}", retry_after=30) from error

    async def _of_wheel(self, project: ProjectName, file: File, wheel: Content) -> Found:
        """From the whole, verified wheel, which is closed. If it has none, that is remembered."""
        try:
            size = await wheel.whole()
            fd = wheel.fileno()
            assert fd is not None, "what is whole is in a file"
            return await self._extractor.of_file(file.filename, fd, size)
        except ValueError as error:
            await self._facts.learn(project, file, unreadable=str(error), sidecar=None, sidecar_size=None)
            raise UpstreamGarbled(
                "", f"{file.filename} has no metadata to make a sidecar of: {error}"
            ) from error
        finally:
            wheel.close()

    async def _keep(self, key: str, sha256: str, content: bytes) -> None:
        """Store it; without room, or while another process does, it is sent all the same."""
        try:
            spool = await self._store.spool(key, len(content), small=True)
        except StoreError:
            return
        try:
            await spool.write(0, [content])
            (await self._store.publish(spool, sha256)).close()
        except StoreError:
            await spool.discard()
        except BaseException:
            await asyncio.shield(spool.discard())
            raise

    def _content(self, data: bytes) -> Content:
        blob = self._store.open(hashlib.sha256(data).hexdigest(), len(data))
        return Stored(blob) if blob is not None else Unstored(data)


def _missing(file: File, metadata: bytes) -> str | None:
    """The Requires-Python that the page lacks."""
    return requires_python(metadata) if file.requires_python is None else None


def _check(file: File, content: bytes) -> None:
    """Raise IntegrityError if the page promises a sidecar that hashes otherwise."""
    promised = sidecar_of(file).best_digest
    if promised is not None:
        got = hashlib.new(promised.algorithm, content, usedforsecurity=False).hexdigest()
        if got != promised.value:
            expected = str(promised)
            raise IntegrityError(
                file.filename + SIDECAR, expected=expected, got=f"{promised.algorithm}:{got}"
            )


def _hopeless(error: UpstreamError) -> bool:
    """Whether the mirror that failed so over a range would fail over the whole file, too."""
    if isinstance(error, UpstreamRefused):
        return error.http_status is None or error.http_status in _ABSENT
    return isinstance(error, UpstreamTimeout)
