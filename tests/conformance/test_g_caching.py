"""Section G of the checklist: what clients may keep, and how they ask again."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.conformance.place import HTML, JSON, Place, new_name
from tests.installers import pip_install
from tests.wheels import Wheel, artifact, wheel

FOREVER = "public, max-age=365000000, immutable"
REVALIDATE = "public, max-age=0, must-revalidate"


@pytest.fixture(scope="module")
def item(place: Place) -> Wheel:
    made = wheel(new_name("cached"), "1.0")
    place.origin.add(made)
    return made


def test_g1_g2_pages_are_revalidated_by_strong_tags(place: Place, item: Wheel) -> None:
    """G1: max-age=0 and not no-cache, with which PDM downloads again. G2: a weak tag would cost uv its 304s."""
    for accept in (JSON, HTML, "text/html"):
        for coding in ("identity", "gzip", "zstd"):
            answer = place.page(item.name, {"Accept-Encoding": coding}, accept=accept)
            assert answer.headers["cache-control"] == REVALIDATE
            assert answer.headers["etag"].startswith('"')
            assert "age" in answer.headers


def test_g3_files_and_sidecars_are_kept_for_ever(place: Place, item: Wheel) -> None:
    link = place.link(item)
    for path in (link, f"{link}.metadata"):
        for method in ("GET", "HEAD", "GET"):
            assert place.get(path, method=method).headers["cache-control"] == FOREVER


@pytest.mark.parametrize("hashes", [{}, {"adler": "abcdef"}])
def test_g3_1b_a_file_without_a_digest_is_revalidated(place: Place, hashes: dict[str, str]) -> None:
    """1b: it could be replaced under the same name; our own digest is its tag once it is stored."""
    made = wheel(new_name("bare"), "1.0")
    place.origin.add(made, hashes=hashes)
    link = place.link(made)
    assert place.get(link, method="HEAD").headers["cache-control"] == REVALIDATE
    first, second = place.get(link), place.get(link)
    assert first.body == second.body == made.data
    assert first.headers["cache-control"] == second.headers["cache-control"] == REVALIDATE
    assert second.headers["etag"] == place.get(link, method="HEAD").headers["etag"] == f'"{made.sha256}"'
    assert place.get(link, {"If-None-Match": f'"{made.sha256}"'}).status == 304


def test_1b_case_10_md5_alone_is_verified(place: Place) -> None:
    """1b: bytes that don't agree with it are refused, those that do are kept for ever."""
    data = b"by md5 only" * 100
    name = new_name("old")
    made = artifact(name, "1.0", f"{name}-1.0.tar.gz", data)
    place.origin.add(made, hashes={"md5": hashlib.md5(data).hexdigest()})
    answer = place.get(place.link(made))
    assert (answer.body, answer.headers["cache-control"]) == (data, FOREVER)
    name = new_name("old")
    wrong = artifact(name, "1.0", f"{name}-1.0.tar.gz", data)
    place.origin.add(wrong, hashes={"md5": "0" * 32})
    assert place.get(place.link(wrong)).status == 503


def test_g4_errors_are_not_kept(place: Place, item: Wheel) -> None:
    """Every error answer has `no-store`: `place.check` looks at each; here once for each status that is easy to get."""
    link = place.link(item)
    for path, headers, method, status in [
        (f"/simple/{new_name('nobody')}/", {}, "GET", 404),
        ("/simple/--/", {}, "GET", 404),
        (f"{link}x", {}, "GET", 404),
        (f"/simple/{item.name}/", {"Accept": "image/png"}, "GET", 406),
        (f"/simple/{item.name}/", {}, "POST", 405),
        (link, {"Range": "bytes=999999999-"}, "GET", 416),
        ("/" + "a" * 3000, {}, "GET", 414),
    ]:
        answer = place.get(path, headers, method=method)
        assert (answer.status, answer.headers["cache-control"]) == (status, "no-store")


@pytest.mark.parametrize("kind", ["page", "file", "sidecar"])
@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("ETAG", 304),
        ("W/ETAG", 304),
        ("*", 304),
        ('"a", W/"b" ,ETAG', 304),
        (", ".join(f'"{number}"' for number in range(50)) + ", ETAG", 304),
        ('"other"', 200),
        ("ETAG-almost", 200),
        ("unquoted", 200),
        ('"unclosed', 200),
        ("", 200),
        ("\xff\xfe", 200),
    ],
)
def test_g5_case_43_if_none_match(place: Place, item: Wheel, kind: str, header: str, status: int) -> None:
    link = place.link(item)
    path = {"page": f"/simple/{item.name}/", "file": link, "sidecar": f"{link}.metadata"}[kind]
    whole = place.get(path, {"Accept": JSON})
    etag = whole.headers["etag"]
    header = header.replace("ETAG-almost", etag[:-1] + 'x"').replace("ETAG", etag)
    stamp = {"If-Modified-Since": "Fri, 01 Jan 2038 00:00:00 GMT"}
    answer = place.get(path, {"Accept": JSON, "If-None-Match": header, **stamp})
    assert answer.status == status
    assert answer.headers["etag"] == etag
    assert answer.headers["cache-control"] == whole.headers["cache-control"]
    if status == 304:
        assert answer.headers.get("vary") == whole.headers.get("vary")
        assert not {"content-length", "content-type", "content-encoding"} & set(answer.headers)


def test_g5_several_if_none_match_lines_are_one_list(place: Place, item: Wheel) -> None:
    etag = place.page(item.name).headers["etag"]
    lines = f'Accept: {JSON}\r\nIf-None-Match: "a"\r\nIf-None-Match: {etag}\r\n'
    head = f"GET /simple/{item.name}/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{lines}\r\n"
    assert [answer.status for answer in place.raw(head.encode())] == [304]


def test_g5_a_tag_of_another_form_or_coding_is_not_this_page(place: Place, item: Wheel) -> None:
    etag = place.page(item.name, {"Accept-Encoding": "gzip"}).headers["etag"]
    assert place.page(item.name, {"If-None-Match": etag}).status == 200
    assert place.page(item.name, {"If-None-Match": etag, "Accept-Encoding": "gzip"}).status == 304
    assert (
        place.page(item.name, {"If-None-Match": etag, "Accept-Encoding": "gzip"}, accept=HTML).status == 200
    )


@pytest.mark.parametrize(
    "header", [{"Cache-Control": "no-cache"}, {"Cache-Control": "max-age=0"}, {"Pragma": "no-cache"}]
)
def test_g6_a_client_that_insists_is_heard_at_most_once_in_5_seconds(
    place: Place, header: dict[str, str]
) -> None:
    """G6: pip-compile sends it with every page. It was just asked for, so nobody is asked."""
    made = wheel(new_name("insisting"), "1.0")
    place.origin.add(made)
    for _ in range(5):
        assert place.page(made.name, header).status == 200
    assert place.asked(made.name) == 1


def test_g6_on_files_it_is_ignored(place: Place, item: Wheel) -> None:
    """Poetry and pip's fast-deps send it with every range."""
    link = place.link(item)
    place.get(link)
    before = len(place.origin.requests)
    for path in (link, f"{link}.metadata"):
        place.get(path)
        before = len(place.origin.requests)
        answer = place.get(path, {"Cache-Control": "no-cache", "Pragma": "no-cache"})
        assert answer.headers["cache-status"] == "pypicache; hit"
    assert len(place.origin.requests) == before


def test_g7_pip_with_trusted_host_keeps_what_it_may(place: Place, tmp_path: Path) -> None:
    """G7: over plain http pip caches from trusted hosts only; then a second run asks us for no file."""
    made = wheel(new_name("trusted"), "1.0")
    place.origin.add(made)
    host, _ = place.address
    seen = len(place.daemon.log)
    for run in ("first", "second"):
        pip_install(
            tmp_path / run,
            made.name,
            index_url=f"{place.daemon.url}/simple/",
            cache=tmp_path / "cache",
            extra_args=["--trusted-host", host],
        ).check()
    # The access log is written once a second.
    place.daemon.wait_log(rf'"GET /simple/{made.name}/" 304', since=seen)
    assert place.daemon.log.count(f'{made.filename}"') <= 1


def test_g8_vary_is_minimal(place: Place, item: Wheel) -> None:
    """G8: `Accept, Accept-Encoding` on pages, none on files and sidecars."""
    assert place.page(item.name).headers["vary"] == "Accept, Accept-Encoding"
    link = place.link(item)
    assert "vary" not in place.get(link).headers
