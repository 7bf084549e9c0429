"""The seam between what an index does and where its facts and bytes come from.

A `Source` answers for one index: a single remote (`client.Client`), or replicas of it
(`mirrors.Mirrors`). The rest of the package sees only this, and tests put a fake here.

Three answers are kept apart everywhere: a page (`Listing`), "unchanged" (`NotModified`), and
"there is no such project" (`ProjectNotFound`, only ever on a 404 or 410). Everything else is an
`UpstreamError`, which never means absence.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self

from pypicache.simple.model import File, ProjectName


@dataclass(frozen=True, slots=True)
class Validators:
    """How to ask one origin whether a page has changed (RFC 9110 section 13)."""

    origin: str
    """The mirror these came from; they say nothing to another one."""

    etag: str | None = None
    last_modified: str | None = None
    body_digest: str | None = None
    """SHA-256 of the body as it came, in hexadecimal: what decides "unchanged" where the mirror gives neither."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A project's page as one origin gave it."""

    page: bytes
    """The page as `simple.model.dump` writes it: parsed and checked, links absolute, nothing rewritten."""

    validators: Validators
    age: float = 0.0
    """Seconds that the page had spent in caches on its way here (the Age header), clamped to a sane range."""
    first_byte: float | None = field(default=None, compare=False)
    """Seconds from the question to the head of the answer; None where nobody looked."""


@dataclass(frozen=True, slots=True)
class NotModified:
    """The page is what `known` says; `validators` are the ones to keep from now on."""

    validators: Validators
    age: float = 0.0
    first_byte: float | None = field(default=None, compare=False)


class Body(Protocol):
    """An open response with (part of) a file's bytes, content coding removed from nothing: as the mirror sent them.

    Used as an async context manager; leaving it gives the connection back or drops it.
    """

    origin: str
    status: int
    """200, 206 or 416; any other status was raised as an error."""
    start: int
    """The offset of the first byte in the file: 0 for a 200."""
    total: int | None
    """The file's whole size by Content-Length or Content-Range; None when the mirror doesn't say."""
    content_range: str | None
    """The Content-Range header as it came, for `rules.resume`."""
    content_length: int | None
    """The number of bytes that this response has; None when the mirror doesn't say."""
    etag: str | None
    """The mirror's strong ETag, for If-Range; None when it has none or a weak one."""
    content_encoding: str | None
    """The coding that the mirror put on the bytes although none was asked for; None as it should be."""

    def chunks(self) -> AsyncIterator[bytes]:
        """The bytes as they arrive, in pieces of the network's size.

        Raises UpstreamTimeout when the mirror falls silent, UpstreamRefused when the connection breaks
        or ends before its Content-Length.
        """
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Share(enum.Enum):
    """What a request is for, where a file is shared out among several from the start."""

    FIRST = "first"
    """The first share: it is asked for as any file is."""
    BESIDE = "beside"
    """Another one: only over a connection that lies idle. What becomes of it says nothing of the mirror."""


class NoneIdle(Exception):
    """No connection lies idle, or not that many may be used for shares."""


class Copy(Protocol):
    """One mirror's copy of one file."""

    origin: str
    """The mirror's name."""

    connections: int
    """How many connections one file may use there at a time."""

    @property
    def idle(self) -> int:
        """How many connections may be used to share the file out; none unless they were used a moment ago, the mirror is far and serves parts."""
        ...

    async def open(
        self,
        start: int = 0,
        stop: int | None = None,
        *,
        if_range: str | None = None,
        share: Share | None = None,
        asking: Callable[[], object] | None = None,
    ) -> Body:
        """Ask for bytes [start, stop) of the file, all of it when start is 0 and stop None.

        Too many at a time wait for their turn; `asking` is called when it has come. A mirror may ignore the range: look at the body's `status` and `start`. Raises FileNotFound for
        a 404 or 410 (that mirror's fault, if its page lists the file), NoneIdle for a `share`, UpstreamError for all else.
        """
        ...


class Source(Protocol):
    """One index, wherever it is."""

    async def project(self, name: ProjectName, known: Validators | None = None) -> Listing | NotModified:
        """The project's page, or NotModified if `known` still holds.

        Raises ProjectNotFound when the answer is a confirmed no, UpstreamError when there is no answer.
        """
        ...

    def copies(
        self,
        project: ProjectName,
        file: File,
        origin: str,
        *,
        sidecar: bool = False,
        unproven: bool = False,
    ) -> Sequence[Copy]:
        """Where the file (or its sidecar) can be had, in order of preference.

        `file` is as the page from `origin` lists it; another mirror's copy is looked up on that mirror's
        own page, by name and digest, when it is opened. `unproven`: no digest will tell whether the bytes are right, so
        only mirrors that are trusted for facts are asked for them, as for a sidecar whose hash the page doesn't give.
        """
        ...


class Replicas(Source, Protocol):
    """One index by several mirrors, which can also be asked one by one."""

    @property
    def origins(self) -> Sequence[str]:
        """The mirrors' names, in order of preference."""
        ...

    async def ask(self, name: ProjectName, origins: Sequence[str]) -> Mapping[str, Listing | None]:
        """What each of these mirrors says of the project now: its page, or None for "no such project".

        Those that are silent, fail, or aren't worth asking at the moment are left out; raises nothing.
        """
        ...


@dataclass(frozen=True, slots=True)
class LegacyDocument:
    """A project's legacy JSON as one origin gave it."""

    document: bytes
    """As `simple.legacy_document.parse` writes it: checked and cleaned, links as the origin has them."""

    validators: Validators


class LegacySource(Protocol):
    """Where legacy JSON comes from. Few mirrors have it, and no answer needs it."""

    async def legacy(
        self, name: ProjectName, version: str | None = None, known: Validators | None = None
    ) -> LegacyDocument | NotModified | None:
        """The project's document, or that of one version; None where the mirrors offer none, which is no absence.

        Raises UpstreamError when there is no answer.
        """
        ...


class ListBody(Protocol):
    """An open response with a mirror's list of all projects; used as an async context manager."""

    url: str
    """Where it came from in the end: its links are relative to it."""
    content_type: str | None
    validators: Validators

    def pieces(self) -> AsyncIterator[bytes]:
        """The bytes as they arrive, content coding removed, none larger than a megabyte.

        Raises UpstreamError when it breaks off, falls silent or is out of all measure.
        """
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class ListCopy(Protocol):
    """One mirror's list of all projects (PEP 503's root page)."""

    origin: str
    """The mirror's name."""

    async def open(self, known: Validators | None = None) -> ListBody | NotModified:
        """Ask for it. Raises NotFound when the mirror says that it has none, UpstreamError when there is no answer."""
        ...


class ListSource(Protocol):
    """Where the list of all projects comes from."""

    def lists(self) -> Sequence[ListCopy]:
        """The mirrors' lists, in order of preference, without those of mirrors that are known to be dead."""
        ...
