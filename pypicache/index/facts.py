"""What an index has learned about its files beyond what their page says: its own digests, sizes, sidecars.

A page may lack what a download shows: the SHA-256 of a file listed by MD5, its size, the hash of a sidecar made
here, the Requires-Python in it. Facts fill in what a page leaves out, when it is rendered, and never contradict it,
with one exception: a sidecar that nobody can produce isn't advertised, whatever the page says, since clients
give up on an advertised one that isn't there.

A fact belongs to (file name, digest), so a file that is replaced forgets them, and a file without a digest has none.
It belongs to one index: what another index's mirrors sent has no say here. One small record a project is kept in
the page store; when it is lost, it is learned again. It knows nothing of how facts come about.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import msgspec

from pypicache.index.lease import Lease
from pypicache.index.lru import ByteLRU
from pypicache.simple.model import Digest, File, Project, ProjectName
from pypicache.store.pages import PageStore

HELD = 8 << 20
"""Bytes of records held in memory."""

MAX_FACTS = 5000
"""Files of one project that are remembered; beyond that, the oldest facts go."""


class Fact(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What is known of one file. A field is only ever added at the end, with a default."""

    sha256: str | None = None
    """Of the file, which was downloaded and agreed with the page's own digest."""
    size: int | None = None
    """Of the file, in bytes."""
    sidecar: str | None = None
    """The SHA-256 of its sidecar (PEP 658), made here."""
    sidecar_size: int | None = None
    checked: bool = False
    """Whether the sidecar was made from the whole, verified wheel; otherwise from parts that a mirror sent."""
    requires_python: str | None = None
    """As its sidecar has it."""
    unreadable: str | None = None
    """Why no sidecar can be made of the wheel; learned only from the whole, verified wheel."""


_NOTHING = Fact()
_DECODER = msgspec.msgpack.Decoder(dict[str, Fact])


@dataclass(frozen=True, slots=True)
class Learned:
    """All facts about one project's files."""

    by_file: Mapping[str, Fact]
    data: bytes
    """As they are kept, and given to `decode`; empty when there are none."""
    digest: str
    """Names them, as part of ETags; empty when there are none."""

    def of(self, file: File) -> Fact:
        """What is known of the file; an empty fact when nothing is."""
        return self.by_file.get(_key(file), _NOTHING)


class Facts:
    """The facts of the index called `index`."""

    def __init__(self, *, index: str, store: PageStore) -> None:
        self._index = index
        self._store = store
        self._held: ByteLRU[ProjectName, Learned] = ByteLRU(HELD)
        self.at_hand = self._held.get
        """All facts of the project's files, if memory holds them."""

    def lease(self, project: ProjectName, learned: Learned) -> Lease:
        """As long as they are those."""
        return Lease(
            -math.inf, math.inf, ((self._held.peek, project, learned),), ((self._held.get, project),)
        )

    async def of(self, project: ProjectName) -> Learned:
        """What is known of the project's files. From memory, after the first time."""
        learned = self._held.get(project)
        if learned is None:
            read = _learned(await self._store.get(self._store_key(project)) or b"")
            # What was learned meanwhile is newer than the disk.
            learned = self._held.get(project) or read
            self._hold(project, learned)
        return learned

    async def learn(self, project: ProjectName, file: File, **news: str | int | bool | None) -> None:
        """Remember these fields of the file's `Fact`; of a file without a digest, nothing."""
        if file.best_digest is None:
            return
        learned = await self.of(project)
        # From here to `put` nothing is awaited: two that learn at a time don't undo each other's work.
        known = learned.of(file)
        fact = msgspec.structs.replace(known, **news)
        if fact == known:
            return
        facts = {key: value for key, value in learned.by_file.items() if key != _key(file)}
        facts[_key(file)] = fact
        for oldest in list(facts)[: len(facts) - MAX_FACTS]:
            del facts[oldest]
        data = msgspec.msgpack.encode(facts)
        self._hold(project, Learned(MappingProxyType(facts), data, _digest(data)))
        self._store.put({self._store_key(project): data})

    def forget(self, project: ProjectName | None = None) -> None:
        """Let go of what memory holds of the project, or of all; what is stored stays."""
        if project is None:
            self._held.clear()
        else:
            self._held.drop(project)

    def _hold(self, project: ProjectName, learned: Learned) -> None:
        # A decoded fact weighs about as much again, twice.
        self._held.put(project, learned, 3 * len(learned.data) + 300)

    def _store_key(self, project: ProjectName) -> str:
        return facts_key(self._index, project)


def facts_key(index: str, project: str) -> str:
    """Where the page store has the facts of that index's project."""
    return f"facts:{index}:{project}"


def missing(file: File, sha256: str | None, size: int | None) -> Mapping[str, str | int]:
    """What the page doesn't say of a file that is stored, by the fields of a `Fact`."""
    found: dict[str, str | int] = {}
    if file.sha256 is None and sha256 is not None:
        found["sha256"] = sha256
    if file.size is None and size is not None:
        found["size"] = size
    return found


def _key(file: File) -> str:
    return f"{file.best_digest} {file.filename}"


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32] if data else ""


def _learned(data: bytes) -> Learned:
    facts = decode(data)
    return Learned(MappingProxyType(facts), data, _digest(data)) if facts else Learned({}, b"", "")


def decode(data: bytes) -> dict[str, Fact]:
    """The facts in a record; none of one that is damaged, or another version's."""
    try:
        return _DECODER.decode(data) if data else {}
    except msgspec.MsgspecError:
        return {}


def can_have_sidecar(file: File) -> bool:
    """Whether a sidecar could be made for the file: a wheel whose bytes are named by a digest."""
    return file.filename.endswith(".whl") and file.best_digest is not None


def apply(project: Project, facts: Mapping[str, Fact], *, synthesize: bool) -> Project:
    """The page with what is known filled in; with `synthesize`, every wheel's sidecar is advertised, too.

    `core-metadata: false` is a mirror's word that it has no sidecar, not that there can't be one: it is taken like no word.
    """
    if not facts and not synthesize:
        return project
    files = tuple(
        _filled(file, facts.get(_key(file), _NOTHING), synthesize=synthesize) for file in project.files
    )
    return msgspec.structs.replace(project, files=files)


def _filled(file: File, fact: Fact, *, synthesize: bool) -> File:
    news: dict[str, object] = {}
    if fact.sha256 is not None and file.sha256 is None:
        news["hashes"] = (*file.hashes, Digest("sha256", fact.sha256))
    if fact.size is not None and file.size is None:
        news["size"] = fact.size
    if fact.requires_python is not None and file.requires_python is None:
        news["requires_python"] = fact.requires_python
    if synthesize and can_have_sidecar(file):
        if fact.unreadable is not None:
            if file.has_sidecar:
                news["core_metadata"] = None
        elif not file.has_sidecar:
            news["core_metadata"] = True if fact.sidecar is None else (Digest("sha256", fact.sidecar),)
    return msgspec.structs.replace(file, **news) if news else file
