"""The servers that are compared, each started on loopback with the same corpus behind it.

nginx with static files is the limit: pages compressed beforehand, links right as they are, no log. nginx as a caching
proxy that substitutes links is what people build by hand. devpi-server and proxpi are installed into an environment of
their own when they are asked for.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import signal
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.client import get
from tests.daemon import Daemon
from tests.environment import clean
from tests.nginx import Nginx, free_port
from tests.waiting import until

JSON_TYPE = "application/vnd.pypi.simple.v1+json"

_TUNED = """
    sendfile on; tcp_nopush on; keepalive_requests 1000000000; keepalive_timeout 75s;
    open_file_cache max=10000 inactive=1h; open_file_cache_valid 1h;
"""

_STATIC = (
    _TUNED
    + """
    server {{
        listen 127.0.0.1:{port} backlog=1024{reuseport};
        root {root};
        types {{ }}
        location /simple/ {{
            default_type {json}; index index.json; gzip_static on;
            add_header Vary "Accept, Accept-Encoding"; add_header Cache-Control "public, max-age=0, must-revalidate";
        }}
        location /packages/ {{ default_type application/octet-stream; add_header Cache-Control "public, immutable"; }}
    }}
"""
)

_CACHE = (
    _TUNED
    + """
    proxy_cache_path {folder}/cache levels=1:2 keys_zone=pages:50m max_size=2g inactive=1d use_temp_path=off;
    upstream origin {{ server 127.0.0.1:{origin}; keepalive 16; }}
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        proxy_http_version 1.1; proxy_set_header Connection ""; proxy_cache pages; proxy_cache_valid 200 1h;
        proxy_ignore_headers Cache-Control Expires Vary; proxy_cache_lock on;
        location /simple/ {{
            proxy_pass http://origin; proxy_set_header Accept-Encoding "";
            sub_filter '"url":"../../packages' '"url":"http://127.0.0.1:{port}/packages';
            sub_filter_once off; sub_filter_types {json};
            gzip on; gzip_comp_level 1; gzip_types {json};
        }}
        location /packages/ {{ proxy_pass http://origin; }}
    }}
"""
)


@dataclass(frozen=True, slots=True)
class Peer:
    """A server under measurement."""

    name: str
    simple: str
    """Its index, as clients are given it; with a slash at the end."""
    pids: Callable[[], list[int]]
    file_root: str = ""
    """What a file's path from the root of the corpus follows here; empty: its link on the page is followed."""
    limit: str = "nginx static"
    """The server of as many processes that it is compared with."""
    metrics: str = ""
    """Where it tells how late its event loop is; empty: nowhere."""

    def cpu(self) -> float:
        """Seconds of processor time used so far, by all its processes."""
        return sum(self.cpus().values())

    def cpus(self) -> dict[int, float]:
        """The same, by process."""
        return {pid: _cpu_of(pid) for pid in self.pids()}

    def rss(self) -> int:
        """Resident bytes of all its processes; what they share counts in each."""
        return sum(psutil.Process(pid).memory_info().rss for pid in self.pids())

    def file(self, project: str) -> str:
        """The address of the project's first file, from its page."""
        page = f"{self.simple}{project}/"
        url = str(get(page, {"Accept": JSON_TYPE}).json()["files"][0]["url"]).partition("#")[0]
        if "://" in url:
            return url
        depth = url.count("../")
        return "/".join([*page.split("/")[: -depth - 1], url.replace("../", "")])


def _cpu_of(pid: int) -> float:
    total = 0.0
    for thread in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        total += int(thread.read_text().split()[0]) / 1e9
    if total:
        return total
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def _family(pid: int) -> list[int]:
    return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]


@contextmanager
def nginx_static(
    folder: Path,
    root: Path,
    *,
    workers: int,
    name: str = "nginx static",
    limit: str = "",
    reuseport: bool = False,
) -> Iterator[Peer]:
    """Plain files. Of its own accord, several processes take connections from one socket, and who is quick has most of
    them, often all; `reuseport`: the kernel hands them out evenly, as it does among pypicache's.
    """
    port = free_port()
    http = _STATIC.format(port=port, root=root, json=JSON_TYPE, reuseport=" reuseport" if reuseport else "")
    with Nginx(folder, http, port, workers=workers) as server:
        yield Peer(
            name, f"{server.url}/simple/", lambda: _family(server.pid), server.url, limit=limit or name
        )


@contextmanager
def nginx_cache(folder: Path, origin: Peer, *, workers: int) -> Iterator[Peer]:
    """A caching proxy that puts itself into the links, on every request."""
    port = free_port()
    source = origin.simple.split(":")[2].partition("/")[0]
    http = _CACHE.format(port=port, folder=folder, origin=source, json=JSON_TYPE)
    with Nginx(folder, http, port, workers=workers) as server:
        yield Peer("nginx cache", f"{server.url}/simple/", lambda: _family(server.pid), server.url)


@contextmanager
def pypicache(
    folder: Path, origin: str, *, workers: int, name: str = "pypicache", limit: str = "nginx static"
) -> Iterator[Peer]:
    """As it is shipped, with its access log and its metrics."""
    server: dict[str, object] = {"workers": workers} if workers > 1 else {}
    config = {
        "server": server,
        "indexes": {"root/pypi": {"mirrors": [{"url": origin, "name": "origin"}], "ttl": "1h"}},
    }
    running = Daemon(folder, config, fresh=True)
    try:
        running.start()
        # Its log goes to a file once it runs: nobody is to read along while it is measured.
        running.config["log"] = {"file": str(folder / "log")}
        running.write_config()
        running.send(signal.SIGHUP)
        until((folder / "log").exists)
        yield Peer(
            name,
            running.simple,
            lambda: _family(running.pid),
            limit=limit,
            metrics=f"{running.url}/metrics",
        )
    finally:
        running.close()


@contextmanager
def devpi(folder: Path, origin: Peer, tools: Path) -> Iterator[Peer]:
    """devpi-server with one mirror index, as its manual sets it up."""
    python = _installed(tools / "devpi", "devpi-server")
    programs, port = python.parent, free_port()
    state = ["--serverdir", str(folder / "server")]
    home = clean(folder, {"PATH": f"{programs}:{os.environ['PATH']}"})
    made: list[object] = [programs / "devpi-init", *state, "--no-root-pypi"]
    subprocess.run([str(part) for part in made], env=home, check=True, capture_output=True)
    command = [programs / "devpi-server", *state, "--host", "127.0.0.1", "--port", str(port)]
    with _process(command, home, port) as pid:
        token = _asked(port, "POST", "/+login", {"user": "root", "password": ""})["result"]["password"]
        index = {"type": "mirror", "mirror_url": origin.simple, "mirror_cache_expiry": 3600}
        _asked(port, "PUT", "/root/bench", index, token)
        yield Peer("devpi", f"http://127.0.0.1:{port}/root/bench/+simple/", lambda: _family(pid))


@contextmanager
def proxpi(folder: Path, origin: Peer, tools: Path) -> Iterator[Peer]:
    """Proxpi under gunicorn, as its image runs it."""
    python = _installed(tools / "proxpi", "proxpi", "gunicorn")
    port = free_port()
    env = clean(folder, {"PROXPI_INDEX_URL": origin.simple, "PROXPI_INDEX_TTL": "3600"})
    command = [python, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--threads", "2", "proxpi.server:app"]
    with _process(command, env, port) as pid:
        yield Peer("proxpi", f"http://127.0.0.1:{port}/index/", lambda: _family(pid))


def _installed(folder: Path, *packages: str) -> Path:
    """The Python of an environment with these packages, made when it isn't there."""
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True, stdout=sys.stderr)
        (folder / "complete").touch()
    return python


@contextmanager
def _process(command: list[object], env: dict[str, str], port: int) -> Iterator[int]:
    arguments = [str(part) for part in command]
    with subprocess.Popen(
        arguments, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            told = f"{arguments[0]} doesn't start"
            until(lambda: process.poll() is not None or _answers(port), 60, lambda: told)
            assert process.poll() is None, told
            yield process.pid
        finally:
            for pid in reversed(_family(process.pid)):
                psutil.Process(pid).terminate()


def _answers(port: int) -> bool:
    try:
        get(f"http://127.0.0.1:{port}/")
    except OSError:
        return False
    return True


def _asked(port: int, method: str, path: str, body: object, token: str = "") -> dict[str, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if token:
        headers["X-Devpi-Auth"] = base64.b64encode(f"root:{token}".encode()).decode()
    connection.request(method, path, json.dumps(body), headers)
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    if answer.status >= 300:
        raise AssertionError(f"devpi answers {answer.status}: {data[:200]!r}")
    found: dict[str, dict[str, str]] = json.loads(data)
    return found
