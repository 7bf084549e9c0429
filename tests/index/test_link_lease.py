"""How long a link to a stored file is answered alike: its page lists it so, and its blob is there."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import msgspec
import pytest

from pypicache.index.facts import Facts
from pypicache.index.lease import Lease
from pypicache.index.serving import Serving
from pypicache.rules.freshness import ASK_LIMIT
from pypicache.simple.model import Digest, File, Project
from tests.fakes import FakeCopy, Script
from tests.index.test_lease import NAME, WINDOWS, House, house

__all__ = ["house"]


@dataclass(frozen=True)
class Thing:
    """A file of the project, its link, and its sidecar."""

    data: bytes
    filename: str = "demo-1-py3-none-any.whl"
    named: bool = True
    """Whether its page gives its SHA-256."""

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def path(self) -> tuple[str, ...]:
        return ("ab", self.filename)

    def listed(self, **fields: object) -> File:
        file = File(
            filename=self.filename,
            url=f"https://files.example/packages/ab/{self.filename}",
            hashes=(
                Digest("sha256", self.sha256)
                if self.named
                else Digest("md5", hashlib.md5(self.data).hexdigest()),
            ),
            size=len(self.data),
        )
        return msgspec.structs.replace(file, **fields)


WHEEL = Thing(b"the wheel")
SIDECAR = Thing(b"Metadata-Version: 2.1\nName: demo\nVersion: 1\n", "demo-1-py3-none-any.whl.metadata")


async def put(house: House, name: str, *things: Thing) -> None:
    """Have the mirror give these files."""
    for thing in things:
        script = Script(thing.data, total=len(thing.data))
        house.mirrors[name].files[thing.filename] = [FakeCopy(name, [script])]


async def fetch(index: Serving, thing: Thing) -> None:
    """Have the file stored, and its link known."""
    for _ in range(2):
        opened = await index.open_file(thing.path)
        assert await opened.content.whole() == len(thing.data)
        opened.content.close()
        await house_is_quiet(index)


async def house_is_quiet(index: Serving) -> None:
    for leaf in index.leaves.values():
        await leaf._notes.flush()  # type: ignore[attr-defined]


async def stored(house: House, thing: Thing = WHEEL, **fields: object) -> tuple[Serving, Lease | None]:
    """An index that has the file, and the lease of its link."""
    index = await house.index("one", thing.listed(**fields))
    await put(house, "one", thing)
    await fetch(index, thing)
    return index, index.link_lease(thing.path, thing.sha256)


async def test_a_stored_file_is_good_as_long_as_its_page_is(house: House) -> None:
    index, lease = await stored(house)
    assert lease is not None
    assert lease.holds(house.clock())
    house.clock.advance(WINDOWS.ttl)
    assert not lease.holds(house.clock())
    later = index.link_lease(WHEEL.path, WHEEL.sha256)
    assert later is None or not later.holds(house.clock())


@pytest.mark.parametrize(
    "changed",
    [
        Project(name=NAME, files=()),
        Project(name=NAME, files=(WHEEL.listed(),), status="quarantined"),
        Project(name=NAME, files=(Thing(b"others").listed(),)),
    ],
)
async def test_what_its_page_takes_away_ends_at_once(house: House, changed: Project) -> None:
    """Removed, quarantined, or replaced by other bytes."""
    index, lease = await stored(house)
    house.mirrors["one"].pages[NAME] = changed
    house.clock.advance(ASK_LIMIT)
    await index.page(NAME, revalidate=True)
    assert lease is not None
    assert not lease.holds(house.clock())
    assert index.link_lease(WHEEL.path, WHEEL.sha256) is None


async def test_a_file_that_has_gone_ends_it(house: House) -> None:
    _, lease = await stored(house)
    await house.blobs.delete(WHEEL.sha256)
    assert lease is not None
    assert not lease.holds(house.clock())


async def test_a_look_counts_as_a_use(house: House) -> None:
    _, lease = await stored(house)
    house.clock.advance(60)
    assert lease is not None
    assert lease.holds(house.clock())
    assert [info.used_at for info in house.blobs.scan()] == [house.clock()]


async def test_what_is_not_known_for_sure_has_none(house: House) -> None:
    """Another digest than that of the page, a page without one, a link that nobody has followed."""
    index, _ = await stored(house)
    assert index.link_lease(WHEEL.path, SIDECAR.sha256) is None
    assert index.link_lease(("cd", WHEEL.filename), WHEEL.sha256) is None


async def test_a_file_without_a_sha256_has_none(house: House) -> None:
    assert (await stored(house, Thing(b"the wheel", named=False)))[1] is None


async def test_a_promised_sidecar_is_good_until_more_is_learned(house: House) -> None:
    index = await house.index("one", WHEEL.listed(core_metadata=(Digest("sha256", SIDECAR.sha256),)))
    await put(house, "one", WHEEL, SIDECAR)
    await index.page(NAME)
    await fetch(index, SIDECAR)
    lease = index.link_lease(SIDECAR.path, SIDECAR.sha256)
    assert lease is not None
    assert lease.holds(house.clock())
    await house.facts["one"].learn(NAME, WHEEL.listed(), requires_python=">=3")
    assert not lease.holds(house.clock())


@pytest.mark.parametrize("checked", [False, True])
async def test_a_made_sidecar_is_good_once_it_is_of_the_verified_wheel(house: House, checked: bool) -> None:
    index, _ = await stored(house)
    facts: Facts = house.facts["one"]
    await facts.learn(NAME, WHEEL.listed(), sidecar=SIDECAR.sha256, checked=checked)
    assert (index.link_lease(SIDECAR.path, SIDECAR.sha256) is not None) == checked


async def test_layers_before_must_go_on_denying(house: House) -> None:
    corp, public = await house.index("corp"), await house.index("public", WHEEL.listed())
    await put(house, "public", WHEEL)
    dev = await house.layered(corp, public)
    await fetch(dev, WHEEL)
    lease = dev.link_lease(WHEEL.path, WHEEL.sha256)
    assert lease is not None
    assert lease.holds(house.clock())
    house.clock.advance(WINDOWS.negative_ttl)
    assert not lease.holds(house.clock())


async def test_a_layer_that_takes_over_ends_it(house: House) -> None:
    corp, public = await house.index("corp"), await house.index("public", WHEEL.listed())
    await put(house, "public", WHEEL)
    dev = await house.layered(corp, public)
    assert dev.link_lease(WHEEL.path, WHEEL.sha256) is None
    await fetch(dev, WHEEL)
    lease = dev.link_lease(WHEEL.path, WHEEL.sha256)
    house.mirrors["corp"].pages[NAME] = Project(name=NAME, files=())
    house.clock.advance(ASK_LIMIT)
    await corp.page(NAME, revalidate=True)
    assert lease is not None
    assert not lease.holds(house.clock())
    assert dev.link_lease(WHEEL.path, WHEEL.sha256) is None
