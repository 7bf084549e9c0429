"""What happened, as values: whoever wants to know (log, metrics, tests) is a callable that takes one. It imports nothing of the package."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRefreshed:
    """A mirror was asked for a page and gave one, or said that it is unchanged."""

    index: str
    project: str
    origin: str
    changed: bool
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRefreshed:
    """A mirror gave its list of all projects, or said that it is unchanged."""

    index: str
    origin: str
    count: int
    changed: bool
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PageServedStale:
    """No mirror answered, so an old page was used; `reason` says how they failed."""

    index: str
    project: str
    age: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn:
    """Files that were listed aren't any more, so they are no longer handed out; their bytes are kept.

    Without file names it is the whole project: gone, or quarantined.
    """

    index: str
    project: str
    filenames: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestChanged:
    """A mirror lists other bytes under a name than were listed before; `followed` when the page lists them now."""

    index: str
    project: str
    filename: str
    origin: str
    held: str
    got: str
    followed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadowed:
    """A project exists in several layers of an index: `layer` answers for it, and `hidden` aren't shown.

    Only what is held tells it: no layer is asked for a name that another one answers for.
    """

    index: str
    project: str
    layer: str
    hidden: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerSilent:
    """A layer doesn't answer; it was passed over for a project that it is remembered to have denied."""

    index: str
    project: str
    layer: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorFailed:
    """A mirror failed to give a page or a file, and the next one is asked."""

    origin: str
    what: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileStored:
    """A file arrived whole, agreed with its digest, and was published."""

    filename: str
    sha256: str
    size: int
    origin: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRejected:
    """Bytes came that aren't the ones the page promised; they were thrown away."""

    filename: str
    origin: str
    expected: str
    got: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferResumed:
    """A download broke at `offset` and goes on, from the same mirror or another."""

    filename: str
    origin: str
    offset: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferFailed:
    """A download ended without its file."""

    filename: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SidecarMade:
    """A wheel's metadata (PEP 658) was made from the wheel, since no mirror has it.

    `fetched` bytes of the wheel came from `origin`, which is empty if the wheel was at hand.
    """

    filename: str
    size: int
    origin: str
    fetched: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobEvicted:
    """A stored file had to go: for `size` (there was no room), `age` (unused for too long) or its index's `quota`."""

    sha256: str
    size: int
    why: str
    unused_for: float
    """Seconds since its last use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreTrouble:
    """The cache directory misbehaves; serving goes on without what it would have kept."""

    where: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reloaded:
    """The configuration was read again and is in force, but for the settings `fixed`, which take a restart."""

    path: str
    fixed: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadRefused:
    """The configuration was read again and has problems, so nothing has changed."""

    problems: tuple[str, ...]


Kind = Literal["page", "file", "sidecar", "list", "legacy", "other"]
"""What a request was for: `other` has nothing to do with an index."""

Outcome = Literal[
    "hit",
    "stale",
    "stale_if_error",
    "negative",
    "shared",
    "miss",
    "revalidated",
    "absent",
    "refused",
    "failed",
    "none",
]
"""How the cache did, one word for each thing that Cache-Status says (contract.md section 4). ::

    hit             out of the cache
    stale           out of the cache, older than it should be: the mirrors took longer than `patience`
    stale_if_error  the same, since every mirror failed
    negative        "no such project", as a mirror said before
    shared          another request's question or download was shared
    miss            a mirror was asked, and what it gave was stored
    revalidated     the same, of something that was held and had become too old
    absent          "no such project", as the mirrors have just said
    refused         no page lists the file, or the index doesn't hand it out
    failed          no mirror gave a right answer
    none            the cache had no part in it
"""


@dataclass(slots=True, kw_only=True, eq=False)
class Answered:
    """A request was answered, or its client left: all that logs and metrics want to know of it.

    Not frozen, since one is made for every request and that costs three times as much. Whoever gets one only reads it. Each is
    itself only, and a key quickly found: it is the same one that comes again and again with a hot answer.
    """

    index: str
    """The index that it was for; empty when none."""
    kind: Kind
    subject: str
    """The project, or the name of the file; empty when none. Hostile text, but printable."""
    method: str
    path: str
    """As it came, percent-encoded, without the query. Hostile text."""
    client: str
    """The address at the other end of the connection, or what a trusted proxy there says it is; empty on a Unix socket."""
    status: int
    """499 where there was no response, or not all of it."""
    sent: int
    """Bytes of the response's body that went out."""
    seconds: float
    """From its first byte to the last one of its response."""
    outcome: Outcome
    mirror: str
    """The mirror that was asked for its sake and answered; empty when none."""
    request_id: str = ""
    """What names it in this log and, with luck, in others'."""


@dataclass(slots=True)
class Again:
    """An answer was given again, so many times in a second, as its record says but for what was another time. It is only to be read."""

    record: Answered
    client: str
    at: float
    """In seconds since the epoch."""
    seconds: float
    """How long each took, to a few hundredths of a millisecond."""
    times: int


class Taker(Protocol):
    """Somebody who wants to know of every answer, is told on the event loop, is quick, and doesn't raise."""

    def take(self, answered: Answered) -> None:
        """A request was answered."""
        ...

    def take_again(self, again: Sequence[Again], prefix: str, first: int) -> None:
        """Answers were given again, in that order: many are told at a time, so that each costs little.

        What names each of their requests is `prefix` and a number: `first`, and then one more each.
        """
        ...


Event = (
    PageRefreshed
    | ListRefreshed
    | PageServedStale
    | Withdrawn
    | DigestChanged
    | Shadowed
    | LayerSilent
    | MirrorFailed
    | FileStored
    | FileRejected
    | TransferResumed
    | TransferFailed
    | SidecarMade
    | BlobEvicted
    | StoreTrouble
    | Reloaded
    | ReloadRefused
)

Observer = Callable[[Event], None]
"""Takes an event, quickly, on the event loop; must not raise."""
