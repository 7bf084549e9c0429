"""Which wheels are fetched when a client comes for one: of whom, of what, and for how long it is remembered."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import pytest

from pypicache.errors import FileNotFound
from pypicache.index.entry import Outcome
from pypicache.index.serving import Opened
from pypicache.index.tasks import Tasks
from pypicache.index.together import AT_ONCE, LARGEST, LATELY, REMEMBERED, Together
from pypicache.simple.model import File
from tests.waiting import turns

if TYPE_CHECKING:
    from pypicache.index.content import Content
    from pypicache.index.serving import Serving


class Clock:
    """A clock that is set."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Sized:
    """A content of that size, which only the mirror tells."""

    def __init__(self, size: int) -> None:
        self.size: int | None = None
        self._size = size
        self.told: list[str] = []

    async def begun(self) -> None:
        self.size = self._size

    async def whole(self) -> None:
        self.told.append("whole")

    def close(self) -> None:
        self.told.append("closed")


class Shelf:
    """An index that tells what it was asked for, and has nothing; what is told of clients goes to its `together`."""

    def __init__(self) -> None:
        self.name = "root/pypi"
        self.clock = Clock()
        self.tasks = Tasks()
        self.together = Together(clock=self.clock, tasks=self.tasks)
        self.asked: list[str] = []
        self._open = self.most = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.content: Sized | None = None

    async def open_file(self, path: tuple[str, ...], _project: str | None = None) -> Opened:
        self.asked.append(path[-1])
        self._open += 1
        self.most = max(self.most, self._open)
        await asyncio.sleep(0)
        await self.gate.wait()
        self._open -= 1
        if self.content is None:
            raise FileNotFound(path[-1])
        return Opened(path[-1], cast("Content", self.content), Outcome.MISS, collapsed=False, immutable=True)

    def given(self, client: str, filename: str, size: int | None = 1000) -> None:
        """That client was given the wheel's metadata."""
        file = File(filename=filename, url=f"https://mirror.example/{filename}", size=size)
        self.together.given(client, cast("Serving", self), ("f", filename), file)

    async def comes(self, client: str, filename: str, folder: str = "f") -> None:
        """That client comes for the file; until all has been fetched that this causes."""
        self.together.asked(client, cast("Serving", self), (folder, filename))
        await self.idle()

    async def idle(self) -> None:
        """Until no task is left."""
        while len(self.tasks):
            await turns()


A, B1, B2, C = "a-1-py3-none-any.whl", "b-1-py3-none-any.whl", "B-2-py3-none-any.whl", "c-1-py3-none-any.whl"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([("one", A, 1), ("one", B1, 1), ("one", C, 2)], [C, B1]),
        ([("one", A, 1), ("one", B1, None), ("one", C, 1)], [C, B1]),
        ([("one", A, 1), ("one", B1, 1), ("one", B2, 1)], [B2]),
        ([("one", A, 1), ("one", B2, 1), ("one", B1, 1)], [B1]),
        ([("one", A, 1), ("two", C, 1)], []),
        ([("one", B1, 1), ("one", C, 1)], []),
        ([("one", A, 1), ("one", B1, LARGEST), ("one", C, LARGEST + 1)], [B1]),
        ([("one", A, 1)], []),
        ([], []),
    ],
)
async def test_the_others_that_this_client_was_given(
    given: list[tuple[str, str, int | None]], expected: list[str]
) -> None:
    """The largest first; of a project the version that was looked at last; none of another client, none that is large."""
    shelf = Shelf()
    for client, filename, size in given:
        shelf.given(client, filename, size)
    await shelf.comes("one", A)
    assert shelf.asked == expected


async def test_another_file_of_that_name_says_nothing() -> None:
    shelf, other = Shelf(), Shelf()
    other.name = "root/other"
    for filename in (A, C):
        shelf.given("one", filename)
    await shelf.comes("one", A, folder="g")
    shelf.together.asked("one", cast("Serving", other), ("f", A))
    await shelf.idle()
    assert shelf.asked == other.asked == []
    await shelf.comes("one", A)
    assert shelf.asked == [C]


@pytest.mark.parametrize(("later", "expected"), [(LATELY, [C]), (LATELY + 1, [])])
async def test_what_was_looked_at_long_ago_isnt_meant(later: float, expected: list[str]) -> None:
    shelf = Shelf()
    shelf.given("one", C)
    shelf.clock.now += later
    shelf.given("one", A)
    await shelf.comes("one", A)
    assert shelf.asked == expected


async def test_each_is_fetched_once_and_not_all_at_a_time() -> None:
    """The same client's coming for the next fetches nothing again; failures are nobody's."""
    shelf = Shelf()
    names = [f"p{number}-1-py3-none-any.whl" for number in range(3 * AT_ONCE)]
    for name in names:
        shelf.given("one", name)
    for name in names:
        await shelf.comes("one", name)
    assert sorted(shelf.asked) == sorted(names[1:])
    assert shelf.most == AT_ONCE


@pytest.mark.parametrize(("size", "told"), [(LARGEST, ["whole", "closed"]), (LARGEST + 1, ["closed"])])
async def test_a_wheel_whose_size_only_the_mirror_tells_may_be_too_large(size: int, told: list[str]) -> None:
    shelf = Shelf()
    shelf.content = Sized(size)
    for name in (A, C):
        shelf.given("one", name, None)
    await shelf.comes("one", A)
    assert shelf.content.told == told


async def test_with_another_configuration_nothing_more_is_fetched() -> None:
    """What has begun goes on; what waits for its turn, and what was looked at before, is forgotten."""
    shelf = Shelf()
    names = [f"p{number}-1-py3-none-any.whl" for number in range(2 * AT_ONCE)]
    for name in (*names, A):
        shelf.given("one", name)
    shelf.given("two", B1)
    shelf.given("two", A)
    shelf.gate.clear()
    shelf.together.asked("one", cast("Serving", shelf), ("f", A))
    while len(shelf.asked) < AT_ONCE:
        await turns()
    shelf.together.forget()
    shelf.gate.set()
    await shelf.comes("two", A)
    assert len(shelf.asked) == AT_ONCE


async def test_it_is_bounded() -> None:
    """What was given first is forgotten first."""
    shelf = Shelf()
    for number in range(REMEMBERED + 10):
        shelf.given("one", f"p{number}-1-py3-none-any.whl")
    await shelf.comes("one", "p9-1-py3-none-any.whl")
    assert shelf.asked == []
    await shelf.comes("one", "p10-1-py3-none-any.whl")
    assert len(shelf.asked) == REMEMBERED - 1
