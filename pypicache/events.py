"""What happened, as values: whoever wants to know (log, metrics, tests) is a callable that takes one.

This module imports nothing of the package.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


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
    | StoreTrouble
    | Reloaded
    | ReloadRefused
)

Observer = Callable[[Event], None]
"""Takes an event, quickly, on the event loop; must not raise."""
