"""devpi's ways of looking at a server: its client, its JSON, and the links that it put into lock files."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.client import get
from tests.daemon import Daemon, config_for
from tests.devpi_client import DevpiClient
from tests.installers import pip_download, pip_install, uv_install
from tests.origin import Origin
from tests.wheels import Artifact, sdist, wheel

ITEM = wheel("demo", "1.0+cu1")
OTHER = sdist("demo", "0.9")
JSON = {"Accept": "application/json"}


@pytest.fixture(scope="module")
def origin_of_all() -> Iterator[Origin]:
    with Origin() as origin:
        origin.add(ITEM)
        origin.add(OTHER)
        yield origin


@pytest.fixture(scope="module")
def place(origin_of_all: Origin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One index with two mirrors, one of a single segment, one made of both."""
    config = config_for(origin_of_all)
    url = origin_of_all.simple
    secret = url.replace("://", "://me:hidden@")
    config["indexes"]["root/pypi"] |= {"mirrors": [secret, {"url": url, "name": "two"}], "ttl": "5m"}
    config["indexes"] |= {
        "corp": {"mirrors": [url], "web_url": "https://corp.example/{name}"},
        "team/dev": {"layers": ["corp", "root/pypi"]},
    }
    with Daemon(tmp_path_factory.mktemp("devpi"), config) as running:
        yield running


@pytest.fixture
def devpi(tmp_path: Path) -> DevpiClient:
    return DevpiClient(tmp_path)


def old_link(item: Artifact, index: str = "root/pypi", plus: str = "+") -> str:
    digits = item.sha256[:16]
    name = item.filename.replace("+", plus)
    return f"/{index}/{plus}f/{digits[:3]}/{digits[3:]}/{name}"


def test_the_client_finds_its_way(place: Daemon, devpi: DevpiClient, origin_of_all: Origin) -> None:
    said = devpi("use", place.url).check().out
    assert f"using server: {place.url}/ (not logged in)" in said
    listed = devpi("use", "-l").check().out
    assert "root/pypi       bases=                volatile=False" in listed
    assert "root/corp " in listed
    assert "team/dev        bases=root/corp,root/pypi volatile=False" in listed
    for index in ("root/pypi", "root/corp", "team/dev"):
        used = devpi("use", index).check().out
        assert f"current devpi index: {place.url}/{index} (not logged in)" in used
        assert "supported features: server-keyvalue-parsing" in used
    shown = devpi("index", "root/pypi").check().out
    for line in (
        "type=mirror",
        f"mirror_url={origin_of_all.simple}",
        "mirror_cache_expiry=300",
        "volatile=False",
    ):
        assert f"  {line}\n" in shown
    assert f"mirrors={origin_of_all.simple},{origin_of_all.simple}\n" in shown
    assert "mirror_web_url_fmt=https://corp.example/{name}" in devpi("index", "root/corp").check().out
    assert "type=stage\n  bases=root/corp,root/pypi" in devpi("index", "team/dev").check().out
    assert devpi("index", "-l", "root").check().out.split() == ["root/corp", "root/pypi"]
    assert "WARN" not in said + listed + used + shown
    assert "hidden" not in said + listed + shown


def test_the_client_at_an_index_sets_up_pip_and_uv(place: Daemon, devpi: DevpiClient, tmp_path: Path) -> None:
    devpi("use", f"{place.url}/root/pypi", "--set-cfg").check()
    pip_conf = (tmp_path / "home" / "pip.conf").read_text()
    assert f"index_url = {place.url}/root/pypi/+simple/" in pip_conf
    pip_install(
        tmp_path / "pip",
        "demo",
        index_url=f"{place.url}/root/pypi/+simple/",
        env={"PIP_CONFIG_FILE": str(tmp_path / "home" / "pip.conf")},
    ).check()
    uv_toml = (tmp_path / "home" / ".config" / "uv" / "uv.toml").read_text()
    assert f'index-url = "{place.url}/root/pypi/+simple/"' in uv_toml


def test_the_client_is_told_what_is_not_there(place: Daemon, devpi: DevpiClient) -> None:
    devpi("use", place.url).check()
    used = devpi("use", "root/nope")
    assert (used.code, "404 Not Found" in used.out) == (1, True)
    assert devpi("index", "root/nope").code == 1
    assert "there is no index root/nope" in get(f"{place.url}/root/nope", JSON).text


def test_documents(place: Daemon) -> None:
    def read(path: str, kind: str) -> Any:
        answer = get(place.url + path, JSON)
        assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
        assert (answer.headers["x-devpi-api-version"], answer.headers["cache-control"]) == ("2", "no-store")
        assert answer.json()["type"] == kind
        assert get(place.url + path, JSON, method="HEAD").body == b""
        return answer.json()["result"]

    everything = read("/", "list:userconfig")
    assert sorted(everything) == ["root", "team"]
    assert sorted(everything["root"]["indexes"]) == ["corp", "pypi"]
    assert everything["root"] == read("/root", "userconfig")
    assert everything["root"]["indexes"]["pypi"] == read("/root/pypi?no_projects=", "indexconfig")
    assert read("/root/pypi", "indexconfig")["projects"] == []
    api = read("/root/corp/+api", "apiconfig")
    assert (api["index"], api["simpleindex"]) == ("/root/corp", "/root/corp/+simple/")
    assert (api["login"], api["authstatus"]) == ("/+login", ["noauth", "", []])
    assert read("/+status", "status")["role"] == "MASTER"
    assert "hidden" not in get(f"{place.url}/").text


def test_curl_gets_json_and_a_browser_does_not(place: Daemon) -> None:
    curl = get(place.url, {"Accept": "*/*"})
    assert curl.json()["type"] == "list:userconfig"
    assert "Accept" in curl.headers["vary"]
    browser = get(place.url, {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert not browser.headers["content-type"].startswith("application/json")


def test_below_a_path_of_a_proxy_links_begin_with_it(origin: Origin, daemon: Callable[..., Daemon]) -> None:
    running = daemon(config_for(origin, server={"trusted_proxies": ["127.0.0.1"]}))
    for headers, root in (
        ({"X-Forwarded-Prefix": "/cache/"}, "/cache"),
        ({"X-Forwarded-Prefix": '/a"b'}, ""),
    ):
        said = get(f"{running.url}/root/pypi/+api", headers).json()["result"]
        assert (said["login"], said["simpleindex"]) == (f"{root}/+login", f"{root}/root/pypi/+simple/")


@pytest.mark.parametrize("plus", ["+", "%2B"])
@pytest.mark.parametrize("index", ["root/pypi", "root/corp", "corp", "team/dev"])
def test_an_old_link_leads_to_its_file(place: Daemon, index: str, plus: str) -> None:
    for item in (ITEM, OTHER):
        answer = get(place.url + old_link(item, index, plus))
        assert (answer.status, answer.body) == (200, item.data)
        assert answer.headers["etag"] == f'"{item.sha256}"'
        assert (
            get(place.url + old_link(item, index, plus), method="HEAD").headers["etag"]
            == answer.headers["etag"]
        )
    part = get(place.url + old_link(ITEM, index, plus), {"Range": "bytes=2-5"})
    assert (part.status, part.body) == (206, ITEM.data[2:6])
    sidecar = get(f"{place.url}{old_link(ITEM, index, plus)}.metadata")
    assert (sidecar.status, sidecar.body[:16]) == (200, b"Metadata-Version")


@pytest.mark.parametrize("index", ["root/pypi", "team/dev"])
def test_an_old_link_with_other_digits_leads_nowhere(place: Daemon, index: str) -> None:
    wrong = old_link(ITEM, index).replace(ITEM.sha256[:3], "000" if ITEM.sha256[:3] != "000" else "111")
    for path in (wrong, f"/{index}/+f/abc/0123456789abc/nobody-1.0.tar.gz"):
        answer = get(place.url + path)
        assert (answer.status, len(answer.text.splitlines())) == (404, 1)


def test_a_lock_file_of_devpi_installs(place: Daemon, tmp_path: Path) -> None:
    link = f"demo @ {place.url}{old_link(ITEM, plus='%2B')}#sha256={ITEM.sha256}"
    pip_install(tmp_path / "pip", link, index_url=place.simple).check()
    uv_install(tmp_path / "uv", link, index_url=place.simple).check()
    assert (tmp_path / "pip" / "demo").is_dir()
    assert (tmp_path / "uv" / "demo").is_dir()


@pytest.mark.soak
def test_an_old_link_holds_when_only_the_file_is_left(origin: Origin, daemon: Callable[..., Daemon]) -> None:
    """Pages gone, mirrors dead: what was stored is found again by name and digits."""
    origin.add(ITEM)
    config = config_for(origin)
    config["indexes"] |= {"dev": {"layers": ["root/pypi"]}}
    running = daemon(config)
    for index in ("root/pypi", "dev"):
        assert get(running.url + old_link(ITEM, index)).status == 200
    running.stop()
    shutil.rmtree(running.cache / "pages")
    origin.close()
    running.start()
    for index in ("root/pypi", "dev"):
        answer = get(running.url + old_link(ITEM, index))
        assert (answer.status, answer.body) == (200, ITEM.data)
    # Silence isn't absence: what was never seen may be there.
    assert get(running.url + old_link(OTHER)).status == 503


def test_an_old_link_holds_when_nothing_but_the_bytes_is_left(
    origin: Origin, daemon: Callable[..., Daemon]
) -> None:
    """As after `import --devpi` without pages: no record, no page, no mirror; but a page that is held has the word."""
    origin.add(ITEM)
    origin.add(wheel("held", "1.0"))
    config = config_for(origin)
    config["indexes"] |= {
        "dev": {"layers": ["root/pypi"]},
        "open": {"mirrors": [origin.simple], "auth": "none"},
    }
    running = daemon(config)
    assert get(running.url + old_link(ITEM)).status == 200
    assert get(f"{running.simple}held/").status == 200
    running.stop()
    shutil.rmtree(running.cache / "pages")
    shutil.rmtree(running.cache / "links")
    origin.close()
    running.start()
    for index in ("root/pypi", "dev", "open"):
        link = running.url + old_link(ITEM, index)
        answer = get(link)
        assert (answer.status, answer.body) == (200, ITEM.data)
        assert answer.headers["etag"] == f'"{ITEM.sha256}"'
        assert "stale-if-error" in answer.headers["cache-status"]
        head = get(link, method="HEAD")
        assert (head.status, head.headers["content-length"]) == (200, str(len(ITEM.data)))
        assert get(link, {"Range": "bytes=2-5"}).body == ITEM.data[2:6]
        assert get(f"{link}.metadata").status == 503
    assert get(running.url + old_link(OTHER)).status == 503
    # Where not everyone may read everything, bytes without a page are nobody's.
    running.stop()
    running.config["auth"] = {"tokens": ["hidden"], "anonymous": "none"}
    running.start()
    assert get(running.url + old_link(ITEM, "open")).status == 503
    assert get(running.url + old_link(ITEM)).status == 401
    assert get(running.url + old_link(ITEM), {"Authorization": "Bearer hidden"}).status == 200


def test_a_page_that_is_held_says_what_an_old_link_leads_to(
    origin: Origin, daemon: Callable[..., Daemon]
) -> None:
    origin.add(ITEM)
    running = daemon(config_for(origin))
    assert get(running.url + old_link(ITEM)).status == 200
    running.stop()
    shutil.rmtree(running.cache / "links")
    origin.remove_file(ITEM.filename)
    running.config["indexes"]["root/pypi"]["ttl"] = 0
    running.start()
    assert get(f"{running.simple}demo/").status == 200
    assert get(running.url + old_link(ITEM)).status == 404
    origin.close()
    assert get(running.url + old_link(ITEM)).status == 404


def test_pip_at_the_index_itself_is_shown_the_page(place: Daemon, tmp_path: Path) -> None:
    """`-i …/root/pypi` and `-i …/root/pypi/`, as old pip.confs have it."""
    for number, url in enumerate((f"{place.url}/root/pypi", f"{place.url}/root/corp/")):
        pip_download(tmp_path / str(number), "demo", index_url=url).check()
        uv_install(tmp_path / f"uv{number}", "demo", index_url=url).check()
