"""A13: legacy JSON through a real daemon, as pip-compile reads it."""

from __future__ import annotations

import gzip
import hashlib
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest

from tests.client import Response, get, raw
from tests.daemon import Daemon, config_for
from tests.origin import Body, Hang, Origin, Status
from tests.wheels import sdist, wheel

Make = Callable[..., Daemon]

ACCEPT = {"Accept": "application/vnd.pypi.simple.v1+json"}
PROJECT = "demo-a"

ADDRESSES = [
    ("/root/pypi/simple/", "/root/pypi/demo-a/json"),
    ("/root/pypi/simple/", "/root/pypi/pypi/demo-a/json"),
    ("/root/pypi/simple/", "/root/pypi/simple/demo-a/json"),
    ("/root/pypi/simple/", "/root/pypi/simple/pypi/demo-a/json"),
    ("/root/pypi/+simple/", "/root/pypi/+simple/demo-a/json"),
    ("/root/pypi/%2Bsimple/", "/root/pypi/%2Bsimple/demo-a/json"),
    ("/simple/", "/demo-a/json"),
    ("/simple/", "/pypi/demo-a/json"),
    ("/simple/", "/simple/demo-a/json"),
    ("/index/", "/index/demo-a/json"),
]


def fill(origin: Origin) -> None:
    for version in ("1.0", "1.1", "2.0"):
        origin.add(wheel(PROJECT, version))
        origin.add(sdist(PROJECT, version))


def page_links(url: str, headers: Mapping[str, str] | None = None) -> dict[str, str]:
    """The page's files with their links, resolved as a client does."""
    page = get(f"{url}{PROJECT}/", {**ACCEPT, **(headers or {})}).json()
    return {file["filename"]: urljoin(f"{url}{PROJECT}/", file["url"]) for file in page["files"]}


def legacy_links(document: Mapping[str, Any]) -> dict[str, str]:
    listed = [file for files in document.get("releases", {}).values() for file in files]
    return {file["filename"]: file["url"] for file in (*listed, *document["urls"])}


def document(url: str, headers: Mapping[str, str] | None = None) -> Response:
    answer = get(url, headers)
    assert answer.status == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    return answer


def pip_compile_hashes(index_url: str, json_url: str, version: str) -> tuple[set[str], list[str]]:
    """What pip-compile does for a pinned requirement: hashes by the JSON's links, and the files it must download."""
    page = get(f"{index_url}{PROJECT}/", {**ACCEPT, "Cache-Control": "max-age=0"}).json()
    by_link = {
        file["url"]: f"sha256:{file['digests']['sha256']}"
        for file in get(json_url).json()["releases"][version]
        if file["packagetype"] in {"bdist_wheel", "sdist"}
    }
    candidates = [
        urljoin(f"{index_url}{PROJECT}/", file["url"])
        for file in page["files"]
        if f"-{version}" in file["filename"]
    ]
    assert candidates
    known = {by_link[link] for link in candidates if link in by_link}
    return known, [link for link in candidates if link not in by_link]


@pytest.mark.parametrize("offered", [True, False])
def test_every_address_gives_the_links_of_its_page(origin: Origin, daemon: Make, offered: bool) -> None:
    fill(origin)
    origin.legacy = offered
    running = daemon(config_for(origin))
    for index, address in ADDRESSES:
        found = document(running.url + address)
        assert legacy_links(found.json()) == page_links(running.url + index), address
    link = legacy_links(found.json())[f"{PROJECT.replace('-', '_')}-2.0-py3-none-any.whl"]
    assert get(link).body == wheel(PROJECT, "2.0").data


@pytest.mark.parametrize("offered", [True, False])
def test_pip_compile_needs_no_file_to_know_its_hash(origin: Origin, daemon: Make, offered: bool) -> None:
    """2.3: without the JSON, or with other links in it, pip-compile downloads every candidate to hash it."""
    fill(origin)
    origin.legacy = offered
    running = daemon(config_for(origin))
    known, missing = pip_compile_hashes(running.simple, f"{running.url}/root/pypi/{PROJECT}/json", "1.1")
    assert known == {f"sha256:{item.sha256}" for item in (wheel(PROJECT, "1.1"), sdist(PROJECT, "1.1"))}
    assert not missing
    assert not [request for request in origin.requests if request.path.startswith("/packages/")]


def test_mirror_s_document_is_passed_on_and_asked_for_once(origin: Origin, daemon: Make) -> None:
    fill(origin)
    origin.legacy = True
    running = daemon(config_for(origin))
    url = f"{running.url}/pypi/{PROJECT}/json"
    first, second = document(url), document(url)
    assert first.body == second.body
    assert first.headers["cache-status"].startswith("pypicache; fwd=miss")
    assert second.headers["cache-status"] == "pypicache; hit"
    assert first.json()["info"]["name"] == PROJECT
    assert [request.path for request in origin.requests].count(f"/pypi/{PROJECT}/json") == 1
    running.restart()
    assert document(f"{running.url}/pypi/{PROJECT}/json").body == first.body
    assert [request.path for request in origin.requests].count(f"/pypi/{PROJECT}/json") == 1


def test_mirror_without_any_is_asked_twice_and_then_left_alone(origin: Origin, daemon: Make) -> None:
    """At each of its two addresses; that it has none says nothing of the project."""
    fill(origin)
    running = daemon(config_for(origin))
    for _ in range(3):
        document(f"{running.url}/pypi/{PROJECT}/json")
    asked = [request.path for request in origin.requests if request.path.endswith("/json")]
    assert asked == [f"/pypi/{PROJECT}/json", f"/{PROJECT}/json"]


def test_document_is_compressed_and_revalidated(origin: Origin, daemon: Make) -> None:
    fill(origin)
    running = daemon(config_for(origin))
    url = f"{running.url}/pypi/{PROJECT}/json"
    plain, packed = document(url), document(url, {"Accept-Encoding": "gzip, deflate"})
    assert gzip.decompress(packed.body) == plain.body
    assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["etag"] != plain.headers["etag"]
    assert get(url, {"If-None-Match": plain.headers["etag"]}).status == 304
    head = get(url, method="HEAD")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(plain.body)))
    other = document(url, {"Host": "pypi.example.org:8080"})
    assert other.headers["etag"] != plain.headers["etag"]
    assert get(url, {"If-None-Match": plain.headers["etag"], "Host": "pypi.example.org"}).status == 200


def test_links_are_for_the_client_s_own_name_of_the_server(origin: Origin, daemon: Make) -> None:
    fill(origin)
    proxied = {
        "X-Forwarded-Host": "pypi.example.org",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Prefix": "/cache",
    }
    plain = daemon(config_for(origin))
    trusting = daemon(config_for(origin, server={"trusted_proxies": ["127.0.0.0/8"]}))
    public = daemon(config_for(origin, server={"public_url": "https://cache.example.com/py/"}))

    def root(running: Daemon, headers: Mapping[str, str]) -> set[str]:
        links = legacy_links(document(f"{running.url}/root/pypi/{PROJECT}/json", headers).json()).values()
        return {link.partition("/packages/")[0] for link in links}

    assert root(plain, {"Host": "build-1:81"}) == {"http://build-1:81/root/pypi"}
    assert root(plain, {"Host": "build-1:81", **proxied}) == {"http://build-1:81/root/pypi"}
    assert root(trusting, proxied) == {"https://pypi.example.org/cache/root/pypi"}
    assert root(public, {"Host": "x", **proxied}) == {"https://cache.example.com/py/root/pypi"}
    assert "no effect" not in trusting.log + public.log


@pytest.mark.parametrize("host", ['a"><script>', "a b", "a/b", "user@a", "a:99999", ""])
def test_host_that_is_none_is_refused(origin: Origin, daemon: Make, host: str) -> None:
    """A host goes into every link, so that only a plain one may."""
    fill(origin)
    running = daemon(config_for(origin))
    parts = urlsplit(running.url)
    request = f"GET /pypi/{PROJECT}/json HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    answer = raw(parts.hostname or "", parts.port or 0, request.encode())
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"<script>" not in answer.partition(b"\r\n\r\n")[0]
    assert b"text/plain" in answer


def test_removed_yanked_and_added_files_follow_the_page(origin: Origin, daemon: Make) -> None:
    fill(origin)
    origin.legacy = True
    running = daemon(config_for(origin, index={"ttl": "100ms"}))
    url = f"{running.url}/pypi/{PROJECT}/json"
    document(url)
    gone = sdist(PROJECT, "1.0")
    # The mirror's document lags behind its page.
    stale = get(f"{origin.url}/pypi/{PROJECT}/json").body
    origin.script(f"/pypi/{PROJECT}/json", Body(stale), repeat=True)
    origin.remove_file(gone.filename)
    origin.add(wheel(PROJECT, "1.1"), yanked="broken")
    origin.add(wheel(PROJECT, "3.0"))
    made = document(url, {"Cache-Control": "no-cache"}).json()
    while "3.0" not in made["releases"]:
        made = document(url, {"Cache-Control": "no-cache"}).json()
    assert gone.filename not in legacy_links(made)
    assert legacy_links(made) == page_links(f"{running.url}/simple/")
    yanked = {file["filename"]: file["yanked_reason"] for file in made["releases"]["1.1"] if file["yanked"]}
    assert yanked == {wheel(PROJECT, "1.1").filename: "broken"}


@pytest.mark.parametrize(
    "action",
    [
        Status(500),
        Status(403),
        Body(b"<html>Please log in</html>"),
        Body(b'{"info": {"name": "other"}, "releases": {}}'),
        Body(b"\x00" * 1000),
        pytest.param(Hang(), marks=pytest.mark.soak),
    ],
    ids=["500", "403", "login page", "another project", "garbage", "silence"],
)
def test_mirror_that_fails_at_it_costs_nothing_but_its_words(
    origin: Origin, daemon: Make, action: Any
) -> None:
    """The page is enough, and the mirror isn't asked again and again."""
    fill(origin)
    origin.legacy = True
    origin.script(lambda request: request.path.endswith("/json"), action, repeat=True)
    running = daemon(config_for(origin))
    for _ in range(2):
        made = document(f"{running.url}/pypi/{PROJECT}/json").json()
        assert made["info"]["version"] == "2.0"
        assert legacy_links(made) == page_links(f"{running.url}/simple/")
    assert len([request for request in origin.requests if request.path.endswith("/json")]) == 1


def test_outage_changes_nothing(origin: Origin, daemon: Make) -> None:
    """*Once cached, always served*: with the document that was held."""
    fill(origin)
    origin.legacy = True
    running = daemon(config_for(origin, index={"ttl": "100ms"}))
    url = f"{running.url}/pypi/{PROJECT}/json"
    before = document(url)
    origin.close()
    after = document(url, {"Cache-Control": "no-cache"})
    assert after.json() == before.json()
    unknown = get(f"{running.url}/pypi/nosuch/json")
    assert unknown.status == 503
    assert unknown.headers["retry-after"].isdigit()


def test_what_there_is_not(origin: Origin, daemon: Make) -> None:
    fill(origin)
    origin.legacy = True
    running = daemon(config_for(origin))
    for path in ("/pypi/nosuch/json", f"/pypi/{PROJECT}/9.9/json", f"/pypi/{PROJECT}/nonsense/json"):
        answer = get(running.url + path)
        assert answer.status == 404
        assert answer.headers["cache-control"] == "no-store"
        assert len(answer.text.splitlines()) == 1
    assert not [request for request in origin.requests if "9.9" in request.path]
    moved = get(f"{running.url}/pypi/Demo_A/json")
    assert (moved.status, moved.headers["location"]) == (301, f"../{PROJECT}/json")


@pytest.mark.parametrize("offered", [True, False])
def test_one_version_s_document(origin: Origin, daemon: Make, offered: bool) -> None:
    fill(origin)
    origin.legacy = offered
    running = daemon(config_for(origin))
    for address in (f"/pypi/{PROJECT}/1.0/json", f"/root/pypi/{PROJECT}/1.0.0/json"):
        made = document(running.url + address).json()
        assert made["info"]["version"] == "1.0"
        assert "releases" not in made
        assert {file["filename"] for file in made["urls"]} == {
            wheel(PROJECT, "1.0").filename,
            sdist(PROJECT, "1.0").filename,
        }


def test_offline_gives_what_the_page_knows(origin: Origin, daemon: Make) -> None:
    fill(origin)
    running = daemon(config_for(origin))
    links = page_links(f"{running.url}/simple/")
    running.config["indexes"]["root/pypi"]["offline"] = True
    running.restart()
    made = document(f"{running.url}/pypi/{PROJECT}/json").json()
    assert legacy_links(made) == links
    assert not [request for request in origin.requests if request.path.endswith("/json")]


def test_hash_that_a_download_showed_is_in_the_document(origin: Origin, daemon: Make) -> None:
    """A mirror that names files by MD5 only: pip-compile has no use for that, and finds the SHA-256 here."""
    item = sdist(PROJECT, "1.0")
    origin.add(item, hashes={"md5": hashlib.md5(item.data, usedforsecurity=False).hexdigest()})
    running = daemon(config_for(origin))
    url = f"{running.url}/pypi/{PROJECT}/json"
    before = document(url)
    (file,) = before.json()["urls"]
    assert set(file["digests"]) == {"md5"}
    assert get(file["url"]).body == item.data
    running.wait_log(f"stored {item.filename}")
    deadline = time.monotonic() + 10
    while (after := document(url)).headers["etag"] == before.headers["etag"]:
        assert time.monotonic() < deadline
    assert after.json()["urls"][0]["digests"]["sha256"] == item.sha256
