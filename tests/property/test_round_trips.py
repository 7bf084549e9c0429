"""Laws of the forms: what is written can be read back, and nothing that arrives can do harm."""

from __future__ import annotations

import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from pypicache.errors import NotAcceptable
from pypicache.simple import fields, links, negotiate, parse, pep503, pep691
from pypicache.simple.filenames import MAX_CANDIDATES, all_versions, project_candidates, version_of
from pypicache.simple.model import Digest, File, Project, dump, load, project_name
from tests.property import strategies

NAME = project_name("demo")
assert NAME is not None
PAGE = "https://index.example.org/simple/demo/"


def announced(project: Project) -> tuple[int, int]:
    major, _, minor = fields.announced_version(project).partition(".")
    return int(major), int(minor)


def shown(hashes: tuple[Digest, ...]) -> tuple[Digest, ...]:
    return tuple(sorted(hashes, key=lambda item: item.algorithm != "sha256")[:1])


def in_html(file: File) -> File:
    """What of a file HTML can carry: one hash, and no denial of a sidecar."""
    sidecar = (
        shown(file.core_metadata) if isinstance(file.core_metadata, tuple) else file.core_metadata or None
    )
    return msgspec.structs.replace(file, hashes=shown(file.hashes), core_metadata=sidecar)


@given(strategies.projects())
def test_json_loses_nothing(project: Project) -> None:
    """Only the version changes, to what can honestly be claimed."""
    body = pep691.render(project, href=lambda file: file.url)
    again = pep691.parse(body, url=PAGE, name=project.name)
    assert msgspec.structs.replace(project, api_version=announced(project)) == again
    assert body == pep691.render(again, href=lambda file: file.url)


@given(strategies.projects())
def test_html_loses_only_what_it_cannot_carry(project: Project) -> None:
    """HTML has one hash for each file and no list of versions; all else comes back."""
    body = pep503.render(project, href=lambda file: file.url)
    expected = msgspec.structs.replace(
        project,
        files=tuple(map(in_html, project.files)),
        versions=all_versions([file.filename for file in project.files], project.name, ()),
        api_version=announced(project),
    )
    assert expected == pep503.parse(body, url=PAGE, name=project.name)


@given(strategies.projects())
def test_both_forms_list_the_same_files_with_links_that_lead_to_them(project: Project) -> None:
    """D13, A11 and A12: relative links, the same in both forms, whose last segment is the file's name."""

    def href(file: File) -> str:
        return links.relative_href(links.packages_path(project.name, file.url, file.filename))

    own = f"https://cache.example/root/pypi/simple/{project.name}/"
    from_json = pep691.parse(pep691.render(project, href=href), url=own, name=project.name)
    from_html = pep503.parse(pep503.render(project, href=href), url=own, name=project.name)
    assert [file.url for file in from_json.files] == [file.url for file in from_html.files]
    for file, original in zip(from_json.files, project.files, strict=True):
        below = file.url.removeprefix("https://cache.example/root/pypi/packages/")
        segments = links.decode_path(below)
        assert segments is not None
        assert original.filename == segments[-1] == file.filename


@given(strategies.projects())
def test_no_null_and_no_empty_yank_reaches_a_client(project: Project) -> None:
    """D3 and D4: uv refuses a page with a null size, and pip takes an empty reason for "not yanked"."""
    page = json.loads(pep691.render(project, href=lambda file: file.url))
    for file in page["files"]:
        assert None not in file.values()
        assert isinstance(file["yanked"], bool) or file["yanked"]
        assert isinstance(file["hashes"], dict)


@given(strategies.projects())
def test_the_store_gives_back_what_it_was_given(project: Project) -> None:
    assert project == load(dump(project))


@given(
    st.binary(max_size=400)
    | st.text(max_size=200).map(str.encode)
    | st.text("<>=\"'!-/ a b&#;href script meta name pypi:", max_size=200).map(str.encode),
    st.sampled_from(
        (None, "", "text/html", "application/json", "application/vnd.pypi.simple.v1+json", "image/png")
    ),
)
def test_any_bytes_are_a_page_or_a_refusal_of_one_line(body: bytes, content_type: str | None) -> None:
    assert NAME is not None
    try:
        project = parse.parse_page(body, content_type=content_type, url=PAGE, name=NAME)
    except ValueError as error:
        refusal = str(error)
    else:
        assert project == load(dump(project))
        return
    assert len(refusal.splitlines()) == 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)
json_files = st.fixed_dictionaries(
    {"filename": st.just("demo-1.0.zip") | json_values, "url": st.just("demo-1.0.zip") | json_values},
    optional={
        field.encode_name: json_values | st.just({"sha256": "0" * 64}) | st.just("x")
        for field in msgspec.structs.fields(pep691._FileIn)
        if field.name not in {"filename", "url"}
    },
)


@given(
    st.fixed_dictionaries(
        {"files": st.lists(json_files | json_values, max_size=4)},
        optional=dict.fromkeys(
            ("meta", "name", "versions", "project-status", "tracks", "alternate-locations"), json_values
        ),
    )
)
def test_any_json_object_is_a_page_or_a_refusal(page: dict[str, object]) -> None:
    """Case 39: values of any type in any place; what is kept can be stored and rendered."""
    assert NAME is not None
    try:
        project = pep691.parse(json.dumps(page).encode(), url=PAGE, name=NAME)
    except ValueError:
        return
    assert project == load(dump(project))
    for render in (pep691.render, pep503.render):
        assert render(project, href=lambda file: file.url)


@given(strategies.accepts, st.none() | strategies.media_ranges | st.text(max_size=20))
def test_any_accept_header_gives_a_form_or_not_acceptable(accept: str, format_: str | None) -> None:
    try:
        negotiate.negotiate(accept, format_)
    except NotAcceptable as error:
        refusal = str(error)
    else:
        return
    assert all(kind.value in refusal for kind in negotiate.Representation)


@given(st.text(max_size=60) | st.sampled_from(("gzip", "*;q=0", "identity;q=0, *;q=0")))
def test_any_accept_encoding_gives_a_coding(header: str) -> None:
    assert negotiate.negotiate_coding(header, ("zstd", "gzip")) in {"zstd", "gzip", "identity"}


@given(st.text(max_size=80) | st.text("./%25eEfF2+-!\\\x00a", max_size=40))
def test_a_decoded_path_has_only_safe_segments(raw: str) -> None:
    """Case 36: nothing that a file system or an origin could take for another place."""
    for segment in links.decode_path(raw) or ():
        assert segment not in {"", ".", ".."}
        assert not set(segment) & {"/", "\\", "\x00", "\n", "\r"}


@given(st.text(max_size=60), st.text(min_size=1, max_size=60))
def test_a_link_is_sendable_or_refused(base: str, text: str) -> None:
    """Case 35: whatever stands in a page, what is kept is an absolute http(s) URL of printable ASCII."""
    url = fields.link(f"https://index.example.org/{base}", text)
    if url is not None:
        assert url.startswith(("http://", "https://"))
        assert url.isascii()
        assert url.isprintable()
        assert not set(url) & {" ", "\\", "#"}


@given(st.data(), strategies.project_names)
def test_a_file_s_project_is_among_its_candidates(data: st.DataObject, project: str) -> None:
    """Contract section 3: every way to split a file name is tried."""
    name = project_name(project)
    assert name is not None
    version = data.draw(strategies.versions)
    suffix = data.draw(st.sampled_from(strategies.SUFFIXES))
    for filename in (f"{name}-{version}{suffix}", f"{name.replace('-', '_')}-{version}-py3-none-any.whl"):
        assert name in project_candidates(filename)
        assert version == version_of(filename, name)


@given(st.text(max_size=255) | st.text("ab-1.", max_size=255))
def test_any_file_name_has_few_candidates(filename: str) -> None:
    assert len(project_candidates(filename)) <= MAX_CANDIDATES
