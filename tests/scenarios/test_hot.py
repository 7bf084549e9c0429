"""The shortcut through a real daemon: what has become hot changes as soon as what it was made of does."""

from __future__ import annotations

import http.client
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.client import Response
from tests.conformance.place import JSON
from tests.daemon import Daemon, config_for
from tests.origin import Origin
from tests.waiting import until
from tests.wheels import Wheel, wheel

Make = Callable[..., Daemon]
ITEM = wheel("hot", "1.0", size=50_000)
LARGE = wheel("hot", "0.9", size=600_000)
"""Too large to be held in memory: sent from its file."""

either = pytest.mark.parametrize("item", [ITEM, LARGE], ids=["small", "large"])


class Line:
    """One connection that stays open, and asks for the same in the same words."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)

    def ask(self, path: str, **headers: str) -> Response:
        fields = {"Accept": JSON, "Accept-Encoding": "identity", **headers}
        self._connection.request("GET", path, headers=fields)
        answer = self._connection.getresponse()
        return Response(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())

    def heat(self, path: str, **headers: str) -> Response:
        """Ask until it is hot: the first time it may be fetched, the second time it is kept, the third given again."""
        return [self.ask(path, **headers) for _ in range(4)][-1]

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def running(origin: Origin, daemon: Make) -> Daemon:
    """A daemon that believes pages for a second."""
    origin.add(ITEM)
    origin.add(LARGE)
    return daemon(config_for(origin, index={"ttl": "1s", "patience": "5s"}))


@pytest.fixture
def line(running: Daemon) -> Iterator[Line]:
    one = Line(running.url)
    yield one
    one.close()


def blob_of(daemon: Daemon, item: Wheel) -> Path:
    """Its place in the cache, to which it may come a moment after it was given out."""
    pattern = f"blobs/sha256/*/*/{item.sha256}"
    until(lambda: any(daemon.cache.glob(pattern)))
    return next(daemon.cache.glob(pattern))


def soon(ask: Callable[[], Response], wanted: Callable[[Response], bool]) -> Response:
    """Ask until the answer is the one that is wanted; at most for ten times the `ttl`."""
    deadline = time.monotonic() + 10
    while not wanted(answer := ask()):
        assert time.monotonic() < deadline, answer
    return answer


def test_a_new_release_is_seen_as_soon_as_the_page_is_old(
    running: Daemon, origin: Origin, line: Line
) -> None:
    before = line.heat("/simple/hot/")
    origin.add(wheel("hot", "2.0"))
    assert line.ask("/simple/hot/").body == before.body
    after = soon(lambda: line.ask("/simple/hot/"), lambda answer: "hot-2.0" in answer.text)
    assert after.headers["etag"] != before.headers["etag"]


@either
def test_promise_10_every_byte_served_was_judged_now_also_where_it_is_hot(
    running: Daemon, origin: Origin, line: Line, item: Wheel
) -> None:
    """A file that its page has lost, or whose project has been quarantined, isn't given out of memory."""
    path = urlsplit(running.link(item)).path
    assert line.heat(path).body == item.data
    origin.project(
        "hot", extra={"project-status": {"status": "quarantined", "reason": "malware"}}, api_version="1.4"
    )

    def after_its_page() -> Response:
        line.ask("/simple/hot/")
        return line.ask(path)

    refused = soon(after_its_page, lambda answer: answer.status != 200)
    assert (refused.status, "malware" in refused.text) == (403, True)


@either
def test_a_file_that_is_gone_from_the_disk_is_fetched_again(
    running: Daemon, origin: Origin, line: Line, item: Wheel
) -> None:
    """Within a turn of the event loop, a millisecond, the disk is looked at once: that long it's what was there."""
    path = urlsplit(running.link(item)).path
    assert line.heat(path).body == item.data
    assert len(origin.gets(item.filename)) == 1
    blob_of(running, item).unlink()
    again = soon(lambda: line.ask(path), lambda answer: answer.headers["cache-status"] != "pypicache; hit")
    assert (again.status, again.body) == (200, item.data)
    assert again.headers["cache-status"] == "pypicache; fwd=miss; stored"
    assert len(origin.gets(item.filename)) == 2


@either
def test_ranges_and_conditions_are_told_apart(running: Daemon, line: Line, item: Wheel) -> None:
    path = urlsplit(running.link(item)).path
    whole = line.heat(path)
    for start, stop in ((0, 100), (100, 200), (0, 100)):
        part = line.heat(path, Range=f"bytes={start}-{stop - 1}")
        assert (part.status, part.body) == (206, item.data[start:stop])
    unchanged = line.heat(path, **{"If-None-Match": whole.headers["etag"]})
    assert (unchanged.status, unchanged.body) == (304, b"")
    assert line.heat(path, **{"If-None-Match": '"another"'}).body == item.data
    assert line.heat(f"{path}.metadata").body == item.metadata


def test_a_reload_gives_other_answers_at_once(
    running: Daemon, origins: Callable[..., Origin], line: Line
) -> None:
    """An index may consist of another mirror from one request to the next."""
    assert "hot-1.0" in line.heat("/simple/hot/").text
    other = origins()
    other.add(wheel("hot", "3.0"))
    running.config["indexes"] = {"other": {"mirrors": [{"url": other.simple, "name": "other"}]}}
    running.write_config()
    seen = len(running.log)
    running.send(signal.SIGHUP)
    running.wait_log(r"INFO reloaded ", since=seen)
    assert "hot-3.0" in line.ask("/simple/hot/").text
