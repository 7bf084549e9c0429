from __future__ import annotations

import json
from typing import Any

import pytest

from pypicache.simple import fields, pep691
from pypicache.simple.model import Digest, File, Project, ProjectName

FOO = ProjectName("foo")
URL = "https://index.example.org/simple/foo/"
A64 = "a" * 64
FILE: dict[str, Any] = {
    "filename": "foo-1.0.zip",
    "url": "../../packages/foo-1.0.zip",
    "hashes": {"sha256": A64},
}


def page(*files: object, **more: object) -> Project:
    body = {"meta": {"api-version": "1.1"}, "name": "foo", "files": files, **more}
    return pep691.parse(json.dumps(body).encode(), url=URL, name=FOO)


def only(**changes: object) -> File:
    """The one file of a page, with some keys changed, as `key_name` for `key-name`."""
    file = {**FILE, **{key.replace("_", "-"): value for key, value in changes.items()}}
    (found,) = page(file).files
    return found


def rendered(*files: File, **more: Any) -> dict[str, Any]:
    project = Project(name=FOO, files=files, **more)
    parsed = json.loads(pep691.render(project, href=lambda file: f"../../packages/{file.filename}"))
    assert isinstance(parsed, dict)
    return parsed


def test_a_full_page() -> None:
    project = page(
        {
            **FILE,
            "requires-python": ">=3.7, !=3.8.*",
            "size": 7,
            "upload-time": "2024-01-02T03:04:05.678Z",
            "yanked": "why",
            "core-metadata": {"sha256": A64},
            "gpg-sig": True,
            "provenance": "https://index.example.org/p",
            "_private": 1,
        },
        meta={"api-version": "1.4", "tracks": ["https://a.example/foo/"], "_last-serial": 3},
        versions=["1.0", "0.9"],
        **{
            "alternate-locations": ["https://b.example/foo/", "javascript:x"],
            "project-status": {"status": "archived", "reason": "old"},
        },
    )
    assert project == Project(
        name=FOO,
        files=(
            File(
                filename="foo-1.0.zip",
                url="https://index.example.org/packages/foo-1.0.zip",
                hashes=(Digest("sha256", A64),),
                size=7,
                upload_time="2024-01-02T03:04:05.678Z",
                requires_python=">=3.7, !=3.8.*",
                yanked="why",
                core_metadata=(Digest("sha256", A64),),
                gpg_sig=True,
                provenance="https://index.example.org/p",
            ),
        ),
        versions=("1.0", "0.9"),
        api_version=(1, 4),
        status="archived",
        status_reason="old",
        tracks=("https://a.example/foo/",),
        alternate_locations=("https://b.example/foo/",),
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b'{"files": null}',
        b'{"files": {}}',
        b'{"info": {}, "releases": {}, "urls": []}',
        b"<html>",
        b'{"files": [',
        b'{"files": []} x',
        b"[" * 100_000,
        b'{"files": ' + b"[" * 100_000,
        b'{"a":' * 100_000,
        b"\xff\xfe{",
    ],
)
def test_what_is_no_page(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"^the page is"):
        pep691.parse(body, url=URL, name=FOO)


@pytest.mark.parametrize("name", ["foo", "FOO", "Foo", None, 5])
def test_a_page_without_a_name_or_with_another_spelling_is_taken(name: object) -> None:
    body = {"files": [FILE]} if name is None else {"files": [FILE], "name": name}
    assert pep691.parse(json.dumps(body).encode(), url=URL, name=FOO).name == FOO


@pytest.mark.parametrize("name", ["bar", "", "foo-bar", "../foo"])
def test_the_page_of_another_project_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="another project"):
        page(FILE, name=name)


@pytest.mark.parametrize("meta", [{"api-version": "2.0"}, {"api-version": 2.0}, {"api-version": 2, "x": []}])
def test_d11_another_major_version_is_refused(meta: object) -> None:
    with pytest.raises(ValueError, match="API version 2"):
        page(FILE, meta=meta)


@pytest.mark.parametrize(
    ("meta", "expected"),
    [
        ({"api-version": "1.9"}, (1, 4)),
        ({}, (1, 0)),
        (None, (1, 0)),
        (7, (1, 0)),
        ({"api-version": []}, (1, 0)),
    ],
)
def test_d11_an_unknown_minor_version_is_read_as_far_as_it_is_known(
    meta: object, expected: tuple[int, int]
) -> None:
    assert expected == page(FILE, meta=meta).api_version


def test_a_byte_order_mark_is_skipped() -> None:
    body = b"\xef\xbb\xbf" + json.dumps({"files": [FILE]}).encode()
    assert len(pep691.parse(body, url=URL, name=FOO).files) == 1


@pytest.mark.parametrize(
    "broken",
    [
        None,
        7,
        [],
        "foo-1.0.zip",
        {},
        {**FILE, "filename": 7},
        {**FILE, "filename": "../foo-1.0.zip"},
        {**FILE, "filename": ""},
        {**FILE, "filename": "foo-1\ud800.zip"},
        {**FILE, "filename": "foo-1.0.zip.metadata"},
        {**FILE, "url": None},
        {**FILE, "url": "ftp://f.example/foo-1.0.zip"},
        {**FILE, "url": "https://u:p@f.example/foo-1.0.zip"},
        {**FILE, "hashes": []},
        {**FILE, "hashes": "sha256"},
        {"filename": "foo-1.0.zip"},
    ],
)
def test_case_39_a_broken_file_is_dropped_and_the_page_kept(broken: object) -> None:
    good = {**FILE, "filename": "foo-2.0.zip", "url": "foo-2.0.zip"}
    assert [file.filename for file in page(broken, good).files] == ["foo-2.0.zip"]


@pytest.mark.parametrize(
    "field",
    [
        "size",
        "upload_time",
        "requires_python",
        "gpg_sig",
        "provenance",
        "core_metadata",
        "dist_info_metadata",
    ],
)
@pytest.mark.parametrize("value", [None, [], 1.5, "\ud800"])
def test_case_39_a_broken_optional_field_is_left_out(field: str, value: object) -> None:
    """The file is the same as one that never said it, and its other fields stay."""
    assert only(**{field: value, "yanked": "why"}) == only(yanked="why")


@pytest.mark.parametrize(
    "number",
    [b"NaN", b"Infinity", b"1e400", b"-1", b"9" * 30, b"9" * 5000, b"18446744073709551616", b'"7"', b"1.5"],
)
def test_case_39_numbers_beyond_reason(number: bytes) -> None:
    body = (
        b'{"files": [{"filename": "foo-1.0.zip", "url": "foo-1.0.zip", "hashes": {}, "size": '
        + number
        + b"}]}"
    )
    (file,) = pep691.parse(body, url=URL, name=FOO).files
    assert file.size is None


def test_case_39_a_deep_value_costs_the_page_nothing_more_than_a_refusal() -> None:
    body = b'{"files": [], "x": ' + b"[" * 5000 + b"]" * 5000 + b"}"
    with pytest.raises(ValueError, match="not JSON"):
        pep691.parse(body, url=URL, name=FOO)


def test_broken_utf8_spoils_only_what_it_stands_in() -> None:
    body = b'{"files": [{"filename": "foo-1.0.zip", "url": "foo-1.0.zip", "yanked": "\xff"}]}'
    (file,) = pep691.parse(body, url=URL, name=FOO).files
    assert file.yanked == "\ufffd"


def test_case_38_of_files_with_one_name_the_first_is_kept() -> None:
    project = page(FILE, {**FILE, "url": "https://evil.example/foo-1.0.zip"})
    assert [file.url for file in project.files] == ["https://index.example.org/packages/foo-1.0.zip"]


@pytest.mark.parametrize("file", [b"{}", b'{"filename":"","url":""}'])
def test_too_many_files_are_refused(file: bytes) -> None:
    body = b'{"files": [' + (file + b",") * fields.MAX_FILES + file + b"]}"
    with pytest.raises(ValueError, match="more than 200000 files"):
        pep691.parse(body, url=URL, name=FOO)


@pytest.mark.parametrize(
    ("yanked", "expected"),
    [
        (True, True),
        (False, False),
        (None, False),
        ("", True),
        ("why", "why"),
        (1, True),
        (0, False),
        ({"reason": "x"}, True),
        ([], False),
    ],
)
def test_d4_d14_case_14_a_yank_is_never_lost(yanked: object, expected: bool | str) -> None:
    assert expected == only(yanked=yanked).yanked


@pytest.mark.parametrize(
    ("hashes", "expected"),
    [
        ({}, ()),
        (None, ()),
        ({"md5": "0" * 32}, (Digest("md5", "0" * 32),)),
        ({"SHA256": A64.upper()}, (Digest("sha256", A64),)),
        ({"sha256": "junk", "md5": "0" * 32}, (Digest("md5", "0" * 32),)),
        ({"sha256": 7, "md5": "0" * 32}, (Digest("md5", "0" * 32),)),
        ({"sha512": "0" * 128, "md5": "0" * 32}, (Digest("sha512", "0" * 128), Digest("md5", "0" * 32))),
    ],
)
def test_case_9_to_12_hashes(hashes: object, expected: tuple[Digest, ...]) -> None:
    assert expected == only(hashes=hashes).hashes


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"core_metadata": {"sha256": A64}}, (Digest("sha256", A64),)),
        ({"dist_info_metadata": {"sha256": A64}}, (Digest("sha256", A64),)),
        ({"core_metadata": False, "dist_info_metadata": {"sha256": A64}}, False),
        ({"core_metadata": True, "dist_info_metadata": False}, True),
        ({"core_metadata": None, "dist_info_metadata": True}, True),
        ({"core_metadata": {}}, True),
        ({"core_metadata": {"sha256": "junk"}}, True),
        ({}, None),
    ],
)
def test_d7_core_metadata_goes_before_its_older_name(said: dict[str, object], expected: object) -> None:
    assert expected == only(**said).core_metadata


@pytest.mark.parametrize("text", [">=3.7, !=3.8.*", ">=2.7,!=3.0.*,<4", ">=3.6.*", "junk"])
def test_case_16_requires_python_is_verbatim(text: str) -> None:
    assert text == only(requires_python=text).requires_python
    assert text == rendered(only(requires_python=text))["files"][0]["requires-python"]


@pytest.mark.parametrize("text", ["", "  ", None])
def test_case_16_an_empty_requires_python_is_none(text: str | None) -> None:
    assert "requires-python" not in rendered(only(requires_python=text))["files"][0]


def test_a11_a_file_whose_link_ends_in_another_name_keeps_its_own() -> None:
    file = only(url="https://f.example/download?id=7")
    assert (file.filename, file.url) == ("foo-1.0.zip", "https://f.example/download?id=7")


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"project-status": {"status": "quarantined"}}, ("quarantined", None)),
        ({"project-status": {"status": "quarantined", "reason": 7}}, ("quarantined", None)),
        ({"project-status": "deprecated"}, ("deprecated", None)),
        ({"meta": {"project-status": {"status": "archived", "reason": "r"}}}, ("archived", "r")),
        (
            {"meta": {"project-status": {"status": "archived"}}, "project-status": {"status": "active"}},
            ("active", None),
        ),
        ({"project-status": {"status": "mislaid"}}, (None, None)),
        ({"project-status": 7}, (None, None)),
        ({}, (None, None)),
    ],
)
def test_case_27_the_status_is_read_from_either_place(
    more: dict[str, object], expected: tuple[str | None, str | None]
) -> None:
    project = page(FILE, **more)
    assert expected == (project.status, project.status_reason)


def test_d1_stated_versions_are_kept_as_they_are() -> None:
    project = page(
        FILE,
        {**FILE, "filename": "foo-2.0-py3-none-any.whl"},
        versions=["1.0.0", 7, "1.0.0", "0.1", "x" * 300],
    )
    assert project.versions == ("1.0.0", "0.1")


FULL = File(
    filename="foo-1.0+a.whl",
    url="https://f.example/foo-1.0%2Ba.whl",
    hashes=(Digest("sha256", A64), Digest("md5", "0" * 32)),
    size=7,
    upload_time="2024-01-02T03:04:05Z",
    requires_python=">=3",
    yanked=True,
    core_metadata=(Digest("sha256", A64),),
    gpg_sig=False,
    provenance="https://f.example/p",
)


def test_d1_to_d9_d12_everything_is_written_by_its_name() -> None:
    """PEP 792's status stands at the top level only."""
    shown = rendered(
        FULL,
        versions=("1.0+a",),
        api_version=(1, 4),
        status="archived",
        status_reason="r",
        tracks=("https://a.example/",),
        alternate_locations=("https://b.example/",),
    )
    assert shown == {
        "meta": {"api-version": "1.4", "tracks": ["https://a.example/"]},
        "name": "foo",
        "project-status": {"status": "archived", "reason": "r"},
        "alternate-locations": ["https://b.example/"],
        "versions": ["1.0+a"],
        "files": [
            {
                "filename": "foo-1.0+a.whl",
                "url": "../../packages/foo-1.0+a.whl",
                "hashes": {"sha256": A64, "md5": "0" * 32},
                "size": 7,
                "upload-time": "2024-01-02T03:04:05Z",
                "requires-python": ">=3",
                "yanked": True,
                "core-metadata": {"sha256": A64},
                "dist-info-metadata": {"sha256": A64},
                "gpg-sig": False,
                "provenance": "https://f.example/p",
            }
        ],
    }


def test_d2_d3_what_is_unknown_is_left_out_but_hashes_are_always_there() -> None:
    assert rendered(File(filename="foo-1.zip", url="https://f.example/foo-1.zip")) == {
        "meta": {"api-version": "1.0"},
        "name": "foo",
        "versions": [],
        "files": [
            {"filename": "foo-1.zip", "url": "../../packages/foo-1.zip", "hashes": {}, "yanked": False}
        ],
    }


@pytest.mark.parametrize("said", [True, False])
def test_d7_both_names_of_core_metadata_say_the_same(said: bool) -> None:
    (file,) = rendered(File(filename="foo-1.zip", url="https://f.example/foo-1.zip", core_metadata=said))[
        "files"
    ]
    assert file["core-metadata"] is file["dist-info-metadata"] is said


def test_case_13_case_17_d13_text_is_utf8_without_a_byte_order_mark() -> None:
    reason = 'bad "quote" & <b>\nü \U0001f40d'
    body = pep691.render(Project(name=FOO, files=(only(yanked=reason),)), href=lambda file: file.url)
    assert body.startswith(b"{")
    assert json.loads(body.decode())["files"][0]["yanked"] == reason
