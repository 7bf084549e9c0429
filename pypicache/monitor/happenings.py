"""Counts events, and remembers the last ones that an operator would want to know of.

It is an `events.Observer`. Events of one sort about one thing are one entry with a count, so that a mirror that fails a
thousand times doesn't push out everything else. Bounded; in memory only.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from pypicache.errors import one_line
from pypicache.events import (
    BlobEvicted,
    DigestChanged,
    Event,
    FileRejected,
    FileStored,
    LayerSilent,
    MirrorFailed,
    PageServedStale,
    ReloadRefused,
    StoreTrouble,
    TransferFailed,
)
from pypicache.monitor.status import TroubleStatus

ENTRIES = 50
"""How many different errors are remembered."""


class Happenings:
    """Takes events. `clock` gives seconds since the epoch."""

    def __init__(self, *, clock: Callable[[], float], entries: int = ENTRIES) -> None:
        self.counts: dict[str, int] = {}
        """How many events there were, by their class's name."""
        self.stored_bytes = 0
        """Bytes of files that were downloaded whole and published."""
        self.evicted: dict[str, tuple[int, int]] = {}
        """Files that had to go, and their bytes, by why."""
        self._clock = clock
        self._entries = entries
        self._troubles: OrderedDict[tuple[str, str, str], TroubleStatus] = OrderedDict()

    def observe(self, event: Event) -> None:
        """Count it, and remember it if it is trouble."""
        name = type(event).__name__
        self.counts[name] = self.counts.get(name, 0) + 1
        if isinstance(event, FileStored):
            self.stored_bytes += event.size
            return
        if isinstance(event, BlobEvicted):
            files, size = self.evicted.get(event.why, (0, 0))
            self.evicted[event.why] = files + 1, size + event.size
            return
        if (told := _trouble(event)) is not None:
            self._remember(name, *map(one_line, told))

    def troubles(self) -> Sequence[TroubleStatus]:
        """The last ones, the newest first."""
        return tuple(reversed(self._troubles.values()))

    def _remember(self, what: str, where: str, subject: str, reason: str) -> None:
        now = self._clock()
        new = TroubleStatus(what=what, where=where, subject=subject, reason=reason, first=now, last=now)
        key = sort_of(new)
        known = self._troubles.pop(key, None)
        if known is not None:
            new = replace(new, first=known.first, count=known.count + 1)
        self._troubles[key] = new
        if len(self._troubles) > self._entries:
            self._troubles.popitem(last=False)


def sort_of(trouble: TroubleStatus) -> tuple[str, str, str]:
    """What makes two troubles one that happened twice."""
    # A mirror fails in one way for many files: the way counts. Elsewhere the thing does.
    about = trouble.reason if trouble.what == "MirrorFailed" else trouble.subject
    return trouble.what, trouble.where, about


def _trouble(event: Event) -> tuple[str, str, str] | None:
    """Where it happened, to what, and why; None for what is no trouble."""
    match event:
        case MirrorFailed():
            return event.origin, event.what, event.reason.removeprefix(f"{event.origin}: ")
        case FileRejected():
            return event.origin, event.filename, f"wrong bytes: {event.got} instead of {event.expected}"
        case DigestChanged():
            return (
                event.origin,
                event.filename,
                f"listed with other bytes: {event.got} instead of {event.held}",
            )
        case TransferFailed():
            return "", event.filename, event.reason
        case PageServedStale():
            return event.index, event.project, f"served from {event.age:.0f} s ago: {event.reason}"
        case LayerSilent():
            return event.index, event.project, f"{event.layer} was passed over: {event.reason}"
        case StoreTrouble():
            return event.where, "", event.reason
        case ReloadRefused():
            return "configuration", "", "; ".join(event.problems)
    return None
