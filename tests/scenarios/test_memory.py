"""What the daemon holds in memory after it has served much: bounded, and no more after an hour than after a minute."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from urllib.parse import urlsplit

import pytest

from pypicache.offload import TIDY
from tests.bench.files import Connection
from tests.client import get
from tests.daemon import Daemon, config_for
from tests.origin import Origin
from tests.waiting import until
from tests.wheels import Wheel, big_page, wheel

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]

JSON = "application/vnd.pypi.simple.v1+json"
MB = 1_000_000
FORMS = [(JSON, "gzip"), ("text/html", "gzip"), (JSON, "identity")]

PROJECTS = 200
"""Pages of 20 to 7,000 files, 9 kB to 3.3 MB, 128 MB in all: more than is held in memory in any form."""

ALONE, WITH_HELPER = 120 * MB, 180 * MB


@pytest.fixture
def daemon(daemon: Callable[..., Daemon]) -> Callable[..., Daemon]:
    """Started as users start it: a fork counts what it shares differently."""
    return partial(daemon, fresh=True)


def corpus(origin: Origin) -> list[Wheel]:
    """The pages, and some wheels."""
    for number in range(PROJECTS):
        name = f"p{number}"
        origin.project(name, form="json", body=big_page(name, int(20 * 1.03**number)))
    items = [wheel(f"w{number}", "1.0", size=50_000 + number * 20_000) for number in range(40)]
    for item in items:
        origin.add(item)
    return items


def fetch_all(urls: Iterable[tuple[str, str, str]]) -> None:
    """Each with its form and coding, eight at a time."""
    with ThreadPoolExecutor(8) as pool:
        for answer in pool.map(
            lambda u: get(u[0], {"Accept": u[1], "Accept-Encoding": u[2]}, timeout=60), urls
        ):
            assert answer.status == 200


def told(running: Daemon) -> str:
    memory = running.rss()
    return (
        f"{memory.own / MB:.1f} MB, its children {[round(size / MB, 1) for size in memory.children.values()]}"
    )


def test_soak_after_200_projects_memory_is_within_its_bounds(
    daemon: Callable[..., Daemon], origin: Origin, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pages as JSON and HTML, compressed and not, and files; then with the helper at rest, and when it has gone."""
    items = corpus(origin)
    running = daemon(config_for(origin, index={"ttl": "1h"}))
    pages = [f"{running.simple}p{number}/" for number in range(PROJECTS)]
    for form, coding in FORMS:
        fetch_all((page, form, coding) for page in pages)
    links = [running.link(item) for item in items]
    for _ in range(2):
        fetch_all((link, "*/*", "identity") for link in links)
    assert len(running.children()) == 2, "the helper, and what looks after its locks"
    until(lambda: running.rss().total < WITH_HELPER, 2 * TIDY, lambda: told(running))
    with_helper = told(running)
    until(lambda: len(running.children()) < 2, 90)
    until(lambda: running.rss().own < ALONE, 2 * TIDY, lambda: told(running))
    with capsys.disabled():
        print(f"\nwith the helper {with_helper}; without {told(running)}")  # noqa: T201 - the soak's figures


def test_soak_memory_is_flat_over_an_hours_worth_of_requests(
    daemon: Callable[..., Daemon], origin: Origin, capsys: pytest.CaptureFixture[str]
) -> None:
    """600,000 hot answers and 24,000 of all kinds: the second half of them adds nothing."""
    items = corpus(origin)
    running = daemon(config_for(origin, index={"ttl": "1h"}))
    links = [running.link(item) for item in items]
    after = []
    for part in range(4):
        hot(running, links[3], 150_000)
        varied(running, links, 6_000, random.Random(part))
        lows: list[int] = []
        until(lambda lows=lows: lows.append(running.rss().own) or len(lows) > TIDY * 2 / 0.02)  # type: ignore[misc]
        after.append(min(lows))
    with capsys.disabled():
        print(f"\nafter each quarter {[round(size / MB, 1) for size in after]} MB; {told(running)}")  # noqa: T201 - likewise
    assert after[3] - after[1] < 5 * MB


def hot(running: Daemon, link: str, count: int) -> None:
    """So many answers out of memory: pages, what hasn't changed, and a file."""
    page = f"{running.simple}p80/"
    headers = {"Accept": JSON, "Accept-Encoding": "gzip"}
    etag = get(page, headers).headers["etag"]
    for url, sent in ((page, headers), (page, {**headers, "If-None-Match": etag}), (link, {})):
        parts = urlsplit(url)
        connection = Connection(parts.port or 0, parts.path, sent)
        for _ in range(count // 3):
            connection.fetch()
        connection.close()


def varied(running: Daemon, links: list[str], count: int, dice: random.Random) -> None:
    """So many others: all pages in all forms, what isn't there, ranges, conditions, legacy JSON, heads that never come again."""

    def one(number: int) -> int:
        page = f"p{dice.randrange(PROJECTS // 2)}"
        form, coding = dice.choice(FORMS)
        headers = {"Accept": form, "Accept-Encoding": coding, "User-Agent": f"soak/{number}"}
        url = [
            f"{running.simple}{page}/",
            f"{running.simple}none-{dice.randrange(10_000)}/",
            dice.choice(links),
            f"{dice.choice(links)}.metadata",
            f"{running.url}/pypi/{page}/json",
            f"{running.url}/{dice.choice(['healthz', '-/status', 'metrics', '', '%00', 'simple', '+api'])}",
        ][dice.choices(range(6), [40, 10, 30, 10, 2, 8])[0]]
        if dice.random() < 0.1:
            headers["Range"] = f"bytes={dice.randrange(1000)}-"
        return get(url, headers, timeout=60).status

    with ThreadPoolExecutor(8) as pool:
        statuses = set(pool.map(one, range(count)))
    assert {200, 206, 404} <= statuses
    assert max(statuses) < 500
