"""What an index has beside pages and files, asked of its mirrors in order: legacy JSON, and the list of all projects.

Side questions: no page and no file waits for one, and how they go says nothing of a mirror's health, so they move no
breaker. They do look at the breakers, so that nobody waits for a mirror that is known to be dead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pypicache.errors import AllUpstreamsFailed, UpstreamError
from pypicache.events import MirrorFailed, Observer
from pypicache.simple.model import ProjectName
from pypicache.upstream.source import LegacyDocument, LegacySource, ListCopy, NotModified, Validators


class Extras:
    """One index's side questions: a `LegacySource` and a `ListSource` of `pypicache.upstream.source`.

    `willing` gives the names of the mirrors that may be asked now, the preferred first (`Mirrors.willing`).
    """

    def __init__(
        self,
        *,
        willing: Callable[[], Sequence[str]],
        legacy: Mapping[str, LegacySource],
        lists: Mapping[str, ListCopy],
        observer: Observer,
    ) -> None:
        self._willing = willing
        self._legacy = legacy
        self._lists = lists
        self._observer = observer

    async def legacy(
        self, name: ProjectName, version: str | None = None, known: Validators | None = None
    ) -> LegacyDocument | NotModified | None:
        """The document of the first mirror that offers one. None when all were asked and none does."""
        failed: list[UpstreamError] = []
        asked = self._willing()
        for mirror in asked:
            own = known if known is not None and known.origin == mirror else None
            try:
                answer = await self._legacy[mirror].legacy(name, version, own)
            except UpstreamError as error:
                failed.append(error)
                self._observer(MirrorFailed(origin=mirror, what=f"{name}'s legacy JSON", reason=str(error)))
                continue
            if answer is not None:
                return answer
        if failed or len(asked) < len(self._legacy):
            raise AllUpstreamsFailed(f"{name}'s legacy JSON", failed)
        return None

    def lists(self) -> Sequence[ListCopy]:
        """The mirrors' lists, in the order in which they may be asked now."""
        return [self._lists[mirror] for mirror in self._willing()]
