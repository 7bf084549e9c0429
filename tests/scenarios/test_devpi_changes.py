"""devpi's client changes what this daemon serves: login, `devpi index`, and everyone who mustn't."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from pypicache.rules.passwords import make
from tests.client import Response, get
from tests.daemon import Daemon
from tests.devpi_client import DevpiClient
from tests.origin import Origin
from tests.wheels import wheel

Daemons = Callable[..., Daemon]

JSON = {"Accept": "application/json", "Content-Type": "application/json"}
HEAD = """\
# The cache of the office.
admin:
  users: {users}   # who may change it
server: {{listen: "127.0.0.1:0", trusted_proxies: []}}
cache: {{dir: {cache}}}

indexes:
  root/pypi:
    # near, then the real one
    mirrors:
      - {first}   # ours
      - url: {second}
        name: two
    ttl: 5m

  # made of the other
  dev: {{layers: [root/pypi]}}
"""


class Written(Daemon):
    """A daemon whose configuration is text with comments."""

    def __init__(self, folder: Path, text: str) -> None:
        super().__init__(folder, {})
        self.cache = folder / "cache"
        self.config_file.write_text(text)
        self.config_file.chmod(0o640)

    def write_config(self) -> None:
        """It is written already, and what changes it is under test."""

    @property
    def text(self) -> str:
        return self.config_file.read_text()


@pytest.fixture
def written(tmp_path: Path, origins: Callable[..., Origin]) -> Any:
    """Starts such a daemon; each of its mirrors has its own version of demo and fresh."""
    made: list[Written] = []

    def start(users: str = '{root: {password: ""}}', *, text: str = HEAD) -> Written:
        places = [origins(name=f"mirror{number}") for number in range(3)]
        for number, origin in enumerate(places):
            origin.add(wheel("demo", f"{number}.0"))
            origin.add(wheel("fresh", f"{number}.0"))
        folder = tmp_path / "daemon"
        folder.mkdir()
        filled = text.format(
            users=users, cache=folder / "cache", first=places[0].simple, second=places[1].simple
        )
        made.append(Written(folder, filled))
        made[-1].start()
        made[-1].third = places[2].simple  # type: ignore[attr-defined] # a mirror that isn't configured yet
        return made[-1]

    yield start
    for daemon in made:
        daemon.close()


def ask(
    url: str,
    method: str,
    body: Any = None,
    headers: Mapping[str, str] | None = None,
    *,
    data: bytes | None = None,
) -> Response:
    """Send a body, as JSON unless it is given as bytes."""
    host, _, path = url.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(host, timeout=20)
    try:
        sent = data if data is not None else json.dumps(body).encode() if body is not None else None
        connection.request(method, f"/{path}", body=sent, headers={**JSON, **(headers or {})})
        answer = connection.getresponse()
        return Response(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def login(daemon: Daemon, user: str = "root", password: str = "", **headers: str) -> dict[str, str]:
    """The header of one who has logged in."""
    answer = ask(f"{daemon.url}/+login", "POST", {"user": user, "password": password}, headers)
    assert answer.status == 200, answer.text
    assert answer.json()["result"]["expiration"] == 36_000
    return auth(user, answer.json()["result"]["password"])


def auth(user: str, token: str) -> dict[str, str]:
    return {"X-Devpi-Auth": base64.b64encode(f"{user}:{token}".encode()).decode()}


def versions(daemon: Daemon, index: str = "root/pypi", project: str = "demo") -> list[str]:
    """Which mirror the page is from: each has another version."""
    page = get(f"{daemon.url}/{index}/simple/{project}/", {"Accept": "application/vnd.pypi.simple.v1+json"})
    return sorted(file["filename"].split("-")[1] for file in page.json()["files"])


def test_the_whole_journey_with_the_real_client(written: Callable[..., Any], tmp_path: Path) -> None:
    daemon = written()
    before = daemon.text
    devpi = DevpiClient(tmp_path)
    devpi("use", daemon.url).check()
    devpi("use", "root/pypi").check()
    denied = devpi("index", "root/pypi", f"mirror_url={daemon.third}")
    assert (denied.code, "you need to be logged in" in denied.out) == (1, True)
    said = devpi("login", "root", "--password=").check().out
    assert "logged in 'root'" in said
    assert "credentials valid for 10.00 hours" in said
    assert "logged in as root" in devpi("use").check().out

    assert versions(daemon) == ["0.0"]
    assert versions(daemon, "dev") == ["0.0"]
    changed = devpi(
        "index",
        "root/pypi",
        f"mirror_url={daemon.third}",
        "mirror_web_url_fmt=https://office.example/{name}",
        "mirror_cache_expiry=60",
    ).check()
    for line in (
        f"mirror_url={daemon.third}",
        "mirror_cache_expiry=60",
        "mirror_web_url_fmt=https://office.example/{name}",
    ):
        assert f"  {line}\n" in changed.out
    # At once, for the index and what is made of it, and without a request being dropped.
    assert versions(daemon, project="fresh") == ["2.0"]
    assert versions(daemon, "dev", "fresh") == ["2.0"]
    # In the file: nothing but what was meant.
    lines = zip(before.splitlines(), daemon.text.splitlines(), strict=False)
    assert [line for line in before.splitlines() if line not in daemon.text.splitlines()] == [
        next(a for a, _ in lines if a.endswith("# ours")),
        "    ttl: 5m",
    ]
    for comment in (
        "# The cache of the office.",
        "# who may change it",
        "# near, then the real one",
        "# made of the other",
    ):
        assert comment in daemon.text
    assert stat.S_IMODE(daemon.config_file.stat().st_mode) == 0o640
    assert [path.name for path in daemon.folder.iterdir() if path.name.startswith(".")] == []

    devpi("index", "root/pypi", "mirror_web_url_fmt-=").check()
    assert "web_url" not in daemon.text
    # It holds, and so does the login, after a restart.
    devpi_url = daemon.url
    daemon.stop()
    daemon.config_file.write_text(daemon.text.replace("127.0.0.1:0", devpi_url.removeprefix("http://")))
    daemon.start()
    assert versions(daemon, project="fresh") == ["2.0"]
    assert "logged in as root" in devpi("use").check().out
    devpi("logoff").check()
    assert "not logged in" in devpi("use").check().out
    assert "root changed mirror_url, web_url, ttl of the index root/pypi, from local" in daemon.log


def test_a_new_index_by_the_client(written: Callable[..., Any], tmp_path: Path) -> None:
    daemon = written()
    devpi = DevpiClient(tmp_path)
    devpi("use", daemon.url).check()
    devpi("login", "root", "--password=").check()
    made = devpi("index", "-c", "team/fresh", "type=mirror", f"mirror_url={daemon.third}").check()
    assert f"mirror_url={daemon.third}" in made.out
    assert versions(daemon, "team/fresh") == ["2.0"]
    assert versions(daemon) == ["0.0"]
    again = devpi("index", "-c", "team/fresh", "type=mirror", f"mirror_url={daemon.third}")
    assert (again.code, "is there already" in again.out) == (1, True)
    header = login(daemon)
    for name, status in (("pypi/x", 405), ("team/-x", 405), ("simple/x", 405), ("metrics/x", 400)):
        body = {"type": "mirror", "mirror_url": daemon.third}
        assert ask(f"{daemon.url}/{name}", "PUT", body, header).status == status, name
    deleted = devpi("index", "-y", "--delete", "team/fresh")
    assert (deleted.code, "in the configuration file" in deleted.out) == (1, True)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (["mirror_url=nonsense"], "no well-known mirror is called"),
        (["mirror_url=ftp://x.example/"], "an absolute URL is due"),
        (["mirror_url="], "an index needs a mirror"),
        (["mirror_url-="], "an index needs a mirror"),
        (["mirror_url=https://${PATH}:x@x.example/"], "variables of the environment"),
        (["mirror_url+=https://x.example/"], "takes no more"),
        (["mirror_cache_expiry=soon"], "a duration is due"),
        (["mirror_cache_expiry=-1"], "a duration can't be negative"),
        (["mirror_web_url_fmt=https://x.example/"], "a link with {name} in it is due"),
        (["volatile=True"], "nothing is uploaded here"),
        (["title=x"], "indexes have no titles"),
        (["bases=root/dev"], "layers"),
        (["nonsense=1"], "there is no such setting"),
        (["nonsense"], "key=value is due"),
        ([1], "a list of key=value is due"),
        ("x", "a list of key=value is due"),
        ({"mirror_url": "x\ny"}, "printable"),
        ({"mirror_url": "https://x.example/" + "a" * 3000}, "at most 2000"),
    ],
)
def test_a_change_that_makes_no_sense_changes_nothing(
    shared: tuple[Written, dict[str, str]], change: Any, says: str
) -> None:
    daemon, logged_in = shared
    before = daemon.config_file.read_bytes()
    answer = ask(f"{daemon.url}/root/pypi", "PATCH", change, logged_in)
    assert (answer.status, answer.headers["content-type"]) == (400, "application/json")
    assert says in answer.json()["message"]
    assert str(daemon.config_file) not in answer.text
    assert daemon.config_file.read_bytes() == before
    assert get(f"{daemon.url}/healthz").status == 200


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One daemon for everything that is refused, and the header of one who has logged in."""
    folder = tmp_path_factory.mktemp("changes")
    with Origin() as origin:
        users = '{root: {password: ""}, ann: {password: "hidden word"}, bob: {password_hash: "HASH"}}'
        text = HEAD.format(
            users=users.replace("HASH", make("hidden too", b"salt" * 4)),
            cache=folder / "cache",
            first=origin.simple.replace("://", "://me:hidden@"),
            second=origin.simple,
        )
        with Written(folder, text) as daemon:
            yield daemon, login(daemon)


def test_what_is_shown_and_sent_back_is_no_change(shared: tuple[Written, dict[str, str]]) -> None:
    """As older clients do it; the password that isn't shown stays."""
    daemon, logged_in = shared
    before = daemon.config_file.read_bytes()
    shown = get(f"{daemon.url}/root/pypi?no_projects=", JSON).json()["result"]
    assert "hidden" not in str(shown)
    answer = ask(f"{daemon.url}/root/pypi", "PATCH", shown, logged_in)
    assert (answer.status, answer.json()["result"]) == (200, shown)
    assert daemon.config_file.read_bytes() == before


@pytest.mark.parametrize("user", ["root", "ann", "bob"])
def test_who_may_log_in(shared: tuple[Written, dict[str, str]], user: str) -> None:
    daemon, _ = shared
    password = {"root": "", "ann": "hidden word", "bob": "hidden too"}[user]
    header = login(daemon, user, password)
    said = get(f"{daemon.url}/+api", {**JSON, **header}).json()["result"]["authstatus"]
    assert said == ["ok", user, []]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"user": "root", "password": "x"}, 401),
        ({"user": "ann", "password": ""}, 401),
        ({"user": "nobody", "password": ""}, 401),
        ({"user": "", "password": ""}, 401),
        ({"user": "root"}, 400),
        ({"user": ["root"], "password": ""}, 400),
        ({"user": "root", "password": None}, 400),
        ([], 400),
        ("root", 400),
        (None, 400),
    ],
)
def test_who_may_not(shared: tuple[Written, dict[str, str]], body: Any, status: int) -> None:
    daemon, _ = shared
    login(daemon, "ann", "hidden word")  # so that a wrong guess is forgiven
    answer = ask(f"{daemon.url}/+login", "POST", body)
    assert answer.status == status
    assert "result" not in answer.json()


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "127.0.0.1"},
        {"X-Forwarded-For": ""},
        {"X-Forwarded-Host": "localhost"},
        {"x-forwarded-anything": "1"},
        {"X-Real-IP": "::1"},
        {"Forwarded": "for=127.0.0.1"},
        {"Via": "1.1 proxy"},
    ],
)
def test_an_empty_password_is_for_this_machine_only(
    shared: tuple[Written, dict[str, str]], headers: Mapping[str, str]
) -> None:
    """Whatever came through a proxy didn't come from here, and its token doesn't either."""
    daemon, logged_in = shared
    refused = ask(f"{daemon.url}/+login", "POST", {"user": "root", "password": ""}, headers)
    assert (refused.status, "empty password" in refused.text) == (403, True)
    changed = ask(f"{daemon.url}/root/pypi", "PATCH", ["mirror_cache_expiry=1"], {**logged_in, **headers})
    assert (changed.status, "empty password" in changed.text) == (403, True)
    status = get(f"{daemon.url}/+api", {**JSON, **logged_in, **headers}).json()["result"]["authstatus"]
    assert status == ["noauth", "", []]
    # An account with a password isn't bound to a place.
    login(daemon, "ann", "hidden word", **dict(headers))


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://127.0.0.1:3141"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Mode": "cors"},
    ],
)
def test_a_web_page_changes_nothing(
    shared: tuple[Written, dict[str, str]], headers: Mapping[str, str]
) -> None:
    """Neither another site's, nor one that has this machine's name under its own (DNS rebinding)."""
    daemon, logged_in = shared
    for method, path, body in (
        ("POST", "/+login", {"user": "root", "password": ""}),
        ("PATCH", "/root/pypi", ["mirror_cache_expiry=1"]),
        ("PUT", "/root/new", {"type": "mirror", "mirror_url": "pypi"}),
        ("POST", "/-/reload", None),
    ):
        answer = ask(f"{daemon.url}{path}", method, body, {**logged_in, **headers})
        assert (answer.status, "web pages" in answer.text) == (403, True)
        assert "access-control-allow-origin" not in answer.headers


def test_what_a_form_or_a_stranger_can_send_changes_nothing(
    shared: tuple[Written, dict[str, str]],
) -> None:
    daemon, logged_in = shared
    url = f"{daemon.url}/root/pypi"
    change = b'["mirror_cache_expiry=1"]'
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        answer = ask(url, "PATCH", data=change, headers={**logged_in, "Content-Type": kind})
        assert answer.status == 415
    assert ask(url, "PATCH", data=change, headers={**logged_in, "Content-Encoding": "gzip"}).status == 415
    basic = {"Authorization": "Basic " + base64.b64encode(b"ann:hidden word").decode()}
    for headers in ({}, basic, {"Cookie": f"auth={logged_in}"}, {"X-Devpi-Auth": "%%%"}, auth("root", "")):
        answer = ask(url, "PATCH", data=change, headers=headers)
        assert (answer.status, answer.headers["www-authenticate"]) == (401, 'X-Devpi-Auth realm="pypicache"')
    for user in ("ann", "bob", "nobody", ""):  # one account's token is no other's
        token = base64.b64decode(logged_in["X-Devpi-Auth"]).decode().partition(":")[2]
        assert ask(url, "PATCH", data=change, headers=auth(user, token)).status == 401
    assert ask(url, "OPTIONS").status == 405
    assert get(f"{daemon.url}/+login", JSON).status == 405
    assert "ttl: 5m" in daemon.text


def test_bodies_are_small_and_whole(shared: tuple[Written, dict[str, str]]) -> None:
    daemon, logged_in = shared
    url = f"{daemon.url}/root/pypi"
    for data, status in (
        (b"[" * 70_000, 413),
        (b"[" * 5000 + b"]" * 5000, 400),
        (b"{", 400),
        (b'"\xff"', 400),
        (b"", 400),
        (b"NaN", 400),
    ):
        assert ask(url, "PATCH", data=data, headers=logged_in).status == status, data[:10]
    # Elsewhere a body is refused as ever, and so are other methods.
    assert ask(f"{daemon.url}/simple/demo/", "GET", data=b"x").status == 400
    assert ask(f"{daemon.url}/simple/demo/", "PATCH", data=b"x", headers=logged_in).status == 405
    host, port = daemon.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as half:
        half.sendall(
            f"PATCH /root/pypi HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n"
            f"X-Devpi-Auth: {logged_in['X-Devpi-Auth']}\r\n\r\n[".encode()
        )
        half.shutdown(socket.SHUT_WR)
        assert half.recv(1 << 16).split(b" ")[1:2] in ([], [b"400"])
    assert "Traceback" not in daemon.log


def test_guesses_at_a_login_are_slowed_and_nobody_here_is_locked_out(written: Callable[..., Any]) -> None:
    daemon = written('{root: {password: ""}, ann: {password: "hidden word"}}')
    url = f"{daemon.url}/+login"
    outside = {"X-Forwarded-For": "192.0.2.1"}
    statuses = [
        ask(url, "POST", {"user": user, "password": f"guess {number}"}, outside).status
        for number in range(10)
        for user in ("root", "ann")
    ]
    assert statuses[0] == 401
    slowed = ask(url, "POST", {"user": "ann", "password": "hidden word"}, outside)
    assert (statuses[-1], slowed.status, int(slowed.headers["retry-after"]) >= 1) == (429, 429, True)
    # An empty password, which is right and of no use from there, forgives nothing.
    assert ask(url, "POST", {"user": "root", "password": ""}, outside).status == 403
    assert ask(url, "POST", {"user": "ann", "password": "one more"}, outside).status == 429
    login(daemon)
    login(daemon, "ann", "hidden word", **{"X-Forwarded-For": "192.0.2.2"})
    assert "hidden" not in daemon.log
    assert "no login for ann from 192.0.2.1" in daemon.log


def test_a_token_dies_with_the_password(written: Callable[..., Any]) -> None:
    daemon = written('{root: {password: "one"}}')
    header = login(daemon, password="one")
    url = f"{daemon.url}/root/pypi"
    assert ask(url, "PATCH", ["mirror_cache_expiry=100"], header).status == 200
    daemon.config_file.write_text(daemon.text.replace('"one"', '"two"'))
    assert ask(f"{daemon.url}/-/reload", "POST", headers=header).json()["problems"] == []
    refused = ask(url, "PATCH", ["mirror_cache_expiry=200"], header)
    assert (refused.status, refused.headers["location"]) == (401, "/+login")
    assert get(f"{daemon.url}/+api", {**JSON, **header}).json()["result"]["authstatus"][0] == "expired"
    assert "ttl: 100s" in daemon.text


def test_without_accounts_everything_is_read_only_and_says_how_that_is_changed(
    written: Callable[..., Any], tmp_path: Path
) -> None:
    daemon = written("{}")
    devpi = DevpiClient(tmp_path)
    devpi("use", f"{daemon.url}/root/pypi").check()
    refused = devpi("login", "root", "--password=")
    assert (refused.code, "admin: {users:" in refused.out) == (1, True)
    for method, path in (
        ("PATCH", "/root/pypi"),
        ("PUT", "/root/x"),
        ("PUT", "/root"),
        ("DELETE", "/root/pypi"),
    ):
        answer = ask(f"{daemon.url}{path}", method, [])
        assert (answer.status, "admin: {users:" in answer.json()["message"]) == (403, True)
    assert ask(f"{daemon.url}/-/reload", "POST").status == 401


def test_a_file_that_is_gone_or_has_errors_is_told_and_left_alone(written: Callable[..., Any]) -> None:
    daemon = written()
    header = login(daemon)
    gone = daemon.folder / "gone"
    daemon.config_file.rename(gone)
    answer = ask(f"{daemon.url}/root/pypi", "PATCH", ["mirror_cache_expiry=1"], header)
    assert (answer.status, "No such file" in answer.json()["message"]) == (409, True)
    gone.rename(daemon.config_file)
    daemon.config_file.write_text(daemon.text + "nonsense: 1\n")
    answer = ask(f"{daemon.url}/root/pypi", "PATCH", ["mirror_cache_expiry=1"], header)
    assert (answer.status, "has errors" in answer.json()["message"]) == (400, True)
    assert "ttl: 5m" in daemon.text


def test_a_change_and_a_hundred_requests_at_a_time(written: Callable[..., Any]) -> None:
    """Changes queue up, each is in the file, and no request notices."""
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - here and nowhere else

    daemon = written()
    header = login(daemon)
    with ThreadPoolExecutor(8) as pool:
        reads = [pool.submit(get, f"{daemon.simple}demo/") for _ in range(60)]
        changes = [
            pool.submit(
                ask,
                f"{daemon.url}/team/new{number}",
                "PUT",
                {"type": "mirror", "mirror_url": daemon.third},
                header,
            )
            for number in range(6)
        ]
        assert {read.result().status for read in reads} == {200}
        assert [change.result().status for change in changes] == [200] * 6
    assert all(f"team/new{number}:" in daemon.text for number in range(6))
    assert {versions(daemon, f"team/new{number}")[0] for number in range(6)} == {"2.0"}
