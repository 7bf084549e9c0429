"""A7, case 19: the list of all projects through a real daemon, 900,000 names included."""

from __future__ import annotations

import gzip
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Self

import pytest

from tests.client import Response, get
from tests.daemon import Daemon, config_for
from tests.origin import Body, Both, Chunked, CloseAt, Hang, NoLength, Origin, Rate, Reply, ResetAt, Status
from tests.origin_pages import HTML, JSON_V1
from tests.wheels import wheel

Make = Callable[..., Daemon]

ACCEPT_JSON = {"Accept": JSON_V1}
NAMES = 900_000
LIST = "/simple/"


@dataclass(frozen=True, slots=True)
class Listing:
    """The mirror's list, made once by the test."""

    data: bytes
    content_type: str

    def __call__(self, reply: Reply) -> Reply:
        """The reply with this list in it, whatever the client has already."""
        return replace(reply, status=200, body=self.data).having({"Content-Type": self.content_type})


def names_of(answer: Response) -> list[str]:
    assert answer.status == 200, answer.text
    return [project["name"] for project in answer.json()["projects"]]


def asked(origin: Origin) -> int:
    """How often the mirror was asked for its list."""
    return len([request for request in origin.requests if request.path == LIST])


def settled(running: Daemon, expected: list[str]) -> None:
    """Wait until the list that is refreshed behind is the one that is served."""
    deadline = time.monotonic() + 20
    while names_of(get(running.simple, ACCEPT_JSON)) != expected:
        assert time.monotonic() < deadline, running.log


@pytest.fixture
def stocked(origin: Origin) -> Origin:
    for name in ("Flask", "zope.interface", "q"):
        origin.add(wheel(name, "1.0"))
    return origin


EXPECTED = ["flask", "q", "zope-interface"]


@pytest.mark.parametrize("path", ["/root/pypi/simple/", "/root/pypi/+simple/", "/simple/", "/index/"])
def test_list_is_served_in_both_forms_at_every_address(stocked: Origin, daemon: Make, path: str) -> None:
    running = daemon(config_for(stocked))
    found = get(running.url + path, ACCEPT_JSON)
    assert names_of(found) == EXPECTED
    assert found.headers["content-type"] == JSON_V1
    html = get(running.url + path, {"Accept": HTML})
    assert html.headers["content-type"] == f"{HTML}; charset=utf-8"
    assert '<a href="zope-interface/">zope-interface</a>' in html.text
    assert [request.path for request in stocked.requests] == [LIST]


def test_headers_and_conditions_are_those_of_pages(stocked: Origin, daemon: Make) -> None:
    running = daemon(config_for(stocked))
    tags = set()
    for accept in (JSON_V1, HTML, "application/vnd.pypi.simple.v1+html"):
        for coding in ("identity", "gzip", "gzip, deflate, zstd, br"):
            asked = {"Accept": accept, "Accept-Encoding": coding}
            answer = get(running.simple, asked)
            assert answer.headers["content-type"].partition(";")[0] == accept
            assert answer.headers["vary"] == "Accept, Accept-Encoding"
            assert answer.headers["cache-control"] == "public, max-age=0, must-revalidate"
            assert answer.headers.get("content-encoding") == (None if coding == "identity" else "gzip")
            assert answer.headers["content-length"] == str(len(answer.body))
            etag = answer.headers["etag"]
            assert etag.startswith('"')
            tags.add(etag)
            head = get(running.simple, asked, method="HEAD")
            assert (head.status, head.body) == (200, b"")
            same = {"content-type", "content-length", "etag", "vary", "cache-control", "content-encoding"}
            assert {k: v for k, v in head.headers.items() if k in same} == {
                k: v for k, v in answer.headers.items() if k in same
            }
            unchanged = get(running.simple, {**asked, "If-None-Match": etag})
            assert (unchanged.status, unchanged.body, unchanged.headers["etag"]) == (304, b"", etag)
    assert len(tags) == 6
    assert get(running.simple, {"Accept": "image/png"}).status == 406
    packed = get(running.simple, {**ACCEPT_JSON, "Accept-Encoding": "gzip"})
    assert gzip.decompress(packed.body) == get(running.simple, ACCEPT_JSON).body


@pytest.mark.parametrize(
    "action", [Status(404), Status(501), Body(b"<html><a href='/login'>Login</a></html>")]
)
def test_mirror_without_a_list_is_a_clear_404(stocked: Origin, daemon: Make, action: Status | Body) -> None:
    stocked.script(LIST, action, repeat=True)
    running = daemon(config_for(stocked))
    for _ in range(3):
        answer = get(running.simple)
        assert answer.status == 404
        assert "offers no list" in answer.text
        assert answer.headers["cache-control"] == "no-store"
    assert asked(stocked) == 1
    assert get(f"{running.simple}q/", ACCEPT_JSON).status == 200


def test_outage_is_a_quick_503_or_the_old_list(stocked: Origin, daemon: Make) -> None:
    running = daemon(config_for(stocked, index={"ttl": "100ms"}))
    stocked.close()
    for _ in range(2):
        began = time.monotonic()
        answer = get(running.simple)
        assert (answer.status, answer.headers["retry-after"].isdigit()) == (503, True)
        assert time.monotonic() - began < 5
    stocked.reopen()
    deadline = time.monotonic() + 20
    while get(running.simple, ACCEPT_JSON).status != 200:
        assert time.monotonic() < deadline, running.log
    stocked.close()
    running.restart()
    assert names_of(get(running.simple, ACCEPT_JSON)) == EXPECTED
    assert names_of(get(running.simple, {**ACCEPT_JSON, "Cache-Control": "no-cache"})) == EXPECTED


@pytest.mark.parametrize(
    "action",
    [
        CloseAt(60),
        ResetAt(60),
        Both(NoLength(), CloseAt(60)),
        Both(Chunked(), CloseAt(60)),
        Body(b'{"projects": [{"name": "half"}'),
        Body(b"<html><body><a href='half/'>half</a>"),
        Body(b"<html><body>Please log in</body></html>"),
        Body(b"\x00" * 5000),
        Body(b"[" * 500_000),
        Status(500),
        Status(404),
        Status(403),
    ],
    ids=lambda action: type(action).__name__,
)
def test_bad_list_never_replaces_a_good_one(stocked: Origin, daemon: Make, action: Status | Body) -> None:
    """Whatever comes, the held list goes out, and nothing of the other one stays on the disk."""
    running = daemon(config_for(stocked, index={"ttl": "100ms"}))
    assert names_of(get(running.simple, ACCEPT_JSON)) == EXPECTED
    stocked.script(LIST, action, repeat=True)
    insisting = {**ACCEPT_JSON, "Cache-Control": "no-cache"}
    deadline = time.monotonic() + 20
    while asked(stocked) < 2:
        assert names_of(get(running.simple, insisting)) == EXPECTED
        assert time.monotonic() < deadline
    assert names_of(get(running.simple, insisting)) == EXPECTED
    assert len([path for path in (running.cache / "lists").rglob("*") if path.is_file()]) == 5
    assert "Traceback" not in running.log


def test_new_project_appears_behind_the_old_list(stocked: Origin, daemon: Make) -> None:
    running = daemon(config_for(stocked, index={"ttl": "100ms"}))
    assert names_of(get(running.simple, ACCEPT_JSON)) == EXPECTED
    stocked.add(wheel("new-one", "1.0"))
    settled(running, ["flask", "new-one", "q", "zope-interface"])


@pytest.mark.soak
def test_killed_daemon_serves_the_list_it_had(stocked: Origin, daemon: Make) -> None:
    """*Memory holds no truth*: in the middle of the next list."""
    running = daemon(config_for(stocked, index={"ttl": "100ms"}))
    assert names_of(get(running.simple, ACCEPT_JSON)) == EXPECTED
    big = Listing(json_list(100_000), JSON_V1)
    stocked.script(LIST, Both(big, Rate(2 << 20)))
    assert names_of(get(running.simple, ACCEPT_JSON)) == EXPECTED
    deadline = time.monotonic() + 20
    while not any(request.bytes_sent > 1 << 20 for request in stocked.requests):
        assert names_of(get(running.simple, ACCEPT_JSON)) == EXPECTED
        assert time.monotonic() < deadline, running.log
    running.stop(signal.SIGKILL)
    stocked.close()
    running.restart()
    assert names_of(get(running.simple, ACCEPT_JSON)) == EXPECTED


@pytest.mark.soak
def test_pages_never_wait_for_the_list(stocked: Origin, daemon: Make) -> None:
    stocked.script(LIST, Hang(), repeat=True)
    running = daemon(config_for(stocked))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(get, running.simple)
        stocked.wait_for(lambda: stocked.stalled > 0)
        began = time.monotonic()
        assert get(f"{running.simple}q/", ACCEPT_JSON).status == 200
        assert time.monotonic() - began < 5
        answer = waiting.result()
    # Told before pip gives up, and not before ten seconds: a list takes its time.
    assert (answer.status, answer.headers["retry-after"].isdigit()) == (503, True)
    assert "on its way" in answer.text


def all_names() -> Iterator[str]:
    """As many names as the public index has, in no order."""
    return (f"Project.{number * 7919 % NAMES:x}-Some_name" for number in range(NAMES))


def json_list(count: int = NAMES) -> bytes:
    projects = [{"_last-serial": n, "name": name} for n, name in zip(range(count), all_names(), strict=False)]
    return json.dumps({"meta": {"api-version": "1.4"}, "projects": projects}).encode()


def html_list() -> bytes:
    def href(name: str) -> str:
        return name.lower().replace(".", "-").replace("_", "-")

    anchors = "".join(f'    <a href="/simple/{href(name)}/">{name}</a>\n' for name in all_names())
    head = '<meta name="pypi:repository-version" content="1.4">\n<title>Simple index</title>'
    return f"<!DOCTYPE html>\n<html>\n<head>{head}</head>\n<body>\n{anchors}</body>\n</html>\n".encode()


class Pulse:
    """Asks for `/healthz` all the time, and keeps how long that took; a context manager."""

    def __init__(self, url: str) -> None:
        self.waits: list[float] = []
        self._url = f"{url}/healthz"
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._beat)

    def _beat(self) -> None:
        while not self._done.is_set():
            began = time.monotonic()
            assert get(self._url).status == 200
            self.waits.append(time.monotonic() - began)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()


@pytest.mark.soak
@pytest.mark.parametrize("form", ["json", "html", "html, gzipped"])
def test_900_000_names_pass_through_without_being_held(origin: Origin, daemon: Make, form: str) -> None:
    """Case 19. *Memory is bounded*; the event loop answers others all the while."""
    data = json_list() if form == "json" else html_list()
    listing: Callable[[Reply], Reply] = Listing(data, JSON_V1 if form == "json" else HTML)
    if "gzipped" in form:
        packed = Listing(gzip.compress(data, 1), HTML)

        def listing(reply: Reply) -> Reply:
            return packed(reply).having({"Content-Encoding": "gzip"})

    origin.script(LIST, listing, repeat=True)
    running = daemon(config_for(origin), fresh=True)
    get(f"{running.simple}nosuch/")
    before = running.rss().own
    peak = before
    with Pulse(running.url) as pulse:
        deadline = time.monotonic() + 60
        first = get(running.simple, {**ACCEPT_JSON, "Accept-Encoding": "gzip"}, timeout=60)
        while first.status == 503:
            assert first.headers["retry-after"].isdigit()
            assert time.monotonic() < deadline, running.log
            first = get(running.simple, {**ACCEPT_JSON, "Accept-Encoding": "gzip"}, timeout=60)
            peak = max(peak, running.rss().own)
        peak = max(peak, running.rss().own)
        html = get(running.simple, {"Accept": HTML})
        peak = max(peak, running.rss().own)
    found = json.loads(gzip.decompress(first.body))["projects"]
    assert [project["name"] for project in found] == list(all_names())
    assert html.body.count(b"<a ") == NAMES
    assert peak - before < 40 << 20
    # The median: a busy machine makes single answers late, a blocked loop makes most of them late.
    waits = sorted(pulse.waits)
    assert len(waits) > 20
    assert waits[len(waits) // 2] < 0.1
    assert asked(origin) == 1
