"""How long a page, or "no such project", is the answer and nobody is to be asked: the catalog's outlook on what it holds.

It looks at memory only, so that it can be asked on every request. Asking and answering is the catalog's business.
"""

from __future__ import annotations

from pypicache.index.entry import Entry, Page
from pypicache.index.lease import Lease
from pypicache.index.shelf import Shelf
from pypicache.rules import freshness
from pypicache.rules.freshness import Windows
from pypicache.simple.model import ProjectName


class PageLeases:
    """Gives the leases of what one index holds on `shelf`."""

    def __init__(self, *, index: str, shelf: Shelf, windows: Windows, offline: bool) -> None:
        self._index = index
        self._shelf = shelf
        self._windows = windows
        self._offline = offline

    def of_page(self, page: Page, *, revalidate: bool = False) -> Lease | None:
        """Of this page, of outcome HIT; None when it isn't the answer any more, or somebody is to be asked."""
        entry = self._shelf.at_hand(page.project)
        if entry is None or (entry.page_digest, entry.checked_at) != (page.digest, page.checked_at):
            return None
        return self._of(page.project, entry, revalidate=revalidate)

    def of_denial(self, project: ProjectName, *, revalidate: bool = False) -> Lease | None:
        """Of "no such project"; None when that isn't the answer."""
        entry = self._shelf.at_hand(project)
        return None if entry is None or not entry.absent else self._of(project, entry, revalidate=revalidate)

    def of_held(self, project: ProjectName) -> tuple[Lease, str] | None:
        """Of the page that is held, whichever it is, and its digest; None when there is none, or somebody is to be asked."""
        entry = self._shelf.at_hand(project)
        if entry is None or entry.page_digest is None or (lease := self._of(project, entry)) is None:
            return None
        return lease, entry.page_digest

    def _of(self, project: ProjectName, entry: Entry, *, revalidate: bool = False) -> Lease | None:
        if not entry.absent and entry.denied_at is not None and not self._offline:
            return None  # it is shown until that is confirmed, which is asked for soon
        if (reads := self._shelf.reads(project, entry)) is None:
            return None
        since, until = freshness.undisturbed(
            checked_at=entry.checked_at,
            asked_at=entry.asked_at,
            windows=self._windows,
            jitter=freshness.jitter(f"{self._index}/{project}"),
            absent=entry.absent,
            revalidate=revalidate,
            offline=self._offline,
        )
        return Lease(since, until, reads, ((self._shelf.at_hand, project),))
