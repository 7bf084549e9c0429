from __future__ import annotations

import hashlib
import math
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from pypicache.care import kept
from pypicache.care.kept import Damaged, Kept
from pypicache.care.stores import Stores, stores
from pypicache.index.entry import Entry
from pypicache.index.facts import Fact
from pypicache.simple import model
from pypicache.simple.model import Project, ProjectName
from pypicache.store.linkrecord import LinkRecord

PAGE = model.dump(Project(name=ProjectName("demo")))
DIGEST = hashlib.sha256(PAGE).hexdigest()
LINK = LinkRecord(
    index="root/pypi",
    project="demo",
    path="ab/demo-1.tar.gz",
    filename="demo-1.tar.gz",
    url="https://f.example/packages/ab/demo-1.tar.gz",
    origin="m",
    sha256="0" * 64,
)
KEPT = Kept(
    index="root/pypi",
    project="demo",
    entry=Entry(checked_at=100.0, page_digest=DIGEST),
    page=PAGE,
    facts={"sha256:00 demo-1.tar.gz": Fact(size=3)},
    links=(LINK,),
)


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Stores]:
    async with stores(tmp_path / "cache") as made:
        yield made


async def test_what_is_put_is_taken(opened: Stores) -> None:
    assert await kept.put(opened, KEPT, now=1000.0)
    assert await kept.take(opened, "root/pypi", "demo", [LINK]) == KEPT
    assert opened.links.get("root/pypi", LINK.path) == LINK
    assert await kept.load(kept.dump(KEPT)) == KEPT
    assert await kept.take(opened, "corp", "demo") == Kept(index="corp", project="demo")


async def test_what_is_known_better_here_stays(opened: Stores) -> None:
    here = msgspec.structs.replace(LINK, sha256="1" * 64)
    await opened.links.put(here)
    await kept.put(opened, KEPT, now=1000.0)
    older = msgspec.structs.replace(
        KEPT,
        entry=Entry(checked_at=99.0),
        page=b"",
        facts={"sha256:00 demo-1.tar.gz": Fact(size=4), "sha256:01 x": Fact(size=5)},
    )
    assert not await kept.put(opened, older, now=1000.0)
    found = await kept.take(opened, "root/pypi", "demo")
    assert (found.entry, found.page) == (KEPT.entry, PAGE)
    assert {key: fact.size for key, fact in found.facts.items()} == {
        "sha256:00 demo-1.tar.gz": 3,
        "sha256:01 x": 5,
    }
    assert opened.links.get("root/pypi", LINK.path) == here


async def test_a_clock_that_was_ahead_makes_no_page_stay_for_ever(opened: Stores) -> None:
    ahead = Entry(checked_at=1e18, asked_at=1e18, page_digest=DIGEST)
    assert await kept.put(opened, msgspec.structs.replace(KEPT, entry=ahead), now=1000.0)
    found = await kept.take(opened, "root/pypi", "demo")
    assert found.entry == Entry(checked_at=1000.0, asked_at=1000.0, page_digest=DIGEST)


def test_when_mirrors_were_asked_is_no_content() -> None:
    later = msgspec.structs.replace(KEPT, entry=Entry(checked_at=200.0, page_digest=DIGEST, etag='"x"'))
    assert kept.content(later) == kept.content(KEPT)
    assert kept.dump(later) != kept.dump(KEPT)
    assert kept.content(msgspec.structs.replace(KEPT, links=())) != kept.content(KEPT)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"project": "../demo"}, "no project is called that"),
        ({"project": "Demo"}, "no project is called that"),
        ({"project": "other", "links": ()}, "has the page of demo"),
        ({"index": "corp"}, "links of another project or index"),
        ({"page": b"x"}, "another page than it says"),
        ({"entry": None}, "another page than it says"),
        ({"page": b""}, "no page that can be read"),
        ({"entry": Entry(checked_at=math.nan, page_digest=DIGEST)}, "confirmed at no time"),
        ({"entry": Entry(checked_at=math.inf, page_digest=DIGEST)}, "confirmed at no time"),
        ({"entry": Entry(checked_at=1.0, asked_at=math.inf, page_digest=DIGEST)}, "confirmed at no time"),
        (
            {"page": b"x", "entry": Entry(checked_at=1, page_digest=hashlib.sha256(b"x").hexdigest())},
            "no page that can be read",
        ),
    ],
)
async def test_a_record_that_contradicts_itself_is_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(Damaged, match=said):
        await kept.load(kept.dump(msgspec.structs.replace(KEPT, **changes)))


async def test_what_is_no_record_is_refused() -> None:
    for data in (b"", b"\x93\x01", msgspec.msgpack.encode({"index": 3})):
        with pytest.raises(Damaged, match="a record isn't one"):
            await kept.load(data)
