"""What an index has learned: kept by file and digest, filled into pages, never against what a page says."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from pypicache.index import facts
from pypicache.index.facts import MAX_FACTS, Fact, Facts, apply, missing
from pypicache.simple.model import Digest, File, Project, ProjectName
from tests.fakes import DictPages

NAME = ProjectName("demo")
SHA, OTHER, SIDECAR = "a" * 64, "b" * 64, "c" * 64
MD5 = "d" * 32


def wheel(**fields: Any) -> File:
    given: dict[str, Any] = {"filename": "demo-1.0-py3-none-any.whl", "hashes": (Digest("sha256", SHA),)}
    return File(url="https://files.example/demo.whl", **{**given, **fields})


def filled(file: File, fact: Fact | None = None, *, synthesize: bool = True) -> File:
    known = {} if fact is None else {f"{file.best_digest} {file.filename}": fact}
    return apply(Project(name=NAME, files=(file,)), known, synthesize=synthesize).files[0]


MADE = Fact(sidecar=SIDECAR, sidecar_size=10)
HASHED = (Digest("sha256", SIDECAR),)
THEIRS = (Digest("sha256", OTHER),)
UNREADABLE = Fact(unreadable="not a zip file")

ADVERTISED = [
    # what the page says, what is known, what is shown
    (None, None, True),
    (False, None, True),
    (True, None, True),
    (THEIRS, None, THEIRS),
    (None, MADE, HASHED),
    (False, MADE, HASHED),
    (True, MADE, True),
    (THEIRS, MADE, THEIRS),
    (None, UNREADABLE, None),
    (False, UNREADABLE, False),
    (True, UNREADABLE, None),
    (THEIRS, UNREADABLE, None),
]


@pytest.mark.parametrize(("said", "fact", "shown"), ADVERTISED)
def test_what_is_advertised(said: object, fact: Fact | None, shown: object) -> None:
    """A mirror's "no" is about the mirror; its "yes" stands, unless it is known that nobody can keep it."""
    file = wheel(core_metadata=said)
    assert filled(file, fact).core_metadata == shown
    assert filled(file, fact, synthesize=False).core_metadata == said


@pytest.mark.parametrize(
    "file",
    [
        wheel(filename="demo-1.0.tar.gz"),
        wheel(filename="demo-1.0-py3.8.egg"),
        wheel(hashes=()),
        wheel(hashes=(Digest("crc", "ff"),)),
    ],
)
def test_what_is_no_wheel_with_a_digest_is_left_alone(file: File) -> None:
    assert filled(file, MADE) == file


def test_what_the_page_lacks_is_filled_in() -> None:
    file = wheel(hashes=(Digest("md5", MD5),))
    fact = Fact(sha256=SHA, size=5, requires_python=">=3.8")
    shown = filled(file, fact, synthesize=False)
    assert shown.hashes == (Digest("md5", MD5), Digest("sha256", SHA))
    assert (shown.size, shown.requires_python) == (5, ">=3.8")


def test_what_the_page_says_is_never_overridden() -> None:
    file = wheel(size=7, requires_python=">=2.7", core_metadata=True)
    fact = Fact(sha256=OTHER, size=5, requires_python=">=3.8", sidecar=SIDECAR)
    assert filled(file, fact) == file


def test_another_file_of_the_same_name_has_none_of_its_facts() -> None:
    known = {f"sha256:{SHA} demo-1.0-py3-none-any.whl": Fact(size=5)}
    replaced = wheel(hashes=(Digest("sha256", OTHER),))
    page = Project(name=NAME, files=(replaced,))
    assert apply(page, known, synthesize=False).files == (replaced,)
    assert apply(page, {}, synthesize=False) is page


async def test_facts_outlive_a_restart_and_have_a_name() -> None:
    store = DictPages()
    first = Facts(index="root/pypi", store=store)
    nothing = await first.of(NAME)
    assert (nothing.data, nothing.digest) == (b"", "")
    await first.learn(NAME, wheel(), sidecar=SIDECAR)
    await first.learn(NAME, wheel(), requires_python=">=3.8")
    learned = await first.of(NAME)
    assert learned.of(wheel()) == Fact(sidecar=SIDECAR, requires_python=">=3.8")
    again = await Facts(index="root/pypi", store=store).of(NAME)
    assert (again.digest, again.by_file) == (learned.digest, learned.by_file)
    assert (await Facts(index="corp", store=store).of(NAME)).digest == ""
    assert (await first.of(ProjectName("other"))).digest == ""


async def test_the_name_changes_when_something_is_learned_and_only_then() -> None:
    known = Facts(index="i", store=DictPages())
    await known.learn(NAME, wheel(), size=5)
    before = await known.of(NAME)
    await known.learn(NAME, wheel(), size=5)
    await known.learn(NAME, wheel(hashes=()), size=5)
    assert await known.of(NAME) is before
    await known.learn(NAME, wheel(), size=6)
    assert (await known.of(NAME)).digest != before.digest


@pytest.mark.parametrize(
    ("listed", "unsaid"),
    [
        (wheel(size=5), {}),
        (wheel(), {"size": 5}),
        (wheel(size=5, hashes=(Digest("md5", "0" * 32),)), {"sha256": SHA}),
        (wheel(hashes=()), {"sha256": SHA, "size": 5}),
    ],
)
def test_what_a_page_does_not_say_of_a_stored_file(listed: File, unsaid: dict[str, str | int]) -> None:
    assert missing(listed, SHA, 5) == unsaid
    assert missing(listed, None, None) == {}


class SlowPages(DictPages):
    """Reads wait until they are let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()

    async def get(self, key: str) -> bytes | None:
        found = await super().get(key)
        await self.go.wait()
        return found


async def test_what_is_learned_at_the_same_time_is_all_kept() -> None:
    store = SlowPages()
    known = Facts(index="i", store=store)
    files = [wheel(filename=f"demo-{number}.0-py3-none-any.whl") for number in range(20)]
    async with asyncio.TaskGroup() as group:
        for file in files:
            group.create_task(known.learn(NAME, file, size=1))
        await asyncio.sleep(0)
        store.go.set()
    learned = await known.of(NAME)
    assert all(learned.of(file).size == 1 for file in files)
    assert facts.decode(next(iter(store.values.values()))) == dict(learned.by_file)


@pytest.mark.parametrize(
    "data", [b"damaged", b"\xc1", msgspec.msgpack.encode({"a": [1]}), msgspec.msgpack.encode([])]
)
async def test_a_damaged_record_is_no_record(data: bytes) -> None:
    store = DictPages()
    store.values["facts:i:demo"] = data
    known = Facts(index="i", store=store)
    assert (await known.of(NAME)).digest == ""
    await known.learn(NAME, wheel(), size=1)
    assert (await known.of(NAME)).of(wheel()).size == 1


async def test_the_oldest_facts_go() -> None:
    store = DictPages()
    files = [wheel(filename=f"demo-{number}-py3-none-any.whl") for number in range(MAX_FACTS)]
    old = {f"sha256:{SHA} {file.filename}": Fact(size=1) for file in files}
    store.values["facts:i:demo"] = msgspec.msgpack.encode(old)
    known = Facts(index="i", store=store)
    await known.learn(NAME, files[0], size=2)
    await known.learn(NAME, wheel(), size=3)
    learned = await known.of(NAME)
    assert len(learned.by_file) == MAX_FACTS
    assert [learned.of(file).size for file in (files[0], files[1], wheel())] == [2, None, 3]
