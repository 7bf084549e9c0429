"""Section D of the checklist: JSON out, from JSON as mirrors really serve it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conformance.place import JSON, Place, new_name
from tests.origin import Origin
from tests.wheels import wheel

SHA = "a" * 64


def file(filename: str, **fields: Any) -> dict[str, Any]:
    base = {"filename": filename, "url": f"../../packages/{filename}", "hashes": {"sha256": SHA}, "size": 10}
    return {**base, **{key.replace("_", "-"): value for key, value in fields.items()}}


def serve(origin: Origin, page: dict[str, Any], **options: Any) -> str:
    """A project whose page is this JSON, with NAME in it replaced; the project's name."""
    name = new_name("json")
    body = json.dumps(page).replace("NAME", name).encode()
    origin.project(name, form="json", body=body, **options)
    return name


def read(place: Place, *files: Any, **page: Any) -> dict[str, Any]:
    """The page through the daemon, of an origin that lists these files."""
    content = {
        "meta": {"api-version": "1.1"},
        "name": "NAME",
        "versions": ["1.0"],
        "files": list(files),
        **page,
    }
    return place.json(serve(place.origin, content))


def read_file(place: Place, **fields: Any) -> dict[str, Any]:
    (found,) = read(place, file("NAME-1.0.tar.gz", **fields))["files"]
    assert isinstance(found, dict)
    return found


def test_d1_versions_are_those_that_the_index_states_without_duplicates(place: Place) -> None:
    """It knows which release a file belongs to: real ones list `1.10.0.post2` of numpy under another version."""
    files = (
        file("NAME-1.0.tar.gz"),
        file("NAME-2.0-py3-none-any.whl"),
        file("NAME-1.0-3build-py3-none-any.whl"),
    )
    assert read(place, *files, versions=["0.9", "1.0", "0.9"])["versions"] == ["0.9", "1.0"]


def test_d1_versions_of_the_files_where_the_index_states_none(place: Place) -> None:
    files = (
        file("NAME-1.0.tar.gz"),
        file("NAME-2.0-py3-none-any.whl"),
        file("NAME-1.0-3build-py3-none-any.whl"),
    )
    assert read(place, *files, versions=[])["versions"] == ["1.0", "2.0"]


@pytest.mark.parametrize(
    ("given", "kept"), [(None, {}), ({}, {}), ({"SHA256": SHA.upper()}, {"sha256": SHA})]
)
def test_d2_hashes_are_always_an_object_in_lower_case(place: Place, given: Any, kept: Any) -> None:
    assert read_file(place, hashes=given)["hashes"] == kept


def test_d2_a_file_without_hashes_is_listed_with_none(place: Place) -> None:
    bare = {"filename": "NAME-1.0.tar.gz", "url": "NAME-1.0.tar.gz"}
    (found,) = read(place, bare)["files"]
    assert found["hashes"] == {}


def test_d3_no_field_is_null(place: Place) -> None:
    """A whole page is refused by uv for `"size": null`; what isn't known is left out."""
    fields = ("size", "upload_time", "yanked", "requires_python", "provenance", "core_metadata", "gpg_sig")
    found = read_file(place, **dict.fromkeys(fields))
    assert None not in found.values()
    assert found["yanked"] is False


@pytest.mark.parametrize(
    ("mark", "json_mark", "html_mark"),
    [
        (False, False, None),
        (True, True, ""),
        ("", True, ""),
        ("a reason", "a reason", "a reason"),
        (1, True, ""),
        (None, False, None),
    ],
)
def test_d4_d14_case_14_yank_marks(place: Place, mark: Any, json_mark: Any, html_mark: str | None) -> None:
    """Never an empty string, which clients read differently; and a mark is never lost."""
    name = serve(place.origin, {"meta": {}, "name": "NAME", "files": [file("NAME-1.0.tar.gz", yanked=mark)]})
    assert place.json(name)["files"][0]["yanked"] == json_mark
    assert place.html(name).anchors[0].get("data-yanked") == html_mark


def test_d14_case_15_an_unyanked_file_shows_at_the_next_refresh(eager: Place) -> None:
    item = wheel(new_name("unyanked"), "1.0")
    eager.origin.add(item, yanked="oops")
    link = eager.link(item)
    assert eager.get(link).body == item.data
    assert eager.json(item.name)["files"][0]["yanked"] == "oops"
    eager.origin.add(item, yanked=False)
    assert eager.json(item.name)["files"][0]["yanked"] is False
    assert eager.get(link).headers["cache-status"] == "pypicache; hit"


@pytest.mark.parametrize("size", [-1, "10", 1.5, 2**70, True, []])
def test_d5_an_impossible_size_is_left_out_and_the_version_lowered(place: Place, size: Any) -> None:
    page = read(place, file("NAME-1.0.tar.gz", size=size))
    assert "size" not in page["files"][0]
    assert page["meta"]["api-version"] == "1.0"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("2024-01-02T03:04:05Z", "2024-01-02T03:04:05Z"),
        ("2024-01-02T03:04:05.123456Z", "2024-01-02T03:04:05.123456Z"),
        ("2024-01-02T03:04:05.1+00:00", "2024-01-02T03:04:05.1Z"),
        ("2024-01-02 03:04:05+02:00", "2024-01-02T01:04:05Z"),
        ("2024-02-30T00:00:00Z", None),
        ("yesterday", None),
        (1704164645, None),
    ],
)
def test_d6_upload_times(place: Place, given: Any, kept: str | None) -> None:
    assert read_file(place, upload_time=given).get("upload-time") == kept


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"core-metadata": {"sha256": SHA}}, {"sha256": SHA}),
        ({"dist-info-metadata": {"sha256": SHA}}, {"sha256": SHA}),
        ({"core-metadata": True}, True),
        ({"core-metadata": False, "dist-info-metadata": {"sha256": SHA}}, False),
        ({}, None),
    ],
)
def test_d7_both_names_say_the_same(place: Place, said: dict[str, Any], expected: Any) -> None:
    """A project of sdists, whose sidecars nobody could make, so that only what was said can show."""
    found = read_file(place, **said)
    assert found.get("core-metadata") == found.get("dist-info-metadata") == expected


@pytest.mark.parametrize(("given", "kept"), [(True, True), (False, False), ("yes", None), (None, None)])
def test_d8_gpg_sig(place: Place, given: Any, kept: bool | None) -> None:
    assert read_file(place, gpg_sig=given).get("gpg-sig") == kept


def test_d9_provenance_points_at_the_origin(place: Place) -> None:
    url = "https://origin.example/integrity/x/1.0/provenance"
    page = read(place, file("NAME-1.0.tar.gz", provenance=url))
    assert page["files"][0]["provenance"] == url
    assert page["meta"]["api-version"] == "1.3"
    relative = read_file(place, provenance="/integrity/y")["provenance"]
    assert relative == f"{place.origin.url}/integrity/y"


def test_d10_unknown_and_private_keys_are_dropped(place: Place) -> None:
    page = read(
        place,
        file("NAME-1.0.tar.gz", _private=1, future={"x": 1}),
        meta={"api-version": "1.1", "_last-serial": 5, "future": 1},
        future=[],
    )
    assert page["meta"] == {"api-version": "1.1"}
    assert "future" not in page
    assert not {"_private", "future"} & set(page["files"][0])


@pytest.mark.parametrize(
    ("theirs", "ours"), [("1.9", "1.4"), ("1.0", "1.1"), ("1.4", "1.4"), ("1.1.5", "1.1")]
)
def test_d11_an_unknown_minor_version_is_read(place: Place, theirs: str, ours: str) -> None:
    """Announced is what is kept here: at most 1.4, and 1.1 once every size is known."""
    assert read(place, file("NAME-1.0.tar.gz"), meta={"api-version": theirs})["meta"]["api-version"] == ours


def test_d11_another_major_version_is_no_page(eager: Place) -> None:
    """Nothing held: 503. Something held: that."""
    page = {"meta": {"api-version": "1.1"}, "name": "NAME", "files": [file("NAME-1.0.tar.gz")]}
    name = serve(eager.origin, page)
    two = json.dumps({**page, "meta": {"api-version": "2.0"}}).replace("NAME", name).encode()
    assert eager.page(name).status == 200
    eager.origin.project(name, body=two)
    stale = eager.page(name)
    assert (stale.status, stale.headers["cache-status"]) == (200, "pypicache; hit; detail=stale-if-error")
    fresh = serve(eager.origin, {"meta": {"api-version": "2.0"}, "files": []})
    assert eager.page(fresh).status == 503


def test_d12_tracks_and_alternate_locations_pass_through(place: Place) -> None:
    """PEP 708: `tracks` is in meta, `alternate-locations` on the page; both are URLs of project pages."""
    page = read(
        place,
        file("NAME-1.0.tar.gz"),
        meta={"api-version": "1.2", "tracks": ["https://other.example/simple/NAME/"]},
        **{"alternate-locations": ["https://third.example/simple/NAME/"]},
    )
    name = page["name"]
    assert page["meta"]["tracks"] == [f"https://other.example/simple/{name}/"]
    assert page["alternate-locations"] == [f"https://third.example/simple/{name}/"]
    html = place.html(name)
    assert html.meta("pypi:tracks") == page["meta"]["tracks"]
    assert html.meta("pypi:alternate-locations") == page["alternate-locations"]
    assert "tracks" not in read(place, file("NAME-1.0.tar.gz"))["meta"]


def test_d13_both_forms_list_the_same_files(place: Place) -> None:
    name = serve(
        place.origin,
        {
            "meta": {"api-version": "1.1"},
            "files": [
                file("NAME-1.0.tar.gz", requires_python=">=3", yanked="é\N{SNAKE}"),
                file("NAME-2.0-py3-none-any.whl", core_metadata=True, upload_time="2024-01-01T00:00:00Z"),
            ],
        },
    )
    listed, anchors = place.json(name)["files"], place.html(name).anchors
    assert len(listed) == len(anchors) == 2
    for one, anchor in zip(listed, anchors, strict=True):
        assert anchor["text"] == one["filename"]
        assert anchor["href"] == f"{one['url']}#sha256={SHA}"
        assert anchor["data-size"] == str(one["size"])
        assert anchor.get("data-upload-time") == one.get("upload-time")
        assert anchor.get("data-requires-python") == one.get("requires-python")
        assert anchor.get("data-yanked", False) == one["yanked"]
    assert "é\N{SNAKE}".encode() in place.page(name, accept=JSON).body


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (">=3.7, !=3.8.*", ">=3.7, !=3.8.*"),
        (">=2.7,!=3.0.*,<4", ">=2.7,!=3.0.*,<4"),
        (">=3.6.*", ">=3.6.*"),
        ("junk <&>", "junk <&>"),
        ("", None),
        (None, None),
    ],
)
def test_case_16_requires_python_is_verbatim(place: Place, text: str | None, kept: str | None) -> None:
    assert read_file(place, requires_python=text).get("requires-python") == kept


def test_case_38_39_broken_files_are_dropped_and_the_page_is_kept(place: Place) -> None:
    """Wrong types per file cost that file; of two of one name the first stays."""
    page = read(
        place,
        file("NAME-1.0.tar.gz"),
        file("NAME-1.0.tar.gz", size=99),
        file("NAME-2.0.tar.gz", url=5),
        {"filename": ["x"]},
        None,
        file("../NAME-3.0.tar.gz"),
        file("NAME-4.0.tar.gz", requires_python={"a": 1}, size="big"),
    )
    names = [each["filename"].partition("-")[2] for each in page["files"]]
    assert names == ["1.0.tar.gz", "4.0.tar.gz"]
    assert page["files"][0]["size"] == 10
    assert "requires-python" not in page["files"][1]


@pytest.mark.parametrize("number", ["NaN", "1e400", "-Infinity", "9" * 5000])
def test_case_39_numbers_beyond_reason(place: Place, number: str) -> None:
    name = new_name("json")
    one = json.dumps(file(f"{name}-1.0.tar.gz")).replace('"size": 10', f'"size": {number}')
    place.origin.project(name, form="json", body=f'{{"meta": {{}}, "files": [{one}]}}'.encode())
    assert place.json(name)["files"][0]["filename"] == f"{name}-1.0.tar.gz"


@pytest.mark.parametrize(
    "content_type",
    [
        JSON,
        f"{JSON}; charset=utf-8",
        "application/json",
        "application/octet-stream",
        "text/plain",
        "text/html",
    ],
)
def test_pages_are_known_by_their_looks(place: Place, content_type: str) -> None:
    """B4, upstream: JSON is JSON, whatever a file server calls it."""
    page = {"meta": {"api-version": "1.1"}, "name": "NAME", "files": [file("NAME-1.0.tar.gz")]}
    name = serve(place.origin, page, content_type=content_type)
    assert len(place.json(name)["files"]) == 1
