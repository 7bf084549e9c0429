"""The log: which events become lines of it.

An operator's log: mirrors that fail, files that are rejected, what the daemon does about it. What a line looks like is
`lines`' business. Requests have a log of their own (`web.access`).
"""

from __future__ import annotations

import logging

from pypicache.events import (
    BlobEvicted,
    DigestChanged,
    Event,
    FileRejected,
    FileStored,
    LayerSilent,
    ListRefreshed,
    MirrorFailed,
    PageRefreshed,
    PageServedStale,
    Reloaded,
    ReloadRefused,
    Shadowed,
    SidecarMade,
    StoreTrouble,
    TransferFailed,
    TransferResumed,
    Withdrawn,
)

log = logging.getLogger("pypicache.events")


def to_log(event: Event) -> None:
    """The observer that writes what an operator wants to know."""
    match event:
        case FileStored() | FileRejected() | TransferResumed() | TransferFailed() | SidecarMade():
            _file_to_log(event)
        case BlobEvicted():
            log.debug(
                "evicted %s for %s: %d bytes, unused for %.0f s",
                event.sha256,
                event.why,
                event.size,
                event.unused_for,
            )
        case PageRefreshed() | PageServedStale() | Withdrawn() | DigestChanged() | ListRefreshed():
            _page_to_log(event)
        case Shadowed() | LayerSilent():
            _layers_to_log(event)
        case Reloaded() | ReloadRefused():
            _reload_to_log(event)
        case MirrorFailed():
            log.warning("mirror failed for %s: %s", event.what, event.reason)
        case StoreTrouble():
            log.error("cache trouble: %s: %s", event.where, event.reason)


def _file_to_log(event: FileStored | FileRejected | TransferResumed | TransferFailed | SidecarMade) -> None:
    """What became of a file, or of its metadata."""
    match event:
        case FileStored():
            log.info(
                "stored %s, %d bytes from %s in %.1f s",
                event.filename,
                event.size,
                event.origin,
                event.seconds,
            )
        case FileRejected():
            log.error(
                "rejected %s from %s: expected %s, got %s",
                event.filename,
                event.origin,
                event.expected,
                event.got,
            )
        case TransferResumed():
            log.warning("%s broke at byte %d and goes on: %s", event.filename, event.offset, event.reason)
        case TransferFailed():
            log.warning("no download of %s: %s", event.filename, event.reason)
        case SidecarMade():
            where = f"{event.fetched} bytes from {event.origin}" if event.origin else "the wheel"
            log.info("made the metadata of %s, %d bytes, of %s", event.filename, event.size, where)


def _page_to_log(
    event: PageRefreshed | PageServedStale | Withdrawn | DigestChanged | ListRefreshed,
) -> None:
    """What is known of a page, or of the list of all projects, has changed or is old."""
    match event:
        case ListRefreshed():
            change = "changed" if event.changed else "unchanged"
            log.info(
                "%s: the list of %d projects from %s is %s, after %.1f s",
                event.index,
                event.count,
                event.origin,
                change,
                event.seconds,
            )
        case PageRefreshed():
            change = "changed" if event.changed else "unchanged"
            log.debug("%s: %s from %s is %s", event.index, event.project, event.origin, change)
        case PageServedStale():
            log.warning(
                "%s: %s served from %.0f s ago: %s", event.index, event.project, event.age, event.reason
            )
        case Withdrawn():
            what = _some(event.filenames) if event.filenames else "the project"
            log.warning("%s: %s: withdrawn: %s: %s", event.index, event.project, what, event.reason)
        case DigestChanged():
            log.error(
                "%s: %s lists other bytes for %s: %s instead of %s; %s",
                event.index,
                event.origin,
                event.filename,
                event.got,
                event.held,
                "followed" if event.followed else "not followed",
            )


def _layers_to_log(event: Shadowed | LayerSilent) -> None:
    """Which layer answered, and which didn't."""
    match event:
        case Shadowed():
            log.warning(
                "%s: %s is in several layers: %s answers for it, %s isn't shown",
                event.index,
                event.project,
                event.layer,
                _some(event.hidden),
            )
        case LayerSilent():
            log.warning(
                "%s: passed over %s for %s, which it denied when it last answered: %s",
                event.index,
                event.layer,
                event.project,
                event.reason,
            )


def _reload_to_log(event: Reloaded | ReloadRefused) -> None:
    """What became of a configuration that was read again."""
    match event:
        case Reloaded():
            for warning in event.warnings:
                log.warning("%s", warning)
            for name in event.fixed:
                log.warning("%s has changed in the configuration: that takes a restart", name)
            log.info("reloaded %s", event.path)
        case ReloadRefused():
            for problem in event.problems:
                log.error("%s", problem)
            log.error("not reloaded: the configuration has problems; the one before stays in force")


def _some(names: tuple[str, ...], limit: int = 5) -> str:
    """The first of the names, and how many more there are."""
    more = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {more} more" if more > 0 else "")
