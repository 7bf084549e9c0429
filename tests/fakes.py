"""Fakes at the seams: a source whose answers a test scripts, and an observer that remembers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from pypicache.errors import FileNotFound, PypicacheError
from pypicache.events import Event
from pypicache.simple import model
from pypicache.simple.model import File, Project, ProjectName
from pypicache.upstream.source import Copy, Listing, NotModified, Share, Validators


class Recorder:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    def of(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]


@dataclass
class Script:
    """How one opening of a copy goes: what it says of itself, its bytes, and how it ends."""

    data: bytes
    status: int = 200
    start: int = 0
    total: int | None = None
    length: int | None = None
    etag: str | None = None
    error: PypicacheError | None = None
    """Raised after the bytes."""
    gate: asyncio.Event | None = None
    """Waited for before each piece."""
    then: asyncio.Event | None = None
    """Waited for after the bytes: a mirror that has fallen silent."""
    piece: int = 64 << 10


class FakeBody:
    """An open response, as scripted."""

    def __init__(self, origin: str, script: Script) -> None:
        self.origin = origin
        self.status = script.status
        self.start = script.start
        self.total = script.total
        self.etag = script.etag
        self.content_length: int | None = script.length
        self.content_range: str | None = None
        if script.status == 206:
            total = "*" if script.total is None else script.total
            self.content_range = f"bytes {script.start}-{script.start + len(script.data) - 1}/{total}"
        self.content_encoding: str | None = None
        self._script = script

    async def chunks(self) -> AsyncIterator[bytes]:
        script = self._script
        for offset in range(0, len(script.data), script.piece):
            if script.gate is not None:
                await script.gate.wait()
            yield script.data[offset : offset + script.piece]
            await asyncio.sleep(0)
        if script.then is not None:
            await script.then.wait()
        if script.error is not None:
            raise script.error

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


@dataclass
class FakeCopy:
    """One mirror's copy: each opening takes the next step of the script; a callable step is given the range."""

    origin: str
    steps: list[Script | PypicacheError | Callable[[int, int | None], Script]]
    connections: int = 1
    idle: int = 0
    fails: Mapping[Share | None, Exception] = field(default_factory=dict)
    """What becomes of those that are asked for such a share."""
    shares: list[Share | None] = field(default_factory=list)
    opened: list[tuple[int, int | None, str | None]] = field(default_factory=list)
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when it has been opened."""

    async def open(
        self,
        start: int = 0,
        stop: int | None = None,
        *,
        if_range: str | None = None,
        share: Share | None = None,
        asking: Callable[[], object] | None = None,
    ) -> FakeBody:
        if asking is not None:
            asking()
        self.opened.append((start, stop, if_range))
        self.shares.append(share)
        self.reached.set()
        if share in self.fails:
            raise self.fails[share]
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        if isinstance(step, PypicacheError):
            raise step
        return FakeBody(self.origin, step(start, stop) if callable(step) else step)


class FakeSource:
    """An index whose pages are given; counts what it is asked."""

    def __init__(self, *projects: Project, origin: str = "fake") -> None:
        self.pages: dict[ProjectName, Project | PypicacheError] = {p.name: p for p in projects}
        self.origin = self.name = origin
        self.asked: list[tuple[ProjectName, Validators | None]] = []
        self.gate: asyncio.Event | None = None
        self.reached = asyncio.Event()
        """Set when a question has come in."""
        self.files: dict[str, Sequence[Copy]] = {}
        self.age = 0.0
        """The Age that its answers come with."""

    @property
    def origins(self) -> tuple[str, ...]:
        return (self.origin,)

    async def ask(self, name: ProjectName, origins: Sequence[str]) -> Mapping[str, Listing | None]:
        return {}

    async def project(self, name: ProjectName, known: Validators | None = None) -> Listing | NotModified:
        self.asked.append((name, known))
        self.reached.set()
        if self.gate is not None:
            await self.gate.wait()
        page = self.pages[name]
        if isinstance(page, PypicacheError):
            raise page
        data = model.dump(page)
        validators = Validators(origin=self.origin, etag=f'"{hash(data)}"')
        if known is not None and known.etag == validators.etag:
            return NotModified(validators, self.age)
        return Listing(page=data, validators=validators, age=self.age)

    def copies(
        self,
        project: ProjectName,
        file: File,
        origin: str,
        *,
        sidecar: bool = False,
        unproven: bool = False,
    ) -> Sequence[Copy]:
        name = file.filename + (".metadata" if sidecar else "")
        if name not in self.files:
            raise FileNotFound(name)
        return self.files[name]


class DictPages:
    """A page store in a dict."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}

    async def get(self, key: str) -> bytes | None:
        return self.values.get(key)

    def put(self, values: Mapping[str, bytes], expire: float | None = None) -> None:
        self.values.update(values)

    def drop(self, keys: tuple[str, ...]) -> None:
        for key in keys:
            self.values.pop(key, None)

    async def flush(self) -> None:
        return None
