"""Downloads through a real daemon that break, stall, lie, are killed, and are shared. Faults by their catalogue numbers."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import http.client
import random
import re
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pypicache.rules import pieces
from pypicache.upstream.spare import FAN
from pypicache.upstream.standing import FAR
from tests.client import get
from tests.daemon import Daemon, config_for
from tests.origin import Delay, Drip, Hang, Origin, Status
from tests.origin_faults import (
    Both,
    Chunked,
    CloseAt,
    Gzipped,
    IgnoreRange,
    LieLength,
    NoLength,
    Normal,
    Rate,
    ResetAt,
    ResetBeforeStatus,
    ResetInHead,
    StallAt,
    WrongBytes,
    WrongContentRange,
)
from tests.waiting import until
from tests.wheels import Wheel, wheel

Make = Callable[..., Daemon]
Origins = Callable[..., Origin]

JSON = {"Accept": "application/vnd.pypi.simple.v1+json"}
ONE = {"connections": 1}
MIB = 1 << 20


@pytest.fixture(scope="module")
def big() -> Wheel:
    return wheel("big", "1.0", size=20 * MIB)


@pytest.fixture(scope="module")
def huge() -> Wheel:
    return wheel("huge", "1.0", size=60 * MIB)


def fetch(url: str, item: Wheel, timeout: float = 60) -> None:
    answer = get(url, timeout=timeout)
    assert (answer.status, len(answer.body)) == (200, len(item.data))
    assert hashlib.sha256(answer.body).hexdigest() == item.sha256


# U6 to U10: the mirror breaks


@pytest.mark.parametrize(
    "fault",
    [
        ResetBeforeStatus(),
        ResetInHead(20),
        ResetAt(0),
        ResetAt(1),
        ResetAt(10 * MIB),
        ResetAt(20 * MIB),
        CloseAt(5 * MIB),
        StallAt(3 * MIB),
    ],
    ids=repr,
)
def test_u6_to_u9_a_break_is_not_noticed(origin: Origin, daemon: Make, big: Wheel, fault: object) -> None:
    """*A broken stream goes on elsewhere*: here on the same mirror, at the same byte."""
    origin.add(big)
    origin.script(big.filename, fault)  # type: ignore[arg-type] # every fault is an action
    running = daemon(config_for(origin, mirror={**ONE, "timeout": {"read": "1s"}}))
    fetch(running.link(big), big)
    sent = origin.bytes_sent(big.filename)
    assert sent < len(big.data) + 5 * MIB


@pytest.mark.parametrize(
    "size",
    [
        pytest.param(1000, marks=pytest.mark.soak),
        100_000,
        pytest.param(20 * MIB, marks=pytest.mark.soak),
    ],
)
def test_u9_a_mirror_that_hangs_over_a_file_costs_a_moment_and_that_once(
    origins: Origins, daemon: Make, size: int
) -> None:
    """The next one is asked for the same bytes, long before the first one's time is over; the next file isn't asked of it."""
    first, second = origins(), origins()
    items = [wheel(name, "1.0", size=size) for name in ("one", "two")]
    for item in items:
        for each in (first, second):
            each.add(item)
        first.script(item.filename, Hang(), repeat=True)
    running = daemon(config_for(first, second))
    links = [running.link(item) for item in items]
    began = time.monotonic()
    fetch(links[0], items[0])
    middle = time.monotonic()
    fetch(links[1], items[1])
    assert middle - began < 5
    assert time.monotonic() - middle < 2
    assert not first.gets(items[1].filename)
    assert len(second.gets(items[0].filename)) == 1 or size > 8 * MIB


@pytest.mark.soak
@pytest.mark.parametrize("suffix", ["", ".metadata"])
@pytest.mark.parametrize("size", [1000, 20 * MIB])
def test_soak_u9_mirrors_that_all_hang_over_a_file_are_a_503_in_time(
    origins: Origins, daemon: Make, size: int, suffix: str
) -> None:
    """Before pip gives up; the reasons are told, and who asks again finds the download under way."""
    item = wheel("demo", "1.0", size=size)
    made = [origins() for _ in range(3)]
    for each in made:
        each.add(item)
        each.script(lambda request: item.filename in request.path, Hang(), repeat=True)
    link = daemon(config_for(*made)).link(item) + suffix
    began = time.monotonic()
    answer = get(link)
    assert (answer.status, time.monotonic() - began < 14) == (503, True)
    # One of them was given up for the next, and the others are still waited for.
    assert all(re.search(rf"{each.name}: (nothing within|silent for) \d+ s", answer.text) for each in made)
    for each in made:
        each.heal()
        each.release()
    assert get(link).body == (item.metadata if suffix else item.data)


@pytest.mark.soak
@pytest.mark.timeout(150)
def test_soak_u10_a_file_that_drips_goes_on_elsewhere(origins: Origins, daemon: Make) -> None:
    """Less than a kilobyte a second for a minute is no better than silence; what came by then is kept."""
    first, second = origins(), origins()
    item = wheel("drip", "1.0", size=100_000)
    for each in (first, second):
        each.add(item)
    first.script(item.filename, Drip(100), repeat=True)
    running = daemon(config_for(first, second))
    fetch(running.link(item), item, timeout=100)
    [asked] = second.gets(item.filename)
    assert asked.headers["range"].startswith("bytes=")


def test_a_reset_at_every_kth_byte_on_two_mirrors(origins: Origins, daemon: Make, big: Wheel) -> None:
    """Twenty resets, first one mirror then the other: one response, the right bytes."""
    first, second = origins(), origins()
    for each in (first, second):
        each.add(big)
        each.script(big.filename, ResetAt(len(big.data) // 20), repeat=True)
    running = daemon(config_for(first, second, mirror=ONE))
    fetch(running.link(big), big)
    assert len(first.gets(big.filename)) + len(second.gets(big.filename)) >= 20
    assert first.gets(big.filename)
    assert second.gets(big.filename)


def test_the_first_mirror_dies_and_the_second_goes_on(origins: Origins, daemon: Make, big: Wheel) -> None:
    first, second = origins(), origins()
    for each in (first, second):
        each.add(big)
    first.script(big.filename, ResetAt(8 * MIB), ResetBeforeStatus(), repeat=True)
    running = daemon(config_for(first, second, mirror=ONE))
    fetch(running.link(big), big)
    assert second.bytes_sent(big.filename) < 13 * MIB


# U16 to U21, U26: the mirror lies


@pytest.mark.parametrize(
    ("number", "fault"),
    [
        ("U16", CloseAt(19 * MIB)),
        ("U17", LieLength(-1000)),
        ("U17", LieLength(1000)),
        ("U18", NoLength()),
        ("U18", Chunked()),
        ("U19", WrongBytes()),
        ("U21", Gzipped()),
    ],
    ids=lambda value: value if isinstance(value, str) else repr(value),
)
def test_a_lying_mirror_costs_a_second_request(
    origins: Origins, daemon: Make, big: Wheel, number: str, fault: object
) -> None:
    """What the first mirror sends is checked, and the second one has the file; nobody completes a wrong one."""
    first, second = origins(), origins()
    for each in (first, second):
        each.add(big)
    first.script(big.filename, fault, repeat=True)  # type: ignore[arg-type] # every fault is an action
    running = daemon(config_for(first, second, mirror=ONE))
    url = running.link(big)
    with contextlib.suppress(http.client.IncompleteRead, ConnectionError):
        fetch(url, big)  # broken off if wrong bytes went out before that was known
    fetch(url, big)
    assert not list(running.cache.glob("spool/*.part"))


@pytest.mark.parametrize("fault", [IgnoreRange(), WrongContentRange("bytes 0-9/10")], ids=repr)
def test_u26_a_mirror_that_cannot_continue(origins: Origins, daemon: Make, big: Wheel, fault: object) -> None:
    first, second = origins(), origins()
    for each in (first, second):
        each.add(big)
    first.script(big.filename, ResetAt(8 * MIB), fault, repeat=True)  # type: ignore[arg-type]
    running = daemon(config_for(first, second, mirror=ONE))
    fetch(running.link(big), big)


def test_u19_wrong_bytes_are_kept_as_evidence_and_the_mirror_is_asked_last(
    origins: Origins, daemon: Make, big: Wheel
) -> None:
    first, second = origins(), origins()
    for each in (first, second):
        each.add(big)
    first.script(big.filename, WrongBytes(), repeat=True)
    running = daemon(config_for(first, second, mirror=ONE))
    url = running.link(big)
    with contextlib.suppress(http.client.IncompleteRead, ConnectionError):
        get(url)
    running.wait_log(f"stored {big.filename}")
    assert f"rejected {big.filename} from origin" in running.log
    assert [path.stat().st_size for path in running.cache.glob("quarantine/*")] == [len(big.data)]


def test_u19_who_sent_wrong_bytes_gets_a_second_chance_when_nobody_else_has_any(
    origins: Origins, daemon: Make, big: Wheel
) -> None:
    """Something on the way may have broken them."""
    first, second = origins(), origins()
    for each in (first, second):
        each.add(big)
    first.script(big.filename, WrongBytes(100))
    second.script(big.filename, Status(500), repeat=True)
    running = daemon(config_for(first, second, mirror=ONE))
    url = running.link(big)
    with contextlib.suppress(http.client.IncompleteRead, ConnectionError):
        get(url)
    running.wait_log(f"stored {big.filename}")
    fetch(url, big)
    assert len(first.gets(big.filename)) == 2


def test_u20_a_file_without_digest_that_changes_is_refused(origin: Origin, daemon: Make) -> None:
    """The first bytes that were seen under a link are what it stands for."""
    item, other = wheel("loose", "1.0", size=100_000), wheel("loose", "1.0", size=120_000)
    origin.add(item, hashes={}, size=False, core_metadata=False)
    running = daemon(config_for(origin))
    url = running.link(item)
    first = get(url)
    assert first.body == item.data
    assert first.headers["cache-control"] == "public, max-age=0, must-revalidate"
    running.wait_log(f"stored {item.filename}")
    origin.add(other, hashes={}, size=False, core_metadata=False, path=origin_path(origin, item))
    for blob in running.cache.glob("blobs/sha256/*/*/*"):
        blob.unlink()
    with contextlib.suppress(http.client.IncompleteRead):
        assert get(url).status == 503
    running.wait_log("rejected")
    assert not list(running.cache.glob(f"blobs/sha256/*/*/{other.sha256}"))


def origin_path(origin: Origin, item: Wheel) -> str:
    page = get(origin.simple + item.name + "/", JSON).json()
    return str(urlsplit(page["files"][0]["url"]).path)


# Over several connections


def test_a_slow_mirror_is_used_over_several_connections(origin: Origin, daemon: Make, huge: Wheel) -> None:
    """Never more of them to one mirror than configured; the whole is fetched about once."""
    origin.add(huge)
    origin.script(huge.filename, Rate(6 * MIB), repeat=True)
    running = daemon(config_for(origin, mirror={"connections": 4}))
    began = time.monotonic()
    fetch(running.link(huge), huge)
    took = time.monotonic() - began
    direct = len(huge.data) / (6 * MIB)
    assert took < direct / 2
    assert origin.bytes_sent(huge.filename) < len(huge.data) * 1.15
    assert 2 <= origin.peak_connections <= 6


def test_several_mirrors_share_a_large_file(origins: Origins, daemon: Make, huge: Wheel) -> None:
    mirrors = [origins(), origins()]
    for each in mirrors:
        each.add(huge)
        each.script(huge.filename, Rate(4 * MIB), repeat=True)
    running = daemon(config_for(*mirrors, mirror={"connections": 2}))
    fetch(running.link(huge), huge)
    assert all(each.bytes_sent(huge.filename) > 10 * MIB for each in mirrors)
    assert sum(each.bytes_sent(huge.filename) for each in mirrors) < len(huge.data) * 1.2


def test_a_mirror_without_ranges_is_read_once(origin: Origin, daemon: Make, huge: Wheel) -> None:
    origin.add(huge)

    origin.script(huge.filename, Both(IgnoreRange(), Rate(15 * MIB)), repeat=True)
    running = daemon(config_for(origin))
    fetch(running.link(huge), huge)
    whole = [request for request in origin.gets(huge.filename) if request.bytes_sent > 30 * MIB]
    assert len(whole) == 1


def test_pieces_with_resets_come_together(origin: Origin, daemon: Make, huge: Wheel) -> None:
    origin.add(huge)
    moods = random.Random(7)
    faults = [Both(Rate(6 * MIB), ResetAt(moods.randrange(1, 3 * MIB))) for _ in range(12)]
    origin.script(huge.filename, Both(Rate(6 * MIB)), *faults, Both(Rate(12 * MIB)), repeat=True)
    running = daemon(config_for(origin, mirror={"connections": 4}))
    fetch(running.link(huge), huge)


def test_a_file_is_shared_out_among_connections_that_are_there(origin: Origin, daemon: Make) -> None:
    """The wheels are small, and a page was asked for before: so several connections are idle. No other one is opened."""
    first, item = wheel("first", "1.0", size=10_000), wheel("item", "1.0", size=2 * MIB)
    for each in (first, item):
        origin.add(each)
    origin.script(lambda _: True, Delay(2 * FAR), repeat=True)
    running = daemon(config_for(origin, mirror={"connections": 4}))
    link = running.link(item)
    fetch(running.link(first), first)  # the mirror says of it that it serves parts
    until(lambda: origin.connections == 1 + FAN)
    fetch(link, item)
    shares = pieces.shares(len(item.data), idle=1 + FAN, most=4)
    ranges = [request.headers["range"].removeprefix("bytes=") for request in origin.gets(item.filename)]
    assert sorted(int(each.split("-")[0]) for each in ranges) == [start for start, _ in shares]
    assert origin.connections == 1 + FAN
    assert origin.bytes_sent(item.filename) == len(item.data)


# Ranges on a file that is arriving


def test_the_tail_of_a_cold_wheel_is_answered_while_the_body_is_far_away(
    origin: Origin, daemon: Make, huge: Wheel
) -> None:
    origin.add(huge)
    origin.script(huge.filename, Rate(2 * MIB), Normal(), repeat=True)
    running = daemon(config_for(origin, mirror=ONE))
    url = running.link(huge)
    began = time.monotonic()
    answer = get(url, {"Range": "bytes=-16384"})
    took = time.monotonic() - began
    assert (answer.status, answer.body) == (206, huge.data[-16384:])
    size = len(huge.data)
    assert answer.headers["content-range"] == f"bytes {size - 16384}-{size - 1}/{size}"
    assert took < 5
    assert origin.bytes_sent(huge.filename) < 20 * MIB
    assert get(url, {"Range": "bytes=0-99"}).body == huge.data[:100]


# Restarts, processes, disks


def test_l8_killed_at_any_moment_a_download_goes_on(origin: Origin, daemon: Make, huge: Wheel) -> None:
    """*It survives a restart of the daemon*: after each `kill -9` the next request goes on at the last safe byte."""
    kill_and_go_on(origin, daemon, huge, kills=5, connections=2, rate=30 * MIB)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_l8_killed_thirty_times(origin: Origin, daemon: Make) -> None:
    """Thirty `kill -9` in a download of 200 MB."""
    item = wheel("giant", "1.0", size=200 * MIB)
    kill_and_go_on(origin, daemon, item, kills=30, connections=4, rate=20 * MIB)


def kill_and_go_on(
    origin: Origin, daemon: Make, item: Wheel, *, kills: int, connections: int, rate: int
) -> None:
    """The right bytes in the end, and about one file's worth sent: 2 MiB a connection may be lost at each kill."""
    origin.add(item)
    origin.script(item.filename, Rate(rate), repeat=True)
    running = daemon(config_for(origin, mirror={"connections": connections}))
    url = running.link(item)
    moods = random.Random(3)
    for _ in range(kills):
        step = len(item.data) // (kills + 5)
        mark = origin.bytes_sent(item.filename) + moods.randrange(step // 4, step)
        with ThreadPoolExecutor(1) as pool:
            asking = pool.submit(broken, url)
            origin.wait_for(functools.partial(sent, origin, item, mark), 30)
            running.kill()
            asking.result()
        running.start()
        url = running.url + urlsplit(url).path
    fetch(url, item)
    total, allowed = origin.bytes_sent(item.filename), 1.2 * len(item.data) + kills * connections * 2 * MIB
    print(f"sent {total / len(item.data):.2f} files, {allowed / len(item.data):.2f} allowed")  # noqa: T201 - the soak's figure
    assert total < allowed


def sent(origin: Origin, item: Wheel, mark: int) -> bool:
    return origin.bytes_sent(item.filename) >= mark


def broken(url: str) -> None:
    with contextlib.suppress(OSError, http.client.HTTPException):
        get(url, timeout=60)


def test_l25_two_processes_on_one_cache_share_a_download(origin: Origin, daemon: Make, big: Wheel) -> None:
    """One writes the spool, the other follows it; the mirror sees one download."""
    origin.add(big)
    origin.script(big.filename, Rate(8 * MIB), repeat=True)
    config = config_for(origin, mirror=ONE)
    first = daemon(config)
    second = daemon(config_for(origin, mirror=ONE, cache={"dir": str(first.cache)}), module="tests.beside")
    urls = [first.link(big), second.link(big)]
    with ThreadPoolExecutor(2) as pool:
        bodies = list(pool.map(lambda url: get(url, timeout=60).body, urls))
    assert {hashlib.sha256(body).hexdigest() for body in bodies} == {big.sha256}
    assert len(origin.gets(big.filename)) == 1


def test_l25_the_follower_takes_over_when_the_writer_is_killed(
    origin: Origin, daemon: Make, big: Wheel
) -> None:
    origin.add(big)
    origin.script(big.filename, Rate(8 * MIB), repeat=True)
    first = daemon(config_for(origin, mirror=ONE))
    second = daemon(config_for(origin, mirror=ONE, cache={"dir": str(first.cache)}), module="tests.beside")
    urls = [first.link(big), second.link(big)]
    with ThreadPoolExecutor(2) as pool:
        dying = pool.submit(broken, urls[0])
        origin.wait_for(lambda: origin.bytes_sent(big.filename) > 4 * MIB, 30)
        following = pool.submit(get, urls[1], timeout=60)
        origin.wait_for(lambda: origin.bytes_sent(big.filename) > 6 * MIB, 30)
        first.kill()
        dying.result()
        assert hashlib.sha256(following.result().body).hexdigest() == big.sha256
    assert origin.bytes_sent(big.filename) < len(big.data) + 4 * MIB


def test_l15_l16_clients_that_leave(origin: Origin, daemon: Make, big: Wheel) -> None:
    """The first one leaves while others read; then all leave, and the download is finished."""
    origin.add(big)
    origin.script(big.filename, Rate(20 * MIB), repeat=True)
    running = daemon(config_for(origin, mirror=ONE))
    parts = urlsplit(running.link(big))
    connections = []
    for _ in range(4):
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        connection.request("GET", parts.path)
        connections.append((connection, connection.getresponse()))
    for connection, response in connections:
        assert response.read(1000)
        connection.close()
    running.wait_log(f"stored {big.filename}")
    assert len(origin.gets(big.filename)) == 1


def test_l17_a_thousand_first_requests(origin: Origin, daemon: Make) -> None:
    """1,000 at once for one file that nobody has asked for: one download."""
    item = wheel("popular", "1.0", size=300_000)
    origin.add(item)
    running = daemon(config_for(origin))
    url = running.link(item)
    with ThreadPoolExecutor(50) as pool:
        digests = set(pool.map(lambda _: hashlib.sha256(get(url).body).hexdigest(), range(1000)))
    assert digests == {item.sha256}
    assert len(origin.gets(item.filename)) == 1


def test_l7_a_damaged_blob_is_fetched_again(origin: Origin, daemon: Make) -> None:
    item = wheel("damaged", "1.0", size=300_000)
    origin.add(item)
    running = daemon(config_for(origin))
    url = running.link(item)
    get(url)
    running.wait_log(f"stored {item.filename}")
    blob = next(running.cache.glob(f"blobs/sha256/*/*/{item.sha256}"))

    def truncate(path: Path) -> None:
        path.write_bytes(item.data[:1000])

    def make_directory(path: Path) -> None:
        path.unlink()
        path.mkdir()

    def make_link(path: Path) -> None:
        path.unlink()
        path.symlink_to("/etc/hostname")

    for harm in (truncate, Path.unlink, make_directory, make_link):
        harm(blob)
        assert get(url).body == item.data, harm
        running.wait_log(f"stored {item.filename}", since=len(running.log.rpartition("stored")[0]))


def test_promise_9_sigterm_drains(origin: Origin, daemon: Make, big: Wheel) -> None:
    """*SIGTERM drains*: the running response is finished, then exit 0."""
    origin.add(big)
    origin.script(big.filename, Rate(10 * MIB), repeat=True)
    running = daemon(config_for(origin, mirror=ONE))
    url = running.link(big)
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(get, url, timeout=60)
        origin.wait_for(lambda: origin.bytes_sent(big.filename) > 2 * MIB, 30)
        assert running.stop(signal.SIGTERM) == 0
        assert hashlib.sha256(asking.result().body).hexdigest() == big.sha256
