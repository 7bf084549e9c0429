"""The pages for people, as they are sent: what is in them, what they allow, and that nothing hostile gets out."""

from __future__ import annotations

import base64
import re
from collections.abc import Generator
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import pytest

from tests.client import ByHand, Response, get
from tests.daemon import Daemon, config_for
from tests.origin import Gate, Headers, Origin, StallAt
from tests.wheels import big_page, wheel

HTML = {"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}
EVIL = "<script>alert(1)</script>\"'onload=x"


class Page(HTMLParser):
    """Every element's name and attributes, and every text, as a browser gets them."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(response.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def links(self, base: str) -> set[str]:
        """What it leads to or loads, resolved."""
        return {
            urljoin(base, link)
            for _, attributes in self.elements
            for name in ("href", "src", "action")
            if (link := attributes.get(name)) is not None
        }


def page(url: str, headers: dict[str, str] | None = None) -> Page:
    """The page, which is held to what every page promises."""
    answer = get(url, {**HTML, **(headers or {})})
    assert answer.status == 200, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert "*" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    found = Page(answer)
    for tag, attributes in found.elements:
        assert not [name for name in attributes if name.startswith("on") or name == "style"], (
            tag,
            attributes,
        )
        assert tag not in {"style", "iframe", "object"}
        assert tag != "script" or "src" in attributes
    return found


class Place:
    """A daemon with an index of one mirror, one that is closed to most names, and one of both."""

    def __init__(self, origin: Origin, daemon: Daemon) -> None:
        self.origin = origin
        self.daemon = daemon
        self.url = daemon.url

    def project(self, name: str) -> str:
        return f"{self.url}/-/project/root/pypi/{name}"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Generator[Place]:
    with Origin(name="origin") as origin, Origin(name="corp") as corp:
        config = config_for(origin, index={"web_url": "https://index.example.org/{name}/"})
        config["indexes"]["corp"] = {"mirrors": [corp.simple]}
        config["indexes"]["dev"] = {"layers": [{"index": "corp", "owns": ["acme-*"]}, "root/pypi"]}
        with Daemon(tmp_path_factory.mktemp("daemon"), config) as daemon:
            yield Place(origin, daemon)


def test_the_status_page_says_it_all(place: Place) -> None:
    """Without a script: how to use it, figures, mirrors, downloads in flight, the most wanted."""
    item = wheel("big", "1.0", size=2_000_000)
    place.origin.add(item)
    gate = Gate()
    place.origin.script(item.filename, StallAt(1_000_000, gate))
    reader = ByHand(place.daemon.link(item))
    reader.head()
    reader.read(500_000)
    found = page(f"{place.url}/")
    assert f"pip install -i {place.url}/simple/ requests" in found.text
    assert f"poetry source add --priority=primary cache {place.url}/simple/" in found.text
    assert item.filename in found.text
    progress = [attributes for tag, attributes in found.elements if tag == "progress"]
    assert any(bar.get("max") == str(len(item.data)) for bar in progress)
    assert place.origin.simple in found.text
    assert place.project("big") in found.links(f"{place.url}/")
    live = get(f"{place.url}/?live", HTML)
    assert item.filename in live.text
    assert "<html" not in live.text
    gate.open()
    reader.close()


def test_everything_that_a_page_loads_is_its_own_and_there(place: Place) -> None:
    """Relative, so that it holds below a path that a proxy puts before it; but for the way to the web."""
    place.origin.add(wheel("demo", "1.0"))
    get(place.daemon.simple + "demo/")
    for path in ("/", "/-/project/root/pypi/demo", "/-/project/dev/demo"):
        found = page(place.url + path)
        for _, attributes in found.elements:
            for name in ("href", "src", "action"):
                link = attributes.get(name) or ""
                assert not urlsplit(link).scheme or attributes.get("rel") == "noopener noreferrer external"
                assert not link.startswith("/")
        for link in found.links(place.url + path):
            if link.startswith(place.url) and not link.endswith("/-/project"):
                assert get(link, HTML).status == 200, link


def test_what_pages_need_is_kept_by_browsers(place: Place) -> None:
    style = get(f"{place.url}/-/style.css")
    assert style.headers["content-type"] == "text/css; charset=utf-8"
    etag = {"If-None-Match": style.headers["etag"]}
    assert get(f"{place.url}/-/style.css", etag).status == 304
    assert get(f"{place.url}/-/live.js").headers["content-type"] == "text/javascript; charset=utf-8"
    assert get(f"{place.url}/-/secret.txt").status == 404


def test_programs_get_no_page(place: Place) -> None:
    for accept in ("*/*", "application/json"):
        answer = get(f"{place.url}/", {"Accept": accept})
        assert "<html" not in answer.text
        assert "accept" in answer.headers["vary"].lower()


def test_an_index_is_chosen(place: Place) -> None:
    assert f"pip install -i {place.url}/dev/simple/ requests" in page(f"{place.url}/?index=dev").text
    assert "owns acme-*" in page(f"{place.url}/").text
    assert get(f"{place.url}/?index=nowhere", HTML).status == 400
    url = f"{place.url}/-/project/dev/acme-app"
    layered = page(url)
    assert f"{place.url}/-/project/corp/acme-app" in layered.links(url)
    assert "never asked for this name" in layered.text


def test_a_project_and_what_of_it_is_cached(place: Place) -> None:
    first, second = wheel("some", "1.0", size=1000), wheel("some", "2.0", size=1000)
    place.origin.add(first)
    place.origin.add(second)
    url = place.project("some")
    assert "nothing is known" in page(url).text
    link = place.daemon.link(second)
    get(link)
    found = page(url)
    assert "1 of 2 files" in found.text
    file = link.replace("/packages/", "/root/pypi/packages/")
    assert {file, "https://index.example.org/some/"} <= found.links(url)
    rows = re.findall(r"(some-\d\.0-py3-none-any\.whl) (stored|not yet)", found.text)
    assert rows == [(second.filename, "stored"), (first.filename, "not yet")]
    searched = get(f"{place.url}/-/project?name=Some&index=root%2Fpypi", HTML)
    assert (searched.status, urljoin(f"{place.url}/-/project", searched.headers["location"])) == (303, url)
    assert get(f"{place.url}/-/project?name=%3Cscript%3E", HTML).status == 400
    assert get(f"{place.url}/-/project/nowhere/some", HTML).status == 404
    for query in ("page=0", "page=2", "page=x", "page=99999", "page=%D9%A1"):
        assert get(f"{url}?{query}", HTML).status == 400


def test_many_files_are_shown_a_part_at_a_time(place: Place) -> None:
    place.origin.project("many", form="json", body=big_page("many", 450))
    get(place.daemon.simple + "many/")
    shown = [page(f"{place.project('many')}?page={number}") for number in (1, 2, 3)]
    names = [re.findall(r"many-\d+\.0-[\w.-]+\.whl", each.text) for each in shown]
    assert [len(each) for each in names] == [200, 200, 50]
    assert len({name for each in names for name in each}) == 450


def test_what_a_hostile_mirror_says_is_text(place: Place) -> None:
    """Reasons, statuses, errors: all of it is shown as it is, and none of it is markup."""
    place.origin.add(wheel("evil", "1.0"), yanked=EVIL)
    status = {"project-status": {"status": "deprecated", "reason": EVIL}}
    place.origin.project("evil", extra=status, api_version="1.4")
    place.origin.add(wheel("other", "1.0"))
    place.origin.script("/simple/other/", Headers({"Content-Encoding": "<b>bold</b>"}), repeat=True)
    get(place.daemon.simple + "evil/")
    get(place.daemon.simple + "other/")
    found = page(place.project("evil"))
    assert EVIL in found.text
    assert ("span", {"class": "tag warn", "title": EVIL}) in found.elements
    assert [tag for tag, _ in found.elements].count("script") == 1
    home = page(f"{place.url}/")
    assert "sent with Content-Encoding <b>bold</b>" in home.text
    assert [tag for tag, _ in home.elements].count("script") == 1
    assert not [tag for tag, _ in home.elements if tag == "b"]


def test_the_address_is_the_one_that_the_client_uses(place: Place) -> None:
    """A Host that is none is refused, and never gets into a page. Of a closed index it says where an account goes."""
    there = page(f"{place.url}/", {"Host": "cache.example:8080"})
    assert "pip install -i http://cache.example:8080/simple/ --trusted-host cache.example" in there.text
    assert get(f"{place.url}/", {**HTML, "Host": 'x"><script>'}).status == 400
    assert "netrc" not in there.text
    accounts = {"users": {"me": {"password": "secret-word"}}, "anonymous": "none"}
    place.daemon.config["auth"] = accounts
    place.daemon.config["server"]["public_url"] = "https://pypi.example.org/cache/"
    place.daemon.restart()
    assert get(f"{place.url}/", HTML).status == 401
    known = {"Authorization": "Basic " + base64.b64encode(b"me:secret-word").decode()}
    closed = page(f"{place.url}/", known)
    assert "pip install -i https://pypi.example.org/cache/simple/ requests" in closed.text
    assert "machine pypi.example.org login NAME" in closed.text
    assert "secret-word" not in closed.text
