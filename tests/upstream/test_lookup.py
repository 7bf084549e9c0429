"""The pages that are kept for looking files up: a bounded number of bytes, the least recently used ones go."""

from __future__ import annotations

from pypicache.offload import Offload
from pypicache.simple.model import File, Project, ProjectName, dump
from pypicache.upstream.lookup import OwnPages
from pypicache.upstream.source import Listing, NotModified, Validators
from tests.clock import ManualClock
from tests.upstream.making import file


async def test_kept_pages_are_bounded_by_bytes() -> None:
    fetched: list[ProjectName] = []
    listed = file("http://m.example.org/x")

    async def fetch(name: ProjectName, known: Validators | None) -> Listing | NotModified:
        fetched.append(name)
        padding = tuple(File(filename=f"{n}.zip", url="http://m.example.org/" + "x" * 100) for n in range(20))
        return Listing(dump(Project(name=name, files=(listed, *padding))), Validators("m"))

    a, b, c = ProjectName("a"), ProjectName("b"), ProjectName("c")
    async with Offload() as offload:
        clock = ManualClock()
        pages = OwnPages(origin="m", fetch=fetch, offload=offload, monotonic=clock.monotonic, max_bytes=7000)
        for name in (a, b, a, c, a, b):
            assert await pages.url(name, file("http://elsewhere.example.org/x")) == listed.url
    assert fetched == [a, b, c, b]
    assert pages._bytes <= 7000
