"""The scripted origin serves pages, files and ranges as a correct index does."""

from __future__ import annotations

import pytest

from tests import wheels
from tests.client import get
from tests.origin import Origin

DEMO = wheels.wheel("demo", "1.0", size=300_000, requires=["helper>=1"], requires_python=">=3.8")
HELPER = wheels.wheel("helper", "2.0")
SIZE = len(DEMO.data)
JSON = "application/vnd.pypi.simple.v1+json"


@pytest.fixture
def url(origin: Origin) -> str:
    """Where the origin serves DEMO."""
    origin.add(HELPER)
    return origin.url + origin.add(DEMO).path


def test_a_page_is_json_or_html_by_accept(origin: Origin, url: str) -> None:
    page = get(origin.simple + "demo/", {"Accept": JSON})
    assert page.headers["content-type"] == JSON
    (file,) = page.json()["files"]
    assert file["url"] == url
    assert file["hashes"] == {"sha256": DEMO.sha256}
    assert file["core-metadata"] == {"sha256": DEMO.metadata_sha256}
    assert file["size"] == len(DEMO.data)
    assert file["requires-python"] == ">=3.8"
    html = get(origin.simple + "demo/")
    assert html.headers["content-type"] == "text/html; charset=utf-8"
    assert f'href="{url}#sha256={DEMO.sha256}"' in html.text
    assert 'data-requires-python="&gt;=3.8"' in html.text


def test_a_page_is_as_its_options_say(origin: Origin, url: str) -> None:
    origin.project(
        "demo", form="html", links="relative", etag=False, last_modified=False, headers={"Age": "7"}
    )
    page = get(origin.simple + "demo/", {"Accept": JSON})
    assert 'href="../../packages/' in page.text
    assert page.headers["age"] == "7"
    assert not {"etag", "last-modified"} & page.headers.keys()
    origin.project("demo", body=b"not a page", content_type="text/odd", gzip=True)
    assert get(origin.simple + "demo/").body == b"not a page"
    packed = get(origin.simple + "demo/", {"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    origin.project("demo", status=503, headers={"Retry-After": "7"})
    refused = get(origin.simple + "demo/")
    assert (refused.status, refused.headers["retry-after"]) == (503, "7")


def test_a_page_is_304_while_it_is_unchanged(origin: Origin, url: str) -> None:
    page = origin.simple + "demo/"
    first = get(page).headers
    by_etag, by_date = {"If-None-Match": first["etag"]}, {"If-Modified-Since": first["last-modified"]}
    assert [get(page, by_etag).status, get(page, by_date).status] == [304, 304]
    origin.add(wheels.wheel("demo", "1.1"))
    assert [get(page, by_etag).status, get(page, by_date).status] == [200, 200]


def test_names_are_normalised_and_unknown_ones_are_404(origin: Origin, url: str) -> None:
    assert get(origin.simple + "Demo/").headers["location"] == "/simple/demo/"
    assert get(origin.simple + "demo").status == 301
    assert get(origin.simple + "other/").status == 404
    origin.remove("demo")
    assert get(origin.simple + "demo/").status == 404
    assert get(url).status == 200


def test_a_removed_file_is_gone_from_page_and_path(origin: Origin, url: str) -> None:
    origin.remove_file(DEMO.filename, keep_bytes=True)
    assert get(origin.simple + "demo/", {"Accept": JSON}).json()["files"] == []
    assert get(url).status == 200
    origin.remove_file(DEMO.filename)
    assert [get(url).status, get(f"{url}.metadata").status] == [404, 404]


@pytest.mark.parametrize(
    ("advertised", "written", "status"),
    [
        (True, {"sha256": DEMO.metadata_sha256}, 200),
        ("bare", True, 200),
        (False, False, 404),
        ({"sha256": "00"}, {"sha256": "00"}, 200),
    ],
)
def test_a_sidecar_is_what_the_page_advertises(
    origin: Origin, advertised: bool, written: object, status: int
) -> None:
    path = origin.add(DEMO, core_metadata=advertised).path
    assert get(origin.simple + "demo/", {"Accept": JSON}).json()["files"][0]["core-metadata"] == written
    sidecar = get(f"{origin.url}{path}.metadata")
    assert sidecar.status == status
    assert (sidecar.body == DEMO.metadata) is (status == 200)


def test_legacy_json_and_the_list_of_projects(origin: Origin, url: str) -> None:
    assert get(f"{origin.url}/pypi/demo/json").status == 404
    origin.legacy = True
    assert get(f"{origin.url}/pypi/demo/json").json()["releases"]["1.0"][0]["url"] == url
    names = [project["name"] for project in get(origin.simple, {"Accept": JSON}).json()["projects"]]
    assert names == ["demo", "helper"]
    assert 'href="helper/"' in get(origin.simple).text


def test_a_file_may_lie_anywhere_and_be_linked_elsewhere(origin: Origin) -> None:
    origin.add(HELPER, path="/odd/place+1/h.whl", url="https://files.example.org/h.whl", yanked="bad", size=9)
    (file,) = get(origin.simple + "helper/", {"Accept": JSON}).json()["files"]
    assert (file["url"], file["yanked"], file["size"]) == ("https://files.example.org/h.whl", "bad", 9)
    assert get(f"{origin.url}/odd/place%2B1/h.whl").body == HELPER.data


@pytest.mark.parametrize(
    ("asked", "status", "start", "stop"),
    [
        ("bytes=0-0", 206, 0, 1),
        ("bytes=10-19", 206, 10, 20),
        ("bytes=250000-", 206, 250_000, SIZE),
        ("bytes=-5", 206, SIZE - 5, SIZE),
        (f"bytes=-{SIZE + 5}", 206, 0, SIZE),
        (f"bytes=5-{SIZE + 5}", 206, 5, SIZE),
        ("bytes=0-1,4-5", 200, 0, SIZE),
        ("bytes=9-5", 200, 0, SIZE),
        ("bytes=-", 200, 0, SIZE),
        ("lines=1-2", 200, 0, SIZE),
    ],
)
def test_a_range_is_that_part_of_the_file(url: str, asked: str, status: int, start: int, stop: int) -> None:
    got = get(url, {"Range": asked})
    assert got.status == status
    assert got.body == DEMO.data[start:stop]
    assert got.headers["content-length"] == str(stop - start)
    if status == 206:
        assert got.headers["content-range"] == f"bytes {start}-{stop - 1}/{SIZE}"


@pytest.mark.parametrize("asked", [f"bytes={SIZE}-", "bytes=-0", f"bytes={SIZE + 9}-{SIZE + 10}"])
def test_a_range_beyond_the_end_is_416(url: str, asked: str) -> None:
    got = get(url, {"Range": asked})
    assert (got.status, got.headers["content-range"]) == (416, f"bytes */{SIZE}")


def test_if_range_decides_between_part_and_whole(url: str) -> None:
    head = get(url, method="HEAD")
    assert head.headers["content-length"] == str(SIZE)
    assert head.body == b""
    statuses = [
        get(url, {"Range": "bytes=5-", "If-Range": condition}).status
        for condition in (head.headers["etag"], head.headers["last-modified"], '"other"')
    ]
    assert statuses == [206, 206, 200]
    assert get(url, {"Range": "bytes=5-"}, method="HEAD").status == 200
