"""What gen-config writes for nginx and Caddy, run by them: the real daemon behind, real pip in front."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from pypicache.config.schema import Listen
from tests.client import get, raw
from tests.daemon import Daemon, config_for
from tests.devpi_client import DevpiClient
from tests.environment import REPOSITORY, clean
from tests.generate.deployments import NASTY, text
from tests.installers import pip_install
from tests.nginx import Nginx, free_port
from tests.origin import Origin, Rate
from tests.waiting import until
from tests.wheels import wheel

NGINX = "nginx-pypicache.conf"
JSON = {"Accept": "application/vnd.pypi.simple.v1+json"}


def test_the_file_of_the_repository_is_that_of_the_defaults() -> None:
    assert (REPOSITORY / "conf" / "nginx.conf").read_text() == text(NGINX, accel_group="www-data")


Front = Callable[..., tuple[Daemon, str]]


@pytest.fixture
def behind_nginx(origin: Origin, tmp_path: Path) -> Iterator[Front]:
    """Makes a daemon and an nginx in front of it; gives nginx's address, with the prefix if there is one."""
    with ExitStack() as stack:

        def make(*, prefix: str = "", **server: Any) -> tuple[Daemon, str]:
            daemon = stack.enter_context(Daemon(tmp_path / "daemon", config_for(origin, server=server)))
            port = free_port()
            listen = Listen(host="127.0.0.1", port=urlsplit(daemon.url).port)
            url = f"http://127.0.0.1:{port}{prefix}"
            conf = text(NGINX, listen=(listen,), public_url=f"{url}/")
            front = stack.enter_context(Nginx(tmp_path / "nginx", conf, port))
            return daemon, front.url + prefix

        yield make


def test_pip_comes_through_nginx_and_what_it_keeps_is_confirmed(
    origin: Origin, behind_nginx: Front, tmp_path: Path
) -> None:
    """A second run asks with the ETag and gets a 304: nginx neither weakens nor drops it."""
    item = wheel("through", "1.0", size=400_000)
    origin.add(item)
    daemon, url = behind_nginx()
    index, cache = f"{url}/root/pypi/simple/", tmp_path / "pip"
    # pip caches nothing of a plain http host that it isn't told to trust.
    trusted = ["--trusted-host", "127.0.0.1"]
    pip_install(tmp_path / "one", "through", index_url=index, cache=cache, extra_args=trusted).check()
    seen = len(daemon.log)
    pip_install(tmp_path / "two", "through", index_url=index, cache=cache, extra_args=trusted).check()
    daemon.wait_log(r'"GET /root/pypi/simple/through/" 304 ', since=seen)


@pytest.mark.parametrize("coding", ["gzip", "identity"])
def test_a_page_and_its_etag_come_through_nginx_unchanged(
    origin: Origin, behind_nginx: Front, coding: str
) -> None:
    for number in range(40):
        origin.add(wheel("many", f"1.{number}"))
    daemon, url = behind_nginx()
    asked = {**JSON, "Accept-Encoding": coding}
    through, direct = get(f"{url}/simple/many/", asked), get(f"{daemon.url}/simple/many/", asked)
    assert (through.status, through.body) == (200, direct.body)
    for name in ("etag", "content-type", "content-length", "cache-control", "vary", "content-encoding"):
        assert through.headers.get(name) == direct.headers.get(name), name
    assert through.headers["etag"].startswith('"')
    again = get(f"{url}/simple/many/", {**asked, "If-None-Match": through.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
    weak = get(f"{url}/simple/many/", {**asked, "If-None-Match": f"W/{through.headers['etag']}"})
    assert weak.status == 304


def test_a_file_comes_through_nginx_as_it_arrives(
    origin: Origin, behind_nginx: Front, tmp_path: Path
) -> None:
    """The first bytes are there long before the last, and none of them went over nginx's disk."""
    item = wheel("large", "1.0", size=3_000_000)
    origin.add(item)
    origin.script(item.filename, Rate(2 << 20))
    daemon, url = behind_nginx()
    link = daemon.link(item).replace(daemon.url, url)
    program = [
        "curl",
        "-sS",
        "-o",
        os.devnull,
        "-w",
        "%{time_starttransfer} %{time_total} %{size_download}",
        link,
    ]
    if shutil.which("curl") is None:
        pytest.skip("curl isn't installed")
    done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=True)
    first, total, size = map(float, done.stdout.split())
    assert size == len(item.data)
    assert total - first > 0.7
    assert not [path for path in (tmp_path / "nginx" / "proxy").rglob("*") if path.is_file()]
    part = get(link, {"Range": "bytes=100-199"})
    assert (part.status, part.body) == (206, item.data[100:200])


def test_a_stored_file_comes_through_nginx_faster_than_a_network(origin: Origin, behind_nginx: Front) -> None:
    """The best of three takes less time than it would at a gigabit a second."""
    item = wheel("large", "1.0", size=50_000_000)
    origin.add(item)
    daemon, url = behind_nginx()
    link = daemon.link(item).replace(daemon.url, url)
    assert get(link).body == item.data
    times = []
    for _ in range(3):
        began = time.perf_counter()
        assert len(get(link).body) == len(item.data)
        times.append(time.perf_counter() - began)
    assert min(times) < 8 * len(item.data) / 1e9


def test_what_a_client_claims_of_itself_does_not_come_through_nginx(
    origin: Origin, behind_nginx: Front
) -> None:
    """Absolute links have nginx's word for the address: the prefix, scheme and host that a client makes up are gone."""
    origin.add(wheel("linked", "1.0"))
    _, url = behind_nginx(trusted_proxies=["127.0.0.1"])
    made_up = {
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Prefix": "/evil",
        "Forwarded": "host=evil.example",
    }
    document = get(f"{url}/pypi/linked/json", made_up).json()
    links = [each["url"] for each in document["urls"]]
    assert links
    assert all(each.startswith(f"{url}/") for each in links)


def test_devpis_client_comes_through_nginx_and_is_nobody_of_this_machine(
    origin: Origin, tmp_path: Path
) -> None:
    """An account with an empty password isn't to be had through it, whatever is claimed; one with a password is."""
    users = {"root": {"password": ""}, "ann": {"password": "open sesame"}}
    with ExitStack() as stack:
        config = config_for(origin, admin={"users": users})
        daemon = stack.enter_context(Daemon(tmp_path / "daemon", config))
        port = free_port()
        listen = Listen(host="127.0.0.1", port=urlsplit(daemon.url).port)
        conf = text(NGINX, listen=(listen,), public_url=f"http://127.0.0.1:{port}/")
        front = stack.enter_context(Nginx(tmp_path / "nginx", conf, port))
        devpi = DevpiClient(tmp_path)
        devpi("use", f"{front.url}/root/pypi").check()
        refused = devpi("login", "root", "--password=")
        assert (refused.code, "not through a proxy" in refused.out) == (1, True)
        for claimed in ("Connection: close, X-Real-IP, X-Forwarded-For", "X-Real-IP:\r\nX-Forwarded-For:"):
            head = f"POST /+login HTTP/1.1\r\nHost: x\r\n{claimed}\r\nConnection: close\r\n"
            body = (
                'Content-Type: application/json\r\nContent-Length: 31\r\n\r\n{"user":"root", "password": ""}'
            )
            assert raw("127.0.0.1", port, (head + body).encode()).startswith(b"HTTP/1.1 403 ")
        devpi("login", "ann", "--password=open sesame").check()
        changed = devpi("index", "root/pypi", "mirror_cache_expiry=77").check()
        assert "mirror_cache_expiry=77" in changed.out


def test_nginx_is_no_open_proxy_and_changes_no_protocol(origin: Origin, behind_nginx: Front) -> None:
    _, url = behind_nginx()
    closing = "Connection: close\r\n\r\n"
    for head, answer in [
        ("CONNECT pypi.example.org:443 HTTP/1.1\r\nHost: pypi.example.org:443\r\n\r\n", "HTTP/1.1 40"),
        (f"GET http://pypi.example.org/ HTTP/1.1\r\nHost: pypi.example.org\r\n{closing}", "HTTP/1.1 200 "),
        (
            f"GET /healthz HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n{closing}",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 ",
        ),
        (
            "GET /healthz HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: upgrade, close\r\n\r\n",
            "HTTP/1.1 200 ",
        ),
    ]:
        said = raw("127.0.0.1", urlsplit(url).port or 0, head.encode())
        assert said.startswith(answer.encode()), said
    assert origin.count(method=None) == 0


def test_it_can_live_under_a_path(origin: Origin, behind_nginx: Front, tmp_path: Path) -> None:
    """Of a public_url with one: links, redirects and absolute addresses have it."""
    item = wheel("Below", "1.0", size=200_000)
    origin.add(item)
    _, url = behind_nginx(prefix="/py.pi", trusted_proxies=["127.0.0.1"])
    pip_install(tmp_path / "one", "below", index_url=f"{url}/simple/").check()
    moved = get(f"{url}/simple/Below/")
    assert moved.status == 301
    document = get(f"{url}/pypi/below/json").json()
    assert get(document["urls"][0]["url"]).body == item.data


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"public_url": "https://pypi.example.org/"},
        {"public_url": "https://pypi.example.org:8443/under/it/", "accel_group": "www-data"},
        {"listen": (Listen(unix=Path("/run/a b%$x;/s")),)},
        {"listen": (Listen(host="::1", port=3141),)},
    ],
    ids=["defaults", "TLS", "everything", "a socket", "IPv6"],
)
def test_nginx_accepts_what_is_written(tmp_path: Path, facts: dict[str, Any]) -> None:
    conf = text(NGINX, **facts).replace("listen 80;", f"listen 127.0.0.1:{free_port()};")
    conf = conf.replace("listen 443 ", f"listen 127.0.0.1:{free_port()} ").replace(
        "/etc/letsencrypt/live/", f"{tmp_path}/"
    )
    if "ssl_certificate" in conf:
        certify(tmp_path / "pypi.example.org")
    nginx_accepts(tmp_path, conf)


def nginx_accepts(folder: Path, http: str) -> None:
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        pytest.skip("nginx isn't installed")
    Nginx(folder, http, 0)
    done = subprocess.run(
        [program, "-t", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def certify(folder: Path) -> None:
    """A certificate for the name, where certbot would put it."""
    import trustme  # noqa: PLC0415 - it takes its time

    folder.mkdir()
    issued = trustme.CA().issue_cert(folder.name)
    issued.private_key_pem.write_to_path(folder / "privkey.pem")
    issued.cert_chain_pems[0].write_to_path(folder / "fullchain.pem")


def test_nginx_sends_stored_files_from_a_path_with_anything_in_it() -> None:
    """There is no way to quote a dollar sign, and a cache may have one in its path."""
    sha256 = "ab" * 32
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o711)
        cache = folder / NASTY
        blob = cache / "blobs" / "sha256" / "ab" / "ab" / sha256
        blob.parent.mkdir(parents=True)
        blob.write_bytes(b"stored")
        port, behind = free_port(), free_port()
        conf = text(
            NGINX,
            listen=(Listen(host="127.0.0.1", port=behind),),
            public_url=f"http://127.0.0.1:{port}/",
            accel_group="www-data",
            movable=False,
            cache=cache,
        )
        # The daemon behind is a second server that answers as it would.
        conf += f"server {{ listen 127.0.0.1:{behind}; location / {{ add_header X-Accel-Redirect /-accel/ab/ab/{sha256}; return 200; }} }}"
        with Nginx(folder / "nginx", conf, port) as front:
            assert get(f"{front.url}/anything").body == b"stored", front.log


@pytest.fixture
def behind_caddy(origin: Origin, tmp_path: Path) -> Iterator[Front]:
    """The same, with Caddy."""
    program = shutil.which("caddy")
    if program is None:
        pytest.skip("caddy isn't installed")
    with ExitStack() as stack:

        def make(*, prefix: str = "", **server: Any) -> tuple[Daemon, str]:
            daemon = stack.enter_context(Daemon(tmp_path / "daemon", config_for(origin, server=server)))
            url = f"http://127.0.0.1:{free_port()}{prefix}"
            listen = Listen(host="127.0.0.1", port=urlsplit(daemon.url).port)
            site = text("Caddyfile", listen=(listen,), public_url=f"{url}/")
            (tmp_path / "Caddyfile").write_text("{\n\tadmin off\n}\n" + site)
            log = stack.enter_context((tmp_path / "caddy.log").open("wb"))
            process = subprocess.Popen(
                [program, "run", "--config", str(tmp_path / "Caddyfile")],
                env=clean(tmp_path / "home"), cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
            stack.callback(process.wait, 20)
            stack.callback(process.terminate)
            said = tmp_path / "caddy.log"
            until(lambda: process.poll() is not None or answers(url), told=said.read_text)
            assert process.poll() is None, said.read_text()
            return daemon, url

        yield make


def answers(url: str) -> bool:
    try:
        return get(f"{url}/healthz").status == 200
    except OSError:
        return False


@pytest.mark.parametrize("prefix", ["", "/py.pi"])
def test_pip_comes_through_caddy(origin: Origin, behind_caddy: Front, tmp_path: Path, prefix: str) -> None:
    item = wheel("through", "1.0", size=400_000)
    origin.add(item)
    _, url = behind_caddy(prefix=prefix, trusted_proxies=["127.0.0.1"])
    pip_install(tmp_path / "one", "through", index_url=f"{url}/root/pypi/simple/").check()
    page = get(f"{url}/simple/through/", {**JSON, "Accept-Encoding": "gzip"})
    assert page.headers["etag"].startswith('"')
    asked = {**JSON, "Accept-Encoding": "gzip", "If-None-Match": page.headers["etag"]}
    assert get(f"{url}/simple/through/", asked).status == 304
    made_up = {
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Prefix": "/evil",
        "Forwarded": "host=evil.example",
    }
    links = [each["url"] for each in get(f"{url}/pypi/through/json", made_up).json()["urls"]]
    assert all(each.startswith(f"{url}/") for each in links)
    assert get(links[0]).body == item.data


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"public_url": "https://pypi.example.org/"},
        {"listen": (Listen(unix=Path('/run/a b%$x;#"q/s')),)},
        {"listen": (Listen(host="::1", port=3141),)},
    ],
    ids=["defaults", "TLS", "a socket", "IPv6"],
)
def test_caddy_accepts_what_is_written(tmp_path: Path, facts: dict[str, Any]) -> None:
    program = shutil.which("caddy")
    if program is None:
        pytest.skip("caddy isn't installed")
    path = tmp_path / "Caddyfile"
    path.write_text(text("Caddyfile", **facts))
    done = subprocess.run(
        [program, "adapt", "--config", str(path)],
        env=clean(tmp_path / "home"), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "not formatted" not in done.stderr
    for listen in facts.get("listen", ()):
        assert str(listen).replace("unix:", "unix/").replace('"', '\\"') in done.stdout
