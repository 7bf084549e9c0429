"""U22: pages that are floods. They are refused within bounded memory, and nobody else's answer is late for them."""

from __future__ import annotations

import gzip
import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.client import get
from tests.daemon import Daemon, config_for
from tests.origin import Headers, Origin
from tests.wheels import wheel

JSON = {"Accept": "application/vnd.pypi.simple.v1+json"}
JSON_TYPE = {"Content-Type": "application/vnd.pypi.simple.v1+json"}
HTML_TYPE = {"Content-Type": "text/html"}
GZIP = {"Content-Encoding": "gzip"}
MAX_LAG = 100.0
"""Milliseconds."""
MAX_RSS = 250 << 20
"""Bytes by which the daemon itself may grow: a page on the wire, and what a page may be out of its coding."""
MAX_HELPER = 1 << 30


def million_files() -> bytes:
    file = '{"filename":"%07d.zip","url":"a","hashes":{}}'
    files = ",".join(file % number for number in range(1_000_000))
    return f'{{"meta":{{"api-version":"1.0"}},"name":"flood","files":[{files}]}}'.encode()


def million_links() -> bytes:
    return b"<!DOCTYPE html><html><body>" + b"".join(
        b'<a href="%07d.zip">%07d.zip</a>\n' % (number, number) for number in range(1_000_000)
    )


FLOODS: dict[str, tuple[Callable[[], bytes], dict[str, str]]] = {
    "a_million_files": (million_files, JSON_TYPE),
    "a_million_files_zipped": (lambda: gzip.compress(million_files(), 1), {**JSON_TYPE, **GZIP}),
    "a_million_links": (million_links, HTML_TYPE),
    "a_bomb": (lambda: gzip.compress(bytes(200 << 20)), {**JSON_TYPE, **GZIP}),
    "many_members": (lambda: gzip.compress(b" ") * 300_000, {**JSON_TYPE, **GZIP}),
    "deep": (lambda: b"[" * 30_000_000, JSON_TYPE),
    "tags": (lambda: b"<a><b>" * 8_000_000, HTML_TYPE),
}


@pytest.mark.soak
@pytest.mark.parametrize("name", FLOODS)
def test_soak_u22_a_flood_is_refused_and_holds_nobody_up(
    name: str, origin: Origin, daemon: Callable[..., Daemon]
) -> None:
    make, headers = FLOODS[name]
    origin.add(wheel("demo", "1.0", size=1000))
    body = make()
    origin.project("flood", form="json", body=body)
    origin.script("simple/flood/", Headers(headers), repeat=True)
    running = daemon(config_for(origin), module="tests.lag")
    assert get(f"{running.simple}demo/", JSON).status == 200
    before = running.rss()
    most = helper = 0
    with ThreadPoolExecutor() as pool:
        began = time.monotonic()
        asked = pool.submit(get, f"{running.simple}flood/", JSON)
        while not asked.done():
            seen = running.rss()
            most, helper = max(most, seen.own), max((helper, *seen.children.values()))
            assert get(f"{running.simple}demo/", JSON).status == 200
        answer = asked.result()
    seconds = time.monotonic() - began
    assert running.stop() == 0
    [lag] = [json.loads(line[4:]) for line in running.log.splitlines() if line.startswith("lag {")]
    sys.stdout.write(
        f"\n{name}: {len(body) >> 20} MiB, {answer.status} after {seconds:.1f} s, grew by {(most - before.own) >> 20} MiB,"
        f" helper {helper >> 20} MiB, lag {lag}\n{answer.text}"
    )
    assert (answer.status, seconds < 15) == (503, True)
    assert most - before.own < MAX_RSS
    assert helper < MAX_HELPER
    assert lag["cpu_max"] < MAX_LAG
