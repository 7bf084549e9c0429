"""Notes of what was stored: known from the moment that they are made."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from pypicache.errors import StoreError
from pypicache.index.facts import Facts
from pypicache.index.notes import Notes
from pypicache.index.tasks import Tasks
from pypicache.simple.model import Digest, File, ProjectName
from pypicache.store.linkrecord import LinkRecord, State
from pypicache.store.links import LinkStore
from tests.fakes import DictPages

PATH = ("aa", "demo-1.0.tar.gz")
FILE = File(filename=PATH[-1], url="https://files.example/packages/aa/demo-1.0.tar.gz")


class SlowLinks(LinkStore):
    """Links on a disk that takes as long as a test likes."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.disk = asyncio.Event()

    def put_behind(self, record: LinkRecord) -> asyncio.Future[State]:
        async def put() -> State:
            await self.disk.wait()
            return await LinkStore.put_behind(self, record)

        return asyncio.ensure_future(put())


@pytest.fixture
async def links(tmp_path: Path) -> AsyncIterator[SlowLinks]:
    async with SlowLinks(tmp_path) as opened:
        yield opened


async def test_a_link_is_remembered_before_its_record_is_on_the_disk(links: SlowLinks) -> None:
    """Else a request right after the first could take other bytes for a file whose page has no digest."""
    async with Tasks() as tasks:
        facts = Facts(index="root/pypi", store=DictPages())
        notes = Notes(index="root/pypi", links=links, facts=facts, tasks=tasks, clock=lambda: 1.0)
        for sha256 in ("a" * 64, "b" * 64):
            notes.remember(PATH, ProjectName("demo"), "origin", FILE, sha256, 10, sidecar=False)
            record = notes.record(PATH)
            assert record is not None
            assert record.sha256 == sha256
        assert links.get("root/pypi", "/".join(PATH)) is None
        assert notes.record(("aa", "other-1.0.tar.gz")) is None
        links.disk.set()
        await notes.flush()
        assert links.get("root/pypi", "/".join(PATH)) == notes.record(PATH)


class BrokenPages(DictPages):
    """Pages on a disk that can't be read."""

    async def get(self, key: str) -> bytes | None:
        raise StoreError("the disk is broken")


async def test_a_link_that_cannot_be_noted_is_not_remembered_for_ever(links: SlowLinks) -> None:
    async with Tasks() as tasks:
        facts = Facts(index="root/pypi", store=BrokenPages())
        notes = Notes(index="root/pypi", links=links, facts=facts, tasks=tasks, clock=lambda: 1.0)
        file = msgspec.structs.replace(FILE, hashes=(Digest("md5", "a" * 32),))
        notes.remember(PATH, ProjectName("demo"), "origin", file, "a" * 64, 10, sidecar=False)
        assert notes.record(PATH) is not None
        await notes.flush()
        assert notes.record(PATH) is None
