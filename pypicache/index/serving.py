"""What an index can be asked for: the seam between the edge and the two kinds of index.

`index.Index` has mirrors, `layered.LayeredIndex` is made of other indexes. Both answer alike, so that the edge
doesn't know which one it talks to, and layers may themselves be layered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from pypicache.index.catalog import ANSWER_WITHIN
from pypicache.index.content import Content
from pypicache.index.entry import Outcome, Page, Standing
from pypicache.index.lease import Lease
from pypicache.index.lru import ByteLRU
from pypicache.index.rendering import Rendering
from pypicache.simple.model import File, ProjectName


@dataclass(frozen=True, slots=True)
class Opened:
    """A file, ready to be sent."""

    filename: str
    content: Content
    outcome: Outcome
    collapsed: bool
    immutable: bool
    """Whether the page names its bytes by a digest, so that a client may keep it for ever."""
    wheel: File | None = None
    """The wheel whose metadata it is, as the page lists it, if that isn't stored."""


class Serving(Protocol):
    """One named index."""

    name: str

    @property
    def leaves(self) -> Mapping[str, Serving]:
        """The indexes with mirrors that it answers from, by name: itself, or those that its layers come down to."""
        ...

    async def page(
        self, project: ProjectName, *, revalidate: bool = False, within: float = ANSWER_WITHIN
    ) -> Page:
        """The project's page, or no, `within` so many seconds. `revalidate`: the client wants the mirrors asked now.

        Raises ProjectNotFound for a confirmed absence, UpstreamError when nobody answers and nothing usable is held.
        """
        ...

    def etag(self, page: Page, form: str, coding: str) -> str:
        """The ETag of that rendering of the page, made or not."""
        ...

    async def rendering(self, page: Page, form: str, coding: str) -> Rendering:
        """The page in that form and coding, made at most once."""
        ...

    def renderings(self, page: Page) -> ByteLRU[str, Rendering]:
        """The renderings that memory holds, by ETag; the page's are among them, if any are."""
        ...

    def lease(self, page: Page, *, revalidate: bool = False) -> Lease | None:
        """How long the same request for this page, of outcome HIT, gets the same answer; None: don't count on it."""
        ...

    def denial(self, project: ProjectName, *, revalidate: bool = False) -> Lease | None:
        """How long it is "no such project", without anyone being asked; None: don't count on it."""
        ...

    def link_lease(self, path: tuple[str, ...], sha256: str) -> Lease | None:
        """How long the link at that path leads to the stored file, or sidecar, of that digest, as it did just now.

        None: don't count on it.
        """
        ...

    def stored(self, sha256: str | None, size: int | None) -> Content | None:
        """The file of that digest and size, if it is in the cache. Nothing is judged: a lease says whether a link leads there."""
        ...

    async def open_file(self, path: tuple[str, ...], project: ProjectName | None = None) -> Opened:
        """The file (or sidecar) that is linked at that path: decoded segments below `packages/`.

        With `project`, it is that project's file or none. Raises FileNotFound when no page lists it, Denied when the
        index doesn't hand it out, UpstreamError when it isn't stored and can't be had now.
        """
        ...

    async def facts_of(
        self, path: tuple[str, ...], project: ProjectName | None = None
    ) -> tuple[File, int | None, str | None]:
        """The file at that path, its size and its SHA-256, as far as they are known without downloading it.

        Takes and raises what `open_file` does.
        """
        ...

    async def standing(self, project: ProjectName) -> Standing:
        """What is remembered of the project; nobody is asked."""
        ...

    def recorded(self, path: tuple[str, ...]) -> ProjectName | None:
        """The project whose file the link led to last, if it is remembered."""
        ...

    def refresh_behind(self, project: ProjectName) -> None:
        """Have the page asked for in the background, if it is due."""
        ...
