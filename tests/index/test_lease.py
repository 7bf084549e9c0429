"""How long an answer stands: as long as nothing that it was read from has changed, and nothing is to be decided."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from pypicache.errors import ProjectNotFound
from pypicache.index.entry import Entry
from pypicache.index.facts import Facts
from pypicache.index.index import Index
from pypicache.index.layered import LayeredIndex
from pypicache.index.lease import Lease
from pypicache.index.library import Library
from pypicache.index.lru import ByteLRU
from pypicache.index.page_lease import PageLeases
from pypicache.index.refresh import page_catalog
from pypicache.index.rendering import Rendering
from pypicache.index.serving import Serving
from pypicache.index.shelf import Shelf, entry_key
from pypicache.offload import Offload
from pypicache.rules.freshness import ASK_LIMIT, CLOCK_SLACK, Windows
from pypicache.simple.model import Digest, File, Project, ProjectName
from pypicache.store.generations import Generations
from pypicache.store.links import LinkStore
from pypicache.store.memory import MemoryBlobStore
from pypicache.store.pages import Mark
from tests.clock import ManualClock
from tests.fakes import DictPages, FakeSource, Recorder

NAME = ProjectName("demo")
WINDOWS = Windows(ttl=600, negative_ttl=60, patience=0.05)
NO = ProjectNotFound("no such project")
FILE = File(
    filename="demo-1.tar.gz", url="https://files.example/demo-1.tar.gz", hashes=(Digest("md5", "0" * 32),)
)


class House:
    """Indexes over scripted mirrors, by name."""

    def __init__(
        self,
        stack: AsyncExitStack,
        blobs: MemoryBlobStore,
        library: Library,
        links: LinkStore,
        clock: ManualClock,
    ) -> None:
        self._stack, self._library, self._links = stack, library, links
        self.blobs = blobs
        self.clock = clock
        self.store = DictPages()
        self.facts: dict[str, Facts] = {}
        self.mirrors: dict[str, FakeSource] = {}
        self.renderings: ByteLRU[str, Rendering] = ByteLRU(1 << 20)

    async def index(self, name: str, *files: File, offline: bool = False) -> Index:
        """An index whose mirror has the project, if there are files of it."""
        self.mirrors[name] = FakeSource(origin=name)
        self.mirrors[name].pages[NAME] = Project(name=NAME, files=files) if files else NO
        self.facts[name] = Facts(index=name, store=self.store)
        catalog = page_catalog(
            index=name,
            source=self.mirrors[name],
            store=self.store,
            windows=WINDOWS,
            clock=self.clock,
            observer=Recorder(),
            offload=Offload(),
            offline=offline,
        )
        made = Index(
            name=name,
            catalog=catalog,
            library=self._library,
            source=self.mirrors[name],
            links=self._links,
            facts=self.facts[name],
            sidecars=None,
            renderings=self.renderings,
            offload=Offload(),
            clock=self.clock,
            offline=offline,
        )
        return await self._stack.enter_async_context(made)

    async def layered(self, *layers: Serving) -> LayeredIndex:
        return LayeredIndex(
            name="dev",
            layers=[(layer, ()) for layer in layers],
            patience=0.01,
            clock=self.clock.monotonic,
            observer=Recorder(),
        )

    async def lease(self, index: Serving, *, revalidate: bool = False) -> Lease:
        """The lease of the page, which is held."""
        await index.page(NAME)
        lease = index.lease(await index.page(NAME, revalidate=revalidate), revalidate=revalidate)
        assert lease is not None
        assert lease.holds(self.clock())
        return lease


@pytest.fixture
async def house(tmp_path: Path, clock: ManualClock) -> AsyncIterator[House]:
    async with AsyncExitStack() as stack:
        blobs = await stack.enter_async_context(MemoryBlobStore(now=clock))
        links = await stack.enter_async_context(LinkStore(tmp_path))
        library = await stack.enter_async_context(Library(store=blobs, observer=Recorder()))
        yield House(stack, blobs, library, links, clock)


async def test_it_ends_before_the_page_is_to_be_refreshed(house: House) -> None:
    lease = await house.lease(await house.index("one", FILE))
    house.clock.advance(400)
    assert lease.holds(house.clock())
    house.clock.advance(80)
    assert not lease.holds(house.clock())


async def test_a_clock_that_was_set_back_ends_it(house: House) -> None:
    lease = await house.lease(await house.index("one", FILE))
    house.clock.jump(-CLOCK_SLACK - 1)
    assert not lease.holds(house.clock())


async def test_offline_it_has_no_end(house: House) -> None:
    await (await house.index("one", FILE)).page(NAME)
    lease = await house.lease(await house.index("one", offline=True))
    house.clock.advance(1e9)
    assert lease.holds(house.clock())


async def test_what_is_learned_of_a_file_ends_it(house: House) -> None:
    lease = await house.lease(await house.index("one", FILE))
    await house.facts["one"].learn(NAME, FILE, size=7)
    assert not lease.holds(house.clock())


async def test_a_page_that_has_been_confirmed_ends_it(house: House) -> None:
    """It has another age then."""
    index = await house.index("one", FILE)
    lease = await house.lease(index)
    house.clock.advance(ASK_LIMIT)
    await index.page(NAME, revalidate=True)
    assert not lease.holds(house.clock())


async def test_a_client_that_insists_may_do_so_again_soon(house: House) -> None:
    index = await house.index("one", FILE)
    lease = await house.lease(index, revalidate=True)
    house.clock.advance(ASK_LIMIT - 0.1)
    assert lease.holds(house.clock())
    house.clock.advance(0.1)
    assert not lease.holds(house.clock())


async def test_what_is_no_longer_held_has_none(house: House) -> None:
    index = await house.index("one", FILE)
    page = await index.page(NAME)
    assert index.denial(NAME) is None
    house.clock.advance(ASK_LIMIT)
    await index.page(NAME, revalidate=True)
    assert index.lease(page) is None


async def test_a_page_that_a_mirror_has_denied_has_none(house: House) -> None:
    """It is shown until that is confirmed, and asked about again soon."""
    index = await house.index("one", FILE)
    await index.page(NAME)
    house.mirrors["one"].pages[NAME] = NO
    house.clock.advance(601)
    await index.page(NAME)
    assert index.lease(await index.page(NAME)) is None


async def test_a_layer_before_it_must_go_on_denying(house: House) -> None:
    corp, public = await house.index("corp"), await house.index("public", FILE)
    lease = await house.lease(await house.layered(corp, public))
    assert corp.denial(NAME) is not None
    house.clock.advance(WINDOWS.negative_ttl)
    assert not lease.holds(house.clock())


async def test_a_layer_that_has_the_project_by_now_ends_it(house: House) -> None:
    corp, public = await house.index("corp"), await house.index("public", FILE)
    dev = await house.layered(corp, public)
    lease = await house.lease(dev)
    house.mirrors["corp"].pages[NAME] = Project(name=NAME, files=(FILE,))
    house.clock.advance(ASK_LIMIT)
    await corp.page(NAME, revalidate=True)
    assert not lease.holds(house.clock())
    assert (await dev.page(NAME)).index == "corp"


async def test_layers_of_layers_hold_together(house: House) -> None:
    corp, lab, public = await house.index("corp"), await house.index("lab"), await house.index("public", FILE)
    inner = await house.layered(corp, lab)
    outer = await house.layered(inner, public)
    lease = await house.lease(outer)
    assert len(lease.reads) == 4
    assert inner.denial(NAME) is not None
    assert outer.denial(NAME) is None
    assert inner.lease(await outer.page(NAME)) is None


@pytest.mark.parametrize("of", [lambda corp, dev: corp, lambda corp, dev: dev])
async def test_a_rendering_is_at_hand_once_it_has_been_made(
    house: House, of: Callable[[Serving, Serving], Serving]
) -> None:
    corp = await house.index("corp", FILE)
    index = of(corp, await house.layered(corp))
    page = await index.page(NAME)
    etag = index.etag(page, "json", "gzip")
    assert index.renderings(page).peek(etag) is None
    made = await index.rendering(page, "json", "gzip")
    assert index.renderings(page).peek(etag) is made


class OneOfTwo(DictPages):
    """The pages of one process of two."""

    shared = True

    def __init__(self, generations: Generations) -> None:
        super().__init__()
        self.others, self.marks = generations.others, generations.marks

    def take(self, key: str) -> bool:
        return True

    def give(self, key: str) -> None:
        """There are no turns."""


def test_what_another_process_learns_ends_a_lease_here_at_once(tmp_path: Path) -> None:
    path = tmp_path / "generations"
    Generations.make(path, 2)
    with Generations(path, number=0, count=2) as ours, Generations(path, number=1, count=2) as theirs:
        shelf = Shelf(index="root/pypi", store=OneOfTwo(ours))
        leases = PageLeases(index="root/pypi", shelf=shelf, windows=WINDOWS, offline=False)
        shelf.keep(NAME, Entry(checked_at=1000.0, asked_at=1000.0, page_digest="0" * 64))
        lease, _ = leases.of_held(NAME) or (None, "")
        assert lease is not None
        assert lease.holds(1001.0)
        ours.stored([entry_key("root/pypi", NAME)])
        assert lease.holds(1001.0)
        theirs.stored([entry_key("root/pypi", NAME)])
        assert not lease.holds(1001.0)
        assert leases.of_held(NAME) is None


class Overtaken(OneOfTwo):
    """Another process stores something between two looks at what is known."""

    def __init__(self, ours: Generations, theirs: Generations) -> None:
        super().__init__(ours)

        def marks(key: str) -> tuple[Mark, ...]:
            theirs.stored([key])
            return ours.marks(key)

        self.marks = marks


def test_no_lease_is_given_of_what_another_process_has_just_replaced(tmp_path: Path) -> None:
    path = tmp_path / "generations"
    Generations.make(path, 2)
    with Generations(path, number=0, count=2) as ours, Generations(path, number=1, count=2) as theirs:
        shelf = Shelf(index="root/pypi", store=Overtaken(ours, theirs))
        leases = PageLeases(index="root/pypi", shelf=shelf, windows=WINDOWS, offline=False)
        shelf.keep(NAME, Entry(checked_at=1000.0, asked_at=1000.0, page_digest="0" * 64))
        assert leases.of_held(NAME) is None
