"""Who may read: `auth` over a real daemon, with plain requests, real pip and real uv."""

from __future__ import annotations

import base64
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pypicache.commands.asking import get_json
from pypicache.errors import PypicacheError
from pypicache.rules.passwords import make
from tests.client import Response, get
from tests.daemon import Daemon, config_for
from tests.devpi_client import DevpiClient
from tests.installers import pip_install, uv_install
from tests.origin import Origin
from tests.wheels import Artifact, wheel

PASSWORD, TOKEN, HASHED = "hidden word", "hidden-token", "hidden too"
AUTH = {
    "users": {"bob": {"password": PASSWORD}, "eve": {"password_hash": make(HASHED, b"salt" * 4)}},
    "tokens": [TOKEN],
    "anonymous": "none",
}
ITEM: Artifact = wheel("demo", "1.0")
JSON = {"Accept": "application/vnd.pypi.simple.v1+json"}


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


BOB = basic("bob", PASSWORD)


def closed(origin: Origin, **more: Any) -> dict[str, Any]:
    """Three indexes: one that is closed, one made of it, one that is open."""
    config = config_for(origin, auth={**AUTH, **more})
    config["indexes"] |= {
        "dev": {"layers": ["root/pypi"], "auth": "none"},
        "shut": {"layers": ["root/pypi"]},
    }
    return config


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon whose default index is closed."""
    with (
        Origin() as origin,
        Daemon(tmp_path_factory.mktemp("auth"), closed(origin)) as running,
    ):
        origin.add(ITEM)
        yield running


def link_of(place: Daemon) -> str:
    page = get(f"{place.simple}demo/", {**JSON, **BOB}).json()
    return str(page["files"][0]["url"]).removeprefix("../../packages/")


def paths(place: Daemon) -> Iterator[str]:
    """Every kind of thing that an index has, and what belongs to none."""
    link = link_of(place)
    for index in ("/root/pypi", "", "/shut"):
        yield f"{index}/simple/demo/"
        yield f"{index}/packages/{link}"
        yield f"{index}/packages/{link}.metadata"
        yield f"{index}/pypi/demo/json"
    yield "/root/pypi/simple/"
    yield "/root/pypi/+simple/demo/"
    yield "/root/pypi/%2Bsimple/demo/"
    yield "/%72oot/pypi/simple/demo/"
    yield "/demo/json"
    yield "/-/explain/root/pypi/demo"
    yield "/"


def refused(answer: Response) -> bool:
    if answer.status != 401:
        return False
    assert answer.headers["www-authenticate"] == 'Basic realm="pypicache", charset="UTF-8"'
    assert answer.headers["cache-control"] == "no-store"
    assert len(answer.body.splitlines()) <= 1
    return True


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_is_closed_is_closed_by_every_name_it_has(place: Daemon, method: str) -> None:
    for path in paths(place):
        assert refused(get(place.url + path, method=method)), path
        assert get(place.url + path, BOB, method=method).status == 200, path


def test_what_is_open_asks_nobody_who_they_are(place: Daemon) -> None:
    """An index is governed by its own name: `dev` is open, though it is made of a closed one."""
    for path in ("/dev/simple/demo/", f"/dev/packages/{link_of(place)}", "/healthz"):
        answer = get(place.url + path)
        assert (answer.status, "private" in answer.headers.get("cache-control", "")) == (200, False)
        assert get(place.url + path, basic("bob", "wrong")).status == 200
    assert get(f"{place.url}/nowhere").status == 404
    assert get(f"{place.url}/root/pypi/simple/demo").status == 301


@pytest.mark.parametrize(
    "headers",
    [
        BOB,
        basic("eve", HASHED),
        basic("__token__", TOKEN),
        {"Authorization": f"Bearer {TOKEN}"},
        {"Authorization": f"bearer {TOKEN}"},
    ],
)
def test_credentials_that_open(place: Daemon, headers: Mapping[str, str]) -> None:
    assert get(f"{place.simple}demo/", headers).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        basic("bob", HASHED),
        basic("bob", ""),
        basic("nobody", PASSWORD),
        basic("__token__", PASSWORD),
        basic(TOKEN, ""),
        {"Authorization": f"Bearer {PASSWORD}"},
        {"Authorization": "Basic"},
        {"Authorization": "Basic %%%"},
        {"Authorization": f"Digest {TOKEN}"},
        {"Proxy-Authorization": BOB["Authorization"]},
        {"X-Forwarded-User": "bob"},
        {"X-Remote-User": "bob"},
        {"X-Original-URL": "/healthz"},
        {"Cookie": f"token={TOKEN}"},
    ],
)
def test_credentials_that_do_not(place: Daemon, headers: Mapping[str, str]) -> None:
    # A guess now and then isn't slowed; the right password forgives the ones before.
    assert get(f"{place.simple}demo/", basic("bob", PASSWORD)).status == 200
    assert refused(get(f"{place.simple}demo/", headers))
    assert refused(get(f"{place.simple}demo/?token={TOKEN}", headers))


def test_no_cache_on_the_way_may_keep_what_is_closed(place: Daemon) -> None:
    link = link_of(place)
    for path in ("/simple/demo/", f"/packages/{link}", f"/packages/{link}.metadata", "/simple/"):
        said = get(place.url + path, BOB).headers["cache-control"]
        assert said.startswith("private"), (path, said)
    etag = get(f"{place.simple}demo/", BOB).headers["etag"]
    assert get(f"{place.simple}demo/", {**BOB, "If-None-Match": etag}).status == 304
    assert refused(get(f"{place.simple}demo/", {"If-None-Match": etag}))


def test_secrets_are_nowhere_to_be_read(place: Daemon) -> None:
    get(f"{place.simple}demo/", basic("bob", "hidden guess"))
    get(f"{place.simple}demo/", {"Authorization": "Bearer hidden-guess"})
    explained = get(f"{place.url}/-/explain/root/pypi/demo", BOB).text
    assert "hidden" not in place.log + explained


def test_guesses_are_slowed_and_the_right_password_is_not(
    origin: Origin, daemon: Callable[..., Daemon]
) -> None:
    origin.add(ITEM)
    running = daemon(closed(origin))
    url = f"{running.simple}demo/"
    via = {"X-Forwarded-For": "192.0.2.1"}
    statuses = [get(url, {**via, **basic("bob", f"guess {n}")}).status for n in range(20)]
    assert statuses[0] == 401
    assert statuses[-1] == 429
    slowed = get(url, {**via, **BOB})
    assert (slowed.status, 1 <= int(slowed.headers["retry-after"]) <= 60) == (429, True)
    # Another client, and one on this machine, don't wait.
    assert get(url, {"X-Forwarded-For": "192.0.2.2", **BOB}).status == 200
    assert get(url, BOB).status == 200
    # What was right a moment ago still is, wherever it comes from.
    assert get(url, {**via, **BOB}).status == 200


def test_pip_and_uv_with_credentials_in_the_url(place: Daemon, tmp_path: Path) -> None:
    url = place.simple.replace("://", "://bob:hidden%20word@")
    pip_install(tmp_path / "pip", "demo", index_url=url).check()
    uv_install(tmp_path / "uv", "demo", index_url=url).check()
    assert (tmp_path / "pip" / "demo").is_dir()
    assert (tmp_path / "uv" / "demo").is_dir()


def test_pip_and_uv_with_a_token_from_netrc(place: Daemon, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login __token__ password {TOKEN}\n")
    netrc.chmod(0o600)
    env = {"NETRC": str(netrc)}
    pip_install(tmp_path / "pip", "demo", index_url=place.simple, env=env).check()
    uv_install(tmp_path / "uv", "demo", index_url=place.simple, env=env).check()


def test_commands_that_ask_by_address_use_what_installers_use(
    place: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`pypicache lock` asks as a client does; its errors show no password."""
    where = f"{place.url}/root/pypi/+origin/"
    netrc = tmp_path / "netrc"
    monkeypatch.setenv("NETRC", str(netrc))
    with pytest.raises(PypicacheError, match="answers 401"):
        get_json(where)
    assert get_json(where.replace("://", "://bob:hidden%20word@"))["index"] == "root/pypi"
    with pytest.raises(PypicacheError) as refused:
        get_json(where.replace("://", "://bob:hidden-guess@"))
    assert "hidden" not in str(refused.value)
    netrc.write_text(f"machine 127.0.0.1 login __token__ password {TOKEN}\n")
    netrc.chmod(0o600)
    assert get_json(where)["index"] == "root/pypi"


def test_pip_and_uv_without_credentials_get_nothing(place: Daemon, tmp_path: Path) -> None:
    for done in (
        pip_install(tmp_path / "pip", "demo", index_url=place.simple),
        uv_install(tmp_path / "uv", "demo", index_url=place.simple),
    ):
        assert done.code != 0
        assert "hidden" not in done.out


def test_devpis_client_at_a_closed_index(
    origin: Origin, daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    """Who may change it may read it; others are told to log in, and bring their name and password in the address."""
    running = daemon(closed(origin) | {"admin": {"users": {"root": {"password": ""}}}})
    devpi = DevpiClient(tmp_path / "one")
    asked = devpi("use", f"{running.url}/root/pypi").check()
    assert "403" in asked.out
    assert "You might have to login first to access this index." in asked.out
    assert devpi("use", "-l").code == 1
    assert "logged in 'root'" in devpi("login", "root", "--password=").check().out
    assert "mirror_url=" in devpi("index", "root/pypi").check().out
    assert "root/shut" in devpi("use", "-l").check().out
    other = DevpiClient(tmp_path / "two")
    other("use", running.url.replace("://", "://bob:hidden word@") + "/root/pypi").check()
    assert "mirror_url=" in other("index", "root/pypi").check().out
    # Reading is all that those may.
    refused = other("login", "bob", f"--password={PASSWORD}")
    assert (refused.code, "401" in refused.out) == (1, True)


def test_a_reload_closes_and_opens(origin: Origin, daemon: Callable[..., Daemon]) -> None:
    origin.add(ITEM)
    running = daemon(config_for(origin))
    url = f"{running.simple}demo/"

    def reload(auth: Mapping[str, Any]) -> None:
        running.config["auth"] = auth
        running.write_config()
        seen = len(running.log)
        running.send(signal.SIGHUP)
        running.wait_log(r"INFO reloaded ", since=seen)

    # Asked for often, the page goes out by a shortcut, which must not outlive the word that it was open.
    assert [get(url).status for _ in range(4)] == [200] * 4
    reload(AUTH)
    assert (get(url).status, get(url, BOB).status) == (401, 200)
    reload({**AUTH, "users": {"bob": {"password": "another"}}})
    assert (get(url, BOB).status, get(url, basic("bob", "another")).status) == (401, 200)
    reload({})
    assert (get(url).status, get(url, BOB).status) == (200, 200)


def test_without_the_section_nobody_is_asked(origin: Origin, daemon: Callable[..., Daemon]) -> None:
    """Never a 401 where it isn't configured, whatever a client sends."""
    origin.add(ITEM)
    running = daemon(config_for(origin))
    for headers in ({}, BOB, {"Authorization": "Basic %%%"}, {"Authorization": "Bearer x"}):
        assert get(f"{running.simple}demo/", headers).status == 200
