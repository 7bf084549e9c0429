"""Stored files sent by the real nginx in front, by the configuration that `conf/nginx.conf` gives."""

from __future__ import annotations

import grp
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.client import get
from tests.daemon import Daemon, config_for
from tests.environment import REPOSITORY
from tests.nginx import Nginx, free_port
from tests.origin import Origin, Rate
from tests.wheels import Wheel, wheel

WORKER = "www-data"
"""The user and group that nginx's workers have where nginx starts as root."""

Make = Callable[..., tuple[Daemon, Nginx]]


def shared_group() -> str:
    """A group of this process that nginx's workers will be in."""
    if os.geteuid() == 0:
        return WORKER
    return grp.getgrgid(os.getegid()).gr_name


@pytest.fixture
def behind_nginx(origin: Origin) -> Iterator[Make]:
    """Makes a daemon with `server.accel` and an nginx in front of it, in a folder that nginx's user can reach."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o711)

        def make(*, looks_in: str | None = None) -> tuple[Daemon, Nginx]:
            server = {"accel": "nginx", "accel_group": shared_group()}
            daemon = stack.enter_context(Daemon(folder / "daemon", config_for(origin, server=server)))
            (folder / "daemon").chmod(0o711)
            port = free_port()
            text = (REPOSITORY / "conf" / "nginx.conf").read_text()
            for given, here in [
                ("127.0.0.1:3141;", f"{urlsplit(daemon.url).netloc};"),
                ("listen 80;", f"listen 127.0.0.1:{port};"),
                ("/var/cache/pypicache/blobs/sha256/", looks_in or f"{daemon.cache}/blobs/sha256/"),
            ]:
                assert given in text
                text = text.replace(given, here)
            return daemon, stack.enter_context(Nginx(folder / "nginx", text, port, user=WORKER))

        yield make


def link(daemon: Daemon, front: Nginx, item: Wheel) -> str:
    """The file's URL, through nginx."""
    return daemon.link(item).replace(daemon.url, front.url)


def blob_of(daemon: Daemon, item: Wheel) -> Path:
    return daemon.cache / "blobs" / "sha256" / item.sha256[:2] / item.sha256[2:4] / item.sha256


FILE_HEADERS = {
    "content-type": "application/octet-stream",
    "accept-ranges": "bytes",
    "cache-control": "public, max-age=365000000, immutable",
    "x-content-type-options": "nosniff",
}


def test_a_stored_file_is_sent_by_nginx(origin: Origin, behind_nginx: Make) -> None:
    """All of the file's headers are kept, and ranges and conditions are answered as without nginx."""
    item = wheel("kept", "1.0", size=3_000_000)
    origin.add(item)
    daemon, front = behind_nginx()
    url = link(daemon, front, item)
    assert get(url).body == item.data
    etag, size = f'"{item.sha256}"', len(item.data)
    direct = get(daemon.link(item))
    assert direct.headers["x-accel-redirect"] == f"/-accel/{item.sha256[:2]}/{item.sha256[2:4]}/{item.sha256}"
    assert direct.body == b""
    warm = get(url)
    assert (warm.status, warm.body) == (200, item.data)
    expected = {**FILE_HEADERS, "etag": etag, "cache-status": "pypicache; hit", "content-length": str(size)}
    assert {name: warm.headers.get(name) for name in expected} == expected
    assert not {"x-accel-redirect", "last-modified", "content-encoding"} & set(warm.headers)
    for asked, status, body, span in [
        ({"Range": "bytes=0-9"}, 206, item.data[:10], f"bytes 0-9/{size}"),
        ({"Range": "bytes=-10"}, 206, item.data[-10:], f"bytes {size - 10}-{size - 1}/{size}"),
        ({"Range": f"bytes={size}-"}, 416, None, f"bytes */{size}"),
        ({"Range": "bytes=0-1,4-5"}, 200, item.data, None),
        ({"Range": "bytes=5-", "If-Range": etag}, 206, item.data[5:], f"bytes 5-{size - 1}/{size}"),
        ({"Range": "bytes=5-", "If-Range": '"other"'}, 200, item.data, None),
        ({"If-None-Match": etag}, 304, b"", None),
        ({"If-None-Match": '"other"'}, 200, item.data, None),
        ({"X-Accel-Failed": "1"}, 200, item.data, None),
    ]:
        answer = get(url, asked)
        assert (answer.status, answer.headers.get("content-range")) == (status, span), asked
        assert body is None or answer.body == body, asked
        if status in {200, 206}:
            assert answer.headers["etag"] == etag, asked
    head = get(url, method="HEAD")
    assert (head.status, head.headers["content-length"], head.headers["etag"]) == (200, str(size), etag)
    assert len(origin.gets(item.filename)) == 1
    assert "failed" not in front.log, "the daemon had to step in"


def test_a_file_that_is_arriving_is_streamed_through_nginx(origin: Origin, behind_nginx: Make) -> None:
    item = wheel("arriving", "1.0", size=2_000_000)
    origin.add(item)
    origin.script(item.filename, Rate(4 << 20))
    daemon, front = behind_nginx()
    cold = get(daemon.link(item))
    assert cold.body == item.data
    assert cold.headers["x-accel-buffering"] == "no"
    assert get(link(daemon, front, item)).body == item.data


@pytest.mark.parametrize("mode", [0o755, 0o000], ids=["evicted", "unreadable"])
def test_what_nginx_cannot_open_is_sent_by_the_daemon(origin: Origin, behind_nginx: Make, mode: int) -> None:
    """A blob can go between the answer and nginx's open: its client gets the file all the same, and ranges of it."""
    item = wheel("moved", "1.0", size=600_000)
    origin.add(item)
    with tempfile.TemporaryDirectory() as empty:
        Path(empty).chmod(mode)
        daemon, front = behind_nginx(looks_in=f"{empty}/")
        url = link(daemon, front, item)
        assert get(url).body == item.data
        answer = get(url)
        assert (answer.status, answer.body) == (200, item.data)
        assert answer.headers["cache-status"] == "pypicache; hit"
        assert get(url, {"Range": "bytes=1-3"}).body == item.data[1:4]


def test_blobs_are_readable_by_the_group_and_nothing_else_is(origin: Origin, behind_nginx: Make) -> None:
    item = wheel("shared", "1.0", size=300_000)
    origin.add(item)
    daemon, front = behind_nginx()
    assert get(link(daemon, front, item)).body == item.data
    gid = grp.getgrnam(shared_group()).gr_gid
    blob = blob_of(daemon, item)
    for path, mode in [
        (blob, 0o640),
        (blob.parent, 0o750),
        (blob.parent.parent, 0o750),
        (daemon.cache / "blobs" / "sha256", 0o750),
        (daemon.cache / "blobs", 0o710),
        (daemon.cache, 0o710),
    ]:
        status = path.stat()
        assert (stat.S_IMODE(status.st_mode), status.st_gid) == (mode, gid), path
    for path in daemon.cache.iterdir():
        if path.is_dir() and path.name != "blobs":
            assert stat.S_IMODE(path.stat().st_mode) == 0o700, path


def test_a_group_that_does_not_exist_stops_the_start(origin: Origin, daemon: Callable[..., Daemon]) -> None:
    config = config_for(origin, server={"accel": "nginx", "accel_group": "no-such-group"})
    stopped = daemon(config, start=False)
    with pytest.raises(AssertionError, match="the daemon ended with 1"):
        stopped.start()
    assert "server.accel_group: this system has no group no-such-group" in stopped.log
    assert "Traceback" not in stopped.log
