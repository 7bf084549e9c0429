"""An index of layers, over real indexes with scripted mirrors: who is asked, who answers, and what silence means."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from pypicache.errors import (
    Denied,
    FileNotFound,
    ProjectNotFound,
    PypicacheError,
    UpstreamError,
    UpstreamRefused,
)
from pypicache.events import LayerSilent, Shadowed
from pypicache.index.entry import Outcome, Standing
from pypicache.index.facts import Facts
from pypicache.index.index import Index
from pypicache.index.layered import MAX_SHADOWS, TROUBLED, LayeredIndex
from pypicache.index.library import Library
from pypicache.index.lru import ByteLRU
from pypicache.index.refresh import page_catalog
from pypicache.index.serving import Serving
from pypicache.offload import Offload
from pypicache.rules.freshness import Windows
from pypicache.simple import model
from pypicache.simple.model import Digest, File, Project, ProjectName
from pypicache.store.links import LinkStore
from pypicache.store.memory import MemoryBlobStore
from tests.clock import ManualClock
from tests.fakes import DictPages, FakeCopy, FakeSource, Recorder, Script
from tests.wheels import Wheel, wheel

WINDOWS = Windows(patience=0.01)
DOWN = UpstreamRefused("a mirror", "connection refused")
NO = ProjectNotFound("no such project")
DEMO, APP = ProjectName("demo"), ProjectName("acme-app")
OURS, THEIRS = wheel("demo", "1.0", requires=["ours"]), wheel("demo", "9.0", requires=["theirs"])


class Pages(dict[ProjectName, Project | PypicacheError]):
    """What a mirror says: there is no project that isn't in here, and the mirror may be down."""

    def __missing__(self, name: ProjectName) -> PypicacheError:
        return NO

    def __getitem__(self, name: ProjectName) -> Project | PypicacheError:
        return DOWN if self.get(ProjectName("down")) is DOWN else super().__getitem__(name)


class Mirror(FakeSource):
    """A scripted mirror that files can be put on, and that can fail as a whole."""

    def __init__(self, origin: str) -> None:
        super().__init__(origin=origin)
        self.pages: Pages = Pages()

    def has(self, *items: Wheel, **fields: Any) -> None:
        """The project of these files is there, with no others."""
        files = tuple(
            File(
                filename=item.filename,
                url=f"https://files.example/packages/{self.origin}/{item.filename}",
                hashes=(Digest("sha256", item.sha256),),
                size=len(item.data),
            )
            for item in items
        )
        self.pages[ProjectName(items[0].name)] = Project(
            name=ProjectName(items[0].name), files=files, **fields
        )
        for item in items:
            self.files[item.filename] = [FakeCopy(self.origin, [Script(item.data, total=len(item.data))])]

    def fails(self, *, down: bool = True) -> None:
        self.pages[ProjectName("down")] = DOWN if down else NO

    def questions(self) -> list[ProjectName]:
        """The projects that it was asked for since this was last asked."""
        names = [name for name, _ in self.asked]
        self.asked.clear()
        return names


class House:
    """Indexes over mirrors of the same names, and what they share."""

    def __init__(self, stack: AsyncExitStack, library: Library, links: LinkStore, clock: ManualClock) -> None:
        self.stack, self.library, self.links, self.clock = stack, library, links, clock
        self.events = Recorder()
        self.pages = DictPages()
        self.corp, self.public = Mirror("corp"), Mirror("public")

    async def index(self, source: Mirror) -> Index:
        catalog = page_catalog(
            index=source.name,
            source=source,
            store=self.pages,
            windows=WINDOWS,
            clock=self.clock,
            observer=self.events,
            offload=Offload(),
        )
        index = Index(
            name=source.name,
            catalog=catalog,
            library=self.library,
            source=source,
            links=self.links,
            facts=Facts(index=source.name, store=self.pages),
            sidecars=None,
            renderings=ByteLRU(1 << 20),
            offload=Offload(),
            clock=self.clock,
        )
        return await self.stack.enter_async_context(index)

    def layered(self, *layers: tuple[Serving, tuple[str, ...]], name: str = "dev") -> LayeredIndex:
        return LayeredIndex(
            name=name, layers=layers, patience=0.01, clock=self.clock.monotonic, observer=self.events
        )

    async def dev(self, owns: Sequence[str] = ()) -> LayeredIndex:
        """The private index before the public one."""
        return self.layered((await self.index(self.corp), tuple(owns)), (await self.index(self.public), ()))

    def later(self) -> None:
        """Everything that is held is too old to go out unasked."""
        self.clock.advance(3600)


@pytest.fixture
async def house(tmp_path: Path, clock: ManualClock) -> AsyncIterator[House]:
    async with AsyncExitStack() as stack:
        blobs = await stack.enter_async_context(MemoryBlobStore())
        links = await stack.enter_async_context(LinkStore(tmp_path))
        library = await stack.enter_async_context(Library(store=blobs, observer=Recorder()))
        yield House(stack, library, links, clock)


async def listed(index: Serving, name: ProjectName = DEMO) -> list[str]:
    page = await index.page(name)
    return [file.filename for file in model.load(page.data).files]


async def fetched(index: Serving, *path: str) -> bytes:
    """The file at that path, all of it."""
    opened = await index.open_file(path)
    try:
        size = await opened.content.whole()
        return await opened.content.read(0, size)
    finally:
        opened.content.close()


async def test_the_first_layer_that_has_the_project_answers_whole(house: House) -> None:
    """Another layer has a newer version, which isn't shown, and isn't even asked for."""
    house.corp.has(OURS)
    house.public.has(THEIRS)
    dev = await house.dev()
    page = await dev.page(DEMO)
    assert (await listed(dev), page.index) == ([OURS.filename], "corp")
    assert not house.public.asked


async def test_only_no_such_project_moves_on(house: House) -> None:
    house.public.has(THEIRS)
    dev = await house.dev()
    assert await listed(dev) == [THEIRS.filename]
    assert (house.corp.questions(), house.public.questions()) == (["demo"], ["demo"])
    assert await listed(dev) == [THEIRS.filename]
    assert (house.corp.questions(), house.public.questions()) == ([], [])


async def test_silence_is_no_permission_to_ask_the_next(house: House) -> None:
    house.corp.fails()
    house.public.has(THEIRS)
    dev = await house.dev()
    with pytest.raises(UpstreamError, match="connection refused"):
        await dev.page(DEMO)
    with pytest.raises(UpstreamError, match="connection refused"):
        await dev.open_file(("public", THEIRS.filename))
    assert not house.public.asked


async def test_an_outage_passes_over_what_was_denied(house: House) -> None:
    """A public project that was asked for before goes on, and is said to come past the silent layer."""
    house.public.has(THEIRS)
    dev = await house.dev()
    await dev.page(DEMO)
    house.later()
    house.corp.fails()
    assert await listed(dev) == [THEIRS.filename]
    told = house.events.of(LayerSilent)
    assert [event.layer for event in told if isinstance(event, LayerSilent)] == ["corp"]


async def test_a_denial_is_no_permission_for_ever(house: House) -> None:
    house.public.has(THEIRS)
    dev = await house.dev()
    await dev.page(DEMO)
    house.corp.fails()
    house.clock.advance(WINDOWS.negative_ttl + WINDOWS.stale_if_error)
    house.public.questions()
    with pytest.raises(UpstreamError):
        await dev.page(DEMO)
    assert not house.public.asked


async def test_a_denial_and_silence_are_no_404(house: House) -> None:
    """Both layers denied the project once; now one is silent and may have it."""
    dev = await house.dev()
    with pytest.raises(ProjectNotFound, match="dev has no project demo"):
        await dev.page(DEMO)
    house.later()
    house.corp.fails()
    with pytest.raises(UpstreamError):
        await dev.page(DEMO)


async def test_its_own_pages_go_stale_in_its_outage(house: House) -> None:
    house.corp.has(OURS)
    house.public.has(THEIRS)
    dev = await house.dev()
    await dev.page(DEMO)
    house.later()
    house.corp.fails()
    page = await dev.page(DEMO)
    assert (page.index, page.outcome) == ("corp", Outcome.STALE_IF_ERROR)
    assert not house.public.asked


async def test_a_project_that_appears_in_the_first_layer_takes_over(house: House) -> None:
    house.public.has(THEIRS)
    dev = await house.dev()
    await dev.page(DEMO)
    house.corp.has(OURS)
    house.later()
    assert await listed(dev) == [OURS.filename]
    with pytest.raises(FileNotFound):
        await dev.open_file(("public", THEIRS.filename))


async def test_a_layer_that_hangs_is_not_waited_for_twice(house: House) -> None:
    """Once it was silent, what it denied comes from the next layer after `patience`, and it is asked behind."""
    house.public.has(THEIRS)
    dev = await house.dev()
    await dev.page(DEMO)
    house.later()
    house.corp.fails()
    with pytest.raises(UpstreamError):
        await dev.page(APP)
    house.corp.fails(down=False)
    house.corp.gate, house.corp.reached = asyncio.Event(), asyncio.Event()
    assert await listed(dev) == [THEIRS.filename]
    assert house.corp.reached.is_set()
    house.corp.gate.set()


async def test_however_many_layers_hang_there_is_an_answer_in_time(house: House) -> None:
    """None was silent before; each is passed over while there is time for the next one, which is told of all of them."""
    other = Mirror("other")
    layers = [(await house.index(mirror), ()) for mirror in (house.corp, other, house.public)]
    dev = house.layered(*layers)
    house.public.has(THEIRS)
    await dev.page(DEMO)
    with pytest.raises(ProjectNotFound):
        await dev.page(APP)
    house.later()
    gate = asyncio.Event()
    house.corp.gate = other.gate = gate
    async with asyncio.timeout(5):
        page = await dev.page(DEMO, within=0.2)
        assert (page.index, page.outcome) == ("public", Outcome.REVALIDATED)
        house.public.gate = gate
        with pytest.raises(UpstreamError, match=r"dev: corp: no mirror .*; other: .*; public: ") as silent:
            await dev.page(APP, within=0.2)
    assert silent.value.retry_after == 2
    gate.set()


async def test_a_layer_that_is_still_silent_is_not_waited_for_again(house: House) -> None:
    """What half a minute is counted from is when it was last silent, however short it was waited for."""
    house.public.has(THEIRS)
    dev = await house.dev()
    await dev.page(DEMO)
    house.later()
    house.corp.gate = asyncio.Event()
    async with asyncio.timeout(5):
        await dev.page(DEMO, within=3.2)
        for _ in range(3):
            house.clock.advance(TROUBLED - 1)
            await dev.page(DEMO)
    house.corp.gate.set()


async def test_owned_names_are_asked_of_their_owner_alone(house: House) -> None:
    """In both directions, also when the owner denies the name or is down."""
    app = wheel("acme-app", "1.0")
    house.public.has(app)
    house.public.has(THEIRS)
    dev = await house.dev(["acme-*"])
    with pytest.raises(ProjectNotFound):
        await dev.page(APP)
    house.later()
    house.corp.fails()
    with pytest.raises(UpstreamError):
        await dev.page(APP)
    with pytest.raises(UpstreamError):
        await dev.open_file(("public", app.filename), APP)
    assert not house.public.asked
    house.corp.questions()
    assert await listed(dev) == [THEIRS.filename]
    assert not house.corp.asked


async def test_a_name_that_nobody_may_be_asked_for_is_not_there(house: House) -> None:
    dev = house.layered((await house.index(house.corp), ("acme-*",)))
    with pytest.raises(ProjectNotFound):
        await dev.page(DEMO)
    assert await dev.standing(DEMO) is Standing.DENIED


async def test_a_file_comes_from_the_layer_that_answers_for_its_project(house: House) -> None:
    house.corp.has(OURS)
    house.public.has(THEIRS)
    dev = await house.dev()
    assert await fetched(dev, "corp", OURS.filename) == OURS.data
    with pytest.raises(FileNotFound):
        await dev.open_file(("public", THEIRS.filename))
    assert DEMO not in house.public.questions()
    file, size, sha256 = await dev.facts_of(("corp", OURS.filename))
    assert (file.filename, size, sha256) == (OURS.filename, len(OURS.data), OURS.sha256)


async def test_a_file_that_another_index_has_cached_is_judged_like_its_page(house: House) -> None:
    """It is stored, and its link is known in the public index: that is no way round the first layer."""
    house.corp.has(OURS)
    house.public.has(THEIRS)
    public = await house.index(house.public)
    assert await fetched(public, "public", THEIRS.filename) == THEIRS.data
    dev = house.layered((await house.index(house.corp), ()), (public, ()))
    with pytest.raises(FileNotFound):
        await dev.open_file(("public", THEIRS.filename))


async def test_a_refusal_is_the_layers_own(house: House) -> None:
    house.corp.has(OURS, status="quarantined")
    house.public.has(OURS)
    dev = await house.dev()
    with pytest.raises(Denied):
        await dev.open_file(("corp", OURS.filename))


async def test_cached_files_outlive_every_mirror_and_every_page(house: House) -> None:
    """Both layers are down and the pages are lost: what a link needs was kept beside the blob."""
    house.public.has(THEIRS)
    dev = await house.dev()
    assert await fetched(dev, "public", THEIRS.filename) == THEIRS.data
    house.corp.fails()
    house.public.fails()
    house.clock.advance(WINDOWS.negative_ttl + WINDOWS.stale_if_error)
    assert await fetched(dev, "public", THEIRS.filename) == THEIRS.data
    async with asyncio.timeout(5):
        while house.links.get("public", f"public/{THEIRS.filename}") is None:  # noqa: ASYNC110 - who writes records behind answers has no event for it
            await asyncio.sleep(0)
    house.pages.values.clear()
    again = await house.dev()
    assert await fetched(again, "public", THEIRS.filename) == THEIRS.data


async def test_a_project_of_two_layers_is_told_once(house: House) -> None:
    """Only what is held tells it: no layer is asked for a name that another one answers for."""
    house.public.has(THEIRS)
    dev = await house.dev()
    await dev.page(DEMO)
    house.corp.has(OURS)
    for _ in range(3):
        house.later()
        await dev.page(DEMO)
    assert house.events.of(Shadowed) == [
        Shadowed(index="dev", project="demo", layer="corp", hidden=("public",))
    ]
    assert dev.shadows == {DEMO: ("public",)}


async def test_shadows_are_bounded(house: House) -> None:
    dev = await house.dev()
    names = [ProjectName(f"demo{number}") for number in range(MAX_SHADOWS + 2)]
    for name in names:
        house.public.pages[name] = Project(name=name)
        await dev.leaves["public"].page(name)
        house.corp.pages[name] = Project(name=name)
        await dev.page(name)
    assert len(dev.shadows) == MAX_SHADOWS
    assert names[-1] in dev.shadows


async def test_what_a_page_says_of_other_indexes_passes_through(house: House) -> None:
    """PEP 708: the fields are those of the layer's page, rendered as its own index renders them."""
    house.corp.has(OURS, tracks=("https://up.example/simple/demo/",))
    house.public.has(THEIRS, alternate_locations=("https://other.example/simple/demo/",))
    dev = await house.dev()
    page = await dev.page(DEMO)
    made = await dev.rendering(page, "json", "identity")
    assert b"https://up.example/simple/demo/" in made.body
    assert b"other.example" not in made.body
    corp = dev.leaves["corp"]
    assert made == await corp.rendering(await corp.page(DEMO), "json", "identity")
    assert dev.etag(page, "json", "identity") == made.etag


async def test_layers_of_layers(house: House) -> None:
    """The inner one is one layer: silent where one of its own is, denying where all of its own deny."""
    lab = Mirror("lab")
    lab.has(wheel("demo", "3.0"))
    house.public.has(THEIRS)
    inner = await house.dev()
    outer = house.layered((inner, ()), (await house.index(lab), ()), name="outer")
    assert await listed(outer) == [THEIRS.filename]
    assert await fetched(outer, "public", THEIRS.filename) == THEIRS.data
    assert set(outer.leaves) == {"corp", "public", "lab"}
    assert not lab.asked
    lab.has(wheel("acme-app", "1.0"))
    await outer.page(APP)
    assert await inner.standing(APP) is Standing.DENIED
    house.later()
    house.corp.fails()
    assert (await outer.page(APP)).index == "lab"
    assert await fetched(outer, "lab", "acme_app-1.0-py3-none-any.whl")
    house.clock.advance(WINDOWS.negative_ttl + WINDOWS.stale_if_error)
    assert await inner.standing(APP) is Standing.LAPSED
    with pytest.raises(UpstreamError):
        await outer.page(APP)
