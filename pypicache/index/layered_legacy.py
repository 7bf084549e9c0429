"""Legacy JSON of an index of layers: that of the layer which answers for the project, whole.

Which one that is, its page decides, so that there is one judgement for pages, files and documents.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from pypicache.index.legacy import LegacyAnswer
from pypicache.index.serving import Serving
from pypicache.simple.model import ProjectName


class AnswersLegacy(Protocol):
    """One index's legacy JSON: `legacy.Legacy`, or `LayeredLegacy`."""

    async def answer(
        self,
        project: ProjectName,
        version: str | None,
        *,
        packages: str,
        coding: str,
        revalidate: bool = False,
    ) -> LegacyAnswer:
        """What the index has to say; see `legacy.Legacy.answer`."""
        ...

    async def body(self, answer: LegacyAnswer) -> bytes:
        """The answer's bytes in its coding, made at most once."""
        ...


class LayeredLegacy:
    """The legacy JSON of `index`; `leaves` are those of the indexes that its layers come down to, by name."""

    def __init__(self, *, index: Serving, leaves: Mapping[str, AnswersLegacy]) -> None:
        self._index = index
        self._leaves = leaves

    async def answer(
        self,
        project: ProjectName,
        version: str | None,
        *,
        packages: str,
        coding: str,
        revalidate: bool = False,
    ) -> LegacyAnswer:
        """What the layer that answers for the project has to say. Raises what the project's page raises, and NotFound."""
        page = await self._index.page(project, revalidate=revalidate)
        leaf = self._leaves[page.index]
        return await leaf.answer(project, version, packages=packages, coding=coding)

    async def body(self, answer: LegacyAnswer) -> bytes:
        """The answer's bytes in its coding, made at most once."""
        return await self._leaves[answer.page.index].body(answer)
