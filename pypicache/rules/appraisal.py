"""How mirrors compare, from what was measured: how far behind each one is, and in which order to ask them.

Behind
    A mirror is behind by the time for which the first file that is newer than all of its own has been on another
    mirror's page. Upload times are taken from whichever page has them, so a mirror whose own pages give none is judged, too.
    Files that it has and others don't, and old files that it never had, say nothing: mirrors keep what the index
    removes, and leave things out on purpose.

Order
    A mirror should serve pages if they came, and are at most LATE behind or no other mirror's are less; and files, if one
    came, or came from nobody. So a fast mirror that lags still brings files, which digests prove, behind one that is up to date.
    What the operator doesn't trust it for, it shouldn't. One that should serve neither is left out.
    The others stand in the order of what an install costs there: PAGES times the first byte of a page, and BYTES of files.

It measures nothing and reads no clock. `now` and upload times are seconds since 1970.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pypicache.simple.model import File, Project, ProjectName

LATE = 3600.0
"""Seconds behind that still count as up to date: replicas synchronise every few minutes to once an hour."""

PAGES, BYTES = 20, 20_000_000
"""An install, to compare mirrors by: so many pages and sidecars, and so many bytes of files."""

SMALLEST, LARGEST = 1 << 20, 64 << 20
"""Sizes of a file that tells something about throughput, and isn't a burden to the mirror."""

Serves = Literal["both", "pages", "files"]

Pages = Mapping[ProjectName, Project]
"""What one mirror answered: a page for each project that it has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """How far a mirror is behind the others."""

    seconds: float = 0.0
    """For how long it has been without the first file that is newer than all of its own; 0: it lacks none."""
    missing: int = 0
    """How many such files there are."""
    lacks: tuple[ProjectName, ...] = ()
    """Projects that it denies and another one has."""

    @property
    def late(self) -> bool:
        """Whether its pages shouldn't be the first to be asked for."""
        return self.seconds > LATE or bool(self.lacks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What counts for a mirror's place."""

    name: str
    first_byte: float | None
    """Seconds to the first byte of a page; None: there was no page."""
    rate: float | None
    """Bytes a second of a file; None: none came."""
    lag: Lag | None
    """None: there was nothing to compare it with."""
    trusted: Serves = "both"
    """What the operator trusts it for: more is never suggested."""

    @property
    def cost(self) -> float:
        """Seconds that an install takes there, roughly."""
        waiting = PAGES * (self.first_byte or 0.0)
        return waiting if not self.rate else waiting + BYTES / self.rate


@dataclass(frozen=True, slots=True)
class Place:
    """A mirror in the suggested order."""

    name: str
    serves: Serves


def lag(own: Pages, denied: Collection[ProjectName], others: Sequence[Pages], now: float) -> Lag | None:
    """How far the mirror with these pages is behind the others; None when there is nothing to compare."""
    lacks = tuple(
        sorted(name for name in denied if any(name in pages and pages[name].files for pages in others))
    )
    newer = [found for name, page in own.items() if (found := _newer(page, _same(others, name))) is not None]
    if not newer and not lacks:
        return None
    times = [time for found in newer for time in found]
    seconds = max(0.0, now - min(times)) if times else 0.0
    return Lag(seconds=seconds, missing=len(times), lacks=lacks)


def _same(others: Sequence[Pages], name: ProjectName) -> list[Project]:
    return [pages[name] for pages in others if name in pages]


def _newer(own: Project, others: Sequence[Project]) -> list[float] | None:
    """When the files were uploaded that others have and that are newer than all own ones; None when that can't be told."""
    times: dict[str, float] = {}
    for page in (own, *others):
        for file in page.files:
            time = uploaded(file)
            if time is not None:
                times[file.filename] = min(time, times.get(file.filename, time))
    mine = {file.filename for file in own.files}
    known = [times[name] for name in mine if name in times]
    if not known or not others:
        return None
    return [time for name, time in times.items() if name not in mine and time > max(known)]


def uploaded(file: File) -> float | None:
    """When the file was uploaded, if its page says so in a way that can be understood."""
    if file.upload_time is None:
        return None
    try:
        time = datetime.fromisoformat(file.upload_time)
    except ValueError:
        return None
    return time.timestamp() if time.tzinfo is not None else None


def common_file(mirrors: Sequence[Pages]) -> tuple[ProjectName, str] | None:
    """The file to measure throughput with: one that most mirrors have, large enough to tell; None: there is no file."""
    holders: Counter[tuple[ProjectName, str]] = Counter()
    sizes: dict[tuple[ProjectName, str], int] = {}
    for name, file in _files(mirrors):
        holders[name, file.filename] += 1
        if file.size is not None:
            sizes[name, file.filename] = file.size

    def worth(key: tuple[ProjectName, str]) -> tuple[int, bool, int, str]:
        size = sizes.get(key, 0)
        return holders[key], SMALLEST <= size <= LARGEST, size if size <= LARGEST else -size, key[1]

    return max(holders, key=worth, default=None)


def _files(mirrors: Sequence[Pages]) -> Iterator[tuple[ProjectName, File]]:
    for pages in mirrors:
        for name, page in pages.items():
            yield from ((name, file) for file in page.files)


def suggest(measured: Sequence[Figures]) -> tuple[Place, ...]:
    """The mirrors that are of use, in the order in which they should be asked; of equals, the first one first."""
    usable = [each for each in measured if each.first_byte is not None]
    least = min((_behind(each) for each in usable if each.trusted != "files"), default=0.0)
    nothing_came = not any(each.rate for each in usable)
    places = []
    for each in sorted(usable, key=lambda each: each.cost):
        late = each.lag is not None and each.lag.late and _behind(each) > least
        pages = each.trusted != "files" and not late
        files = each.trusted != "pages" and (each.rate is not None or nothing_came)
        if pages or files:
            places.append(Place(each.name, "both" if pages and files else "pages" if pages else "files"))
    return tuple(places)


def _behind(figures: Figures) -> float:
    """How far behind, as a number to compare by: a mirror that lacks projects is the furthest."""
    if figures.lag is None:
        return 0.0
    return float("inf") if figures.lag.lacks else figures.lag.seconds
