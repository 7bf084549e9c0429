"""Section A of the checklist: addresses, redirects, and what is refused."""

from __future__ import annotations

import pytest

from tests.conformance.place import HTML, JSON, Place, new_name
from tests.origin import Status
from tests.wheels import artifact, wheel


@pytest.mark.parametrize("name", ["q", "0", "simple", "json", "packages", "pypi", "friendly-bard", "x2"])
@pytest.mark.parametrize(
    "prefix", ["/simple", "/index", "/root/pypi/simple", "/root/pypi/+simple", "/root/pypi/%2Bsimple"]
)
def test_a1_case_3_a_normalised_name_has_its_page(place: Place, name: str, prefix: str) -> None:
    item = wheel(name, "1.0")
    place.origin.add(item)
    answer = place.get(f"{prefix}/{name}/", {"Accept": JSON})
    assert answer.status == 200
    assert answer.json()["name"] == name


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/simple/Foo_Bar/", "../foo-bar/"),
        ("/simple/foo.bar/", "../foo-bar/"),
        ("/simple/foo--bar/", "../foo-bar/"),
        ("/simple/FrIeNdLy-._.-bArD/?format=x", "../friendly-bard/?format=x"),
        ("/root/pypi/+simple/Foo_Bar/", "../foo-bar/"),
        ("/simple/foo", "foo/"),
        ("/simple/Foo.Bar?a=%2B&b", "foo-bar/?a=%2B&b"),
        ("/simple", "simple/"),
        ("/root/pypi/+simple", "+simple/"),
        ("/root/pypi/%2Bsimple", "%2Bsimple/"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a2_a3_a4_case_2_redirects_are_relative(place: Place, path: str, location: str, method: str) -> None:
    """A2, A3: 301, the query kept. A4: relative, whatever a proxy or an attacker says of the host."""
    answer = place.get(path, {"X-Forwarded-Host": "evil.example", "Host": "evil.example"}, method=method)
    assert answer.status == 301
    assert answer.headers["location"] == location


NO_NAMES = [
    "-x",
    "x-",
    "_",
    "a%0A",
    "a%00b",
    "a%2Fb",
    "%2e%2e",
    "..",
    "..%2f..%2fetc",
    "caf%C3%A9",
    "%ff",
    "a%20b",
    "a%",
    "a" * 201,
    "x%0d%0aSet-Cookie:%20a=b",
    "a%5Cb",
    "%F0%9F%92%A9",
    "a%C2%AD",
]


@pytest.mark.parametrize("name", NO_NAMES)
def test_a5_case_36_37_what_is_no_name_is_404_and_asked_nowhere(place: Place, name: str) -> None:
    before = len(place.origin.requests)
    for prefix in ("/simple", "/root/pypi/+simple", "/index"):
        answer = place.get(f"{prefix}/{name}/")
        assert answer.status == 404
        assert "set-cookie" not in answer.headers
    assert len(place.origin.requests) == before


@pytest.mark.parametrize("status", [404, 410])
def test_a6_an_unknown_project_is_remembered_briefly(place: Place, status: int) -> None:
    name = new_name("unknown")
    place.origin.script(f"/simple/{name}/", Status(status), repeat=True)
    first, second = place.page(name), place.page(name)
    assert (first.status, second.status) == (404, 404)
    assert name in first.text
    assert first.headers["cache-status"] == "pypicache; fwd=miss; detail=negative"
    assert second.headers["cache-status"] == "pypicache; hit; detail=negative"
    assert second.headers["age"] == "0"
    assert place.asked(name) == 1


@pytest.mark.parametrize("path", ["/simple/", "/root/pypi/simple/", "/root/pypi/+simple/", "/index/"])
def test_a7_the_list_of_all_projects_in_both_forms(place: Place, path: str) -> None:
    """A7: HEAD too; each form and coding with a strong ETag of its own. `scenarios/test_lists.py` has the long ones."""
    etags = set()
    for accept in (JSON, HTML):
        for coding in ("identity", "gzip"):
            headers = {"Accept": accept, "Accept-Encoding": coding}
            got = place.get(path, headers)
            assert (got.status, got.headers["content-type"]) == (200, accept)
            head = place.get(path, headers, method="HEAD")
            assert _lasting(head.headers) == _lasting(got.headers)
            assert place.get(path, {**headers, "If-None-Match": got.headers["etag"]}).status == 304
            etags.add(got.headers["etag"])
    assert len(etags) == 4
    listed = place.get(path, {"Accept": JSON}).json()
    assert listed["meta"]["api-version"].startswith("1.")
    assert all(set(project) == {"name"} for project in listed["projects"])
    assert place.get(path, {"Accept": "image/png"}).status == 406


def test_a8_head_says_what_get_says(place: Place) -> None:
    """A8: the same status and the same headers, and no body; on a file, without downloading it."""
    item = wheel(new_name("headed"), "1.0", size=300_000)
    place.origin.add(item)
    link = place.link(item)
    quick = {"Accept": JSON}
    cold = place.get(link, method="HEAD")
    assert cold.headers["content-length"] == str(len(item.data))
    assert not place.origin.gets(item.filename)
    etag = place.page(item.name).headers["etag"]
    for path, headers, status in [
        (f"/simple/{item.name}/", quick, 200),
        (f"/simple/{item.name}/", {"Accept": HTML, "Accept-Encoding": "gzip"}, 200),
        (f"/simple/{item.name}/", {**quick, "If-None-Match": etag}, 304),
        (f"/simple/{item.name}/", {"Accept": "image/png"}, 406),
        (f"/simple/{item.name}", {}, 301),
        ("/simple/-/", {}, 404),
        (f"/simple/{new_name('nobody')}/", {}, 404),
        (link, {}, 200),
        (link, {"If-None-Match": f'"{item.sha256}"'}, 304),
        (f"{link}.metadata", {}, 200),
        (f"{link}.metadata", {"If-None-Match": "*"}, 304),
        ("/packages/aa/bb/nobody-1.0.tar.gz", {}, 404),
        ("/", {}, 200),
        ("/healthz", {}, 200),
        ("/nothing/here", {}, 404),
    ]:
        place.get(path, headers)  # the first may be a miss
        got, head = place.get(path, headers), place.get(path, headers, method="HEAD")
        assert (got.status, head.status) == (status, status), path
        assert _lasting(head.headers) == _lasting(got.headers), path


def test_a8_a_range_on_head_is_ignored(place: Place) -> None:
    item = wheel(new_name("headed"), "1.0")
    place.origin.add(item)
    link = place.link(item)
    for path, size in ((link, len(item.data)), (f"{link}.metadata", len(item.metadata))):
        answer = place.get(path, {"Range": "bytes=0-1"}, method="HEAD")
        assert (answer.status, answer.headers["content-length"]) == (200, str(size))
        assert answer.headers.get("accept-ranges") == (None if path.endswith(".metadata") else "bytes")


def _lasting(headers: object) -> dict[str, str]:
    assert isinstance(headers, dict)
    return {
        name: value
        for name, value in headers.items()
        if name not in {"date", "age", "cache-status", "x-request-id"}
    }


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", ["/simple/demo/", "/packages/a/x-1.0.tar.gz", "/", "/healthz"])
def test_a9_other_methods_are_refused(place: Place, method: str, path: str) -> None:
    answer = place.get(path, method=method)
    assert answer.status == 405
    assert answer.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    ("filename", "spellings"),
    [
        ("plus-1.0+cu118-py3-none-any.whl", ["+", "%2B", "%2b"]),
        ("epoch-1!2.0-py3-none-any.whl", ["!", "%21"]),
        ("tilde-1.0.tar.gz", ["-1", "%2D1", "%2d%31"]),
    ],
)
def test_a10_case_5_6_spellings_of_a_path_are_one_file(
    place: Place, filename: str, spellings: list[str]
) -> None:
    """A10: one cached object; the origin is asked once, with its own spelling."""
    item = artifact(filename.partition("-")[0], "1.0", filename, filename.encode() * 1000)
    place.origin.add(item)
    link = place.link(item)
    directory = link.rpartition("/")[0]
    for spelling in spellings:
        answer = place.get(f"{directory}/{filename.replace(spellings[0], spelling)}")
        assert (answer.status, answer.body) == (200, item.data)
    assert len(place.origin.gets(filename)) == 1


@pytest.mark.parametrize(
    "filename",
    [
        "torch-2.1+cu118-cp311-cp311-linux_x86_64.whl",
        "epoch-1!2.0.tar.gz",
        "spaced name-1.0.zip",
        "naïve-1.0.tar.gz",
        "percent%41-1.0.zip",
        "hash#tag-1.0.zip",
        "query?x-1.0.zip",
        "amp&amp;-1.0.zip",
        "quote\"'-1.0.zip",
    ],
)
def test_a11_case_17_links_end_in_the_file_name(place: Place, filename: str) -> None:
    """A11: decoded, the last segment is `filename`; the sidecar stands beside it; both forms agree."""
    name = new_name("named")
    place.origin.add(artifact(name, "1.0", filename, filename.encode() * 10), path=f"/packages/ab/{name}")
    # The origin's own address for it ends in something else, so that only our own can be right.
    (listed,) = place.json(name)["files"]
    assert listed["filename"] == filename
    (anchor,) = place.html(name).anchors
    assert anchor["text"] == filename
    assert anchor["href"].partition("#")[0] == listed["url"]
    answer = place.get(f"/packages/{listed['url'].removeprefix('../../packages/')}")
    assert answer.body == filename.encode() * 10


@pytest.mark.parametrize("host", ["one.example", "two.example:8080", "[::1]:1"])
def test_a12_links_are_relative_and_the_page_is_one_for_all_hosts(place: Place, host: str) -> None:
    item = wheel("hosted", "1.0")
    if not place.origin.gets("hosted"):
        place.origin.add(item)
    answer = place.page("hosted", {"Host": host, "X-Forwarded-Proto": "https", "X-Forwarded-Host": host})
    assert answer.body == place.page("hosted").body
    assert answer.headers["etag"] == place.page("hosted").headers["etag"]
    assert all(file["url"].startswith("../../packages/") for file in answer.json()["files"])
