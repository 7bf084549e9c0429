"""Questions that can't be decided for want of memory: as an outage, not as a bug."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool

import pytest

from pypicache.errors import UpstreamError
from pypicache.index.entry import Outcome
from pypicache.index.refresh import page_catalog
from pypicache.offload import Offload
from pypicache.rules.freshness import Windows
from pypicache.simple.model import File, Project, ProjectName
from tests.clock import ManualClock
from tests.fakes import DictPages, FakeSource, Recorder

NAME = ProjectName("demo")


class Exhausted(Offload):
    """A helper process that is killed at each attempt."""

    async def run(self, weight: int, work: Callable[..., object], *args: object, **kwargs: object) -> None:  # type: ignore[override]
        await asyncio.sleep(0)
        raise BrokenProcessPool


async def test_pages_too_large_to_be_merged_leave_the_held_one(clock: ManualClock) -> None:
    """*A bad answer never replaces a good one.*"""
    source = FakeSource(Project(name=NAME))
    async with page_catalog(
        index="root/pypi",
        source=source,
        store=DictPages(),
        windows=Windows(),
        clock=clock,
        observer=Recorder(),
        offload=Exhausted(),
    ) as catalog:
        held = await catalog.page(NAME)
        source.pages[NAME] = Project(
            name=NAME, files=(File(filename="demo-1.zip", url="https://x.example.org/"),)
        )
        clock.advance(601)
        page = await catalog.page(NAME)
        assert (page.outcome, page.data) == (Outcome.STALE_IF_ERROR, held.data)
        clock.advance(40 * 86400)
        source.pages[NAME] = UpstreamError("fake", "down")
        with pytest.raises(UpstreamError, match="down"):
            await catalog.page(NAME)
