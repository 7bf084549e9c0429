"""Section E of the checklist: metadata beside files (what is made here has more tests in `scenarios/test_sidecars.py`)."""

from __future__ import annotations

import gzip

import pytest

from tests.conformance.place import Place, new_name
from tests.origin import Status
from tests.wheels import Wheel, sdist, wheel


@pytest.fixture(scope="module")
def item(place: Place) -> Wheel:
    made = wheel(new_name("beside"), "1.0", requires=[f"dependency-{number}>=1" for number in range(200)])
    place.origin.add(made)
    return made


def test_e1_what_is_advertised_is_there(place: Place, item: Wheel) -> None:
    """E1: in both forms, for every file that says so; a file that doesn't say so has none."""
    place.origin.add(sdist(item.name, "1.0"))
    for file in place.json(item.name)["files"]:
        path = f"/simple/{item.name}/../../{file['url'].removeprefix('../../')}.metadata"
        answer = place.get(path.replace(f"/simple/{item.name}/../..", ""))
        assert answer.status == (200 if file.get("core-metadata") else 404)
    advertised = [bool(anchor.get("data-core-metadata")) for anchor in place.html(item.name).anchors]
    assert advertised == [bool(file.get("core-metadata")) for file in place.json(item.name)["files"]]


def test_e2_e3_a_sidecar_is_upstreams_bytes(place: Place, item: Wheel) -> None:
    """E2: exact. E3: its own strong ETag, a length, and gzip for those who accept it."""
    path = f"{place.link(item)}.metadata"
    plain = place.get(path)
    assert plain.body == item.metadata
    assert plain.headers["content-type"] == "text/plain; charset=utf-8"
    assert plain.headers["etag"] == f'"{item.metadata_sha256}"'
    packed = place.get(path, {"Accept-Encoding": "gzip, deflate"})
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == item.metadata
    assert packed.headers["etag"] not in {plain.headers["etag"], f'"{item.sha256}"'}
    assert len(packed.body) < len(plain.body)


@pytest.mark.parametrize("advertised", [True, "bare", False])
def test_e4_e5_the_hash_is_the_sidecars_and_not_the_wheels(place: Place, advertised: bool | str) -> None:
    """E4, also once it was made here (E5) or its hash was learned."""
    made = wheel(new_name("hashed"), "1.0")
    place.origin.add(made, core_metadata=advertised)  # type: ignore[arg-type] # the three words it knows
    for _ in range(3):
        (file,) = place.json(made.name)["files"]
        assert file["core-metadata"] in (True, {"sha256": made.metadata_sha256})
        assert place.get(f"{place.link(made)}.metadata").body == made.metadata
    # What a mirror merely says is there stays its word; what it hashed, or what was made here, has its hash.
    assert advertised == "bare" or file["core-metadata"] == {"sha256": made.metadata_sha256}


def test_e1_case_28_a_promise_that_its_mirror_breaks_is_kept(place: Place) -> None:
    """E1: advertised and 404 there: made from the wheel."""
    made = wheel(new_name("promised"), "1.0")
    place.origin.add(made)
    place.origin.script(f"{made.filename}.metadata", Status(404), repeat=True)
    assert place.get(f"{place.link(made)}.metadata").body == made.metadata
