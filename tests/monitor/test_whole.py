"""Several workers' statuses as one daemon's: what is added, what is told once, and what of those that don't answer."""

from __future__ import annotations

from typing import Any

from pypicache.monitor.status import (
    BreakerStatus,
    DiskStatus,
    DownloadStatus,
    IndexStatus,
    MinuteStatus,
    MirrorStatus,
    ShadowedStatus,
    Status,
    TotalsStatus,
    TroubleStatus,
    WantedStatus,
    WorkerStatus,
)
from pypicache.monitor.whole import whole

CLOSED, OPEN = BreakerStatus(state="closed", errors=0, wait=0), BreakerStatus(state="open", errors=5, wait=9)


def mirror(**given: Any) -> MirrorStatus:
    plain: dict[str, Any] = {
        "name": "m",
        "url": "https://m.example/",
        "serves": "both",
        "health": "up",
        "pages": CLOSED,
        "files": CLOSED,
        "latency": None,
        "rate": None,
        "requests": 10,
        "failures": 1,
        "received": 100,
        "last_error": "",
        "last_error_at": None,
    }
    return MirrorStatus(**{**plain, **given})


def index(*mirrors: MirrorStatus, requests: int = 3) -> IndexStatus:
    return IndexStatus(
        name="root/pypi",
        default=True,
        offline=False,
        web_url=None,
        requests=requests,
        mirrors=mirrors,
        layers=(),
    )


def totals(hits: int, misses: int) -> TotalsStatus:
    return TotalsStatus(
        requests=hits + misses,
        page_hits=hits,
        page_misses=misses,
        file_hits=0,
        file_misses=0,
        failed=1,
        hit_rate=None,
        sent=10,
        saved=5,
        received=3,
    )


def download(**given: Any) -> DownloadStatus:
    plain: dict[str, Any] = {
        "filename": "a.whl",
        "bytes": 10,
        "size": 100,
        "rate": 0.0,
        "readers": 1,
        "mirrors": (),
        "seconds": 1.0,
        "state": "claim",
    }
    return DownloadStatus(**{**plain, **given})


def trouble(subject: str, reason: str, *, what: str = "MirrorFailed", last: float = 50) -> TroubleStatus:
    return TroubleStatus(what=what, where="m", subject=subject, reason=reason, first=last - 10, last=last)


def status(**given: Any) -> Status:
    plain: dict[str, Any] = {
        "version": "1",
        "python": "3",
        "now": 1000.0,
        "started": 900.0,
        "uptime": 100.0,
        "default_index": "root/pypi",
        "unusable": None,
        "loop_lag": 0.001,
        "in_flight": 1,
        "transfers": 0,
        "readers": 0,
        "indexes": (index(mirror()),),
        "totals": totals(8, 2),
        "traffic": (),
        "downloads": (),
        "disk": DiskStatus(used=None, files=None, max_size=1, min_free=1, free=7, total=9),
        "wanted": (),
        "errors": (),
        "shadowed": (),
    }
    return Status(**{**plain, **given})


def test_alone_a_worker_is_the_daemon() -> None:
    own = status(downloads=(download(),), transfers=1, readers=1)
    told = whole(own, {})
    assert told.workers == (
        WorkerStatus(number=1, answers=True, started=900.0, requests=10, in_flight=1, loop_lag=0.001),
    )
    assert (told.totals.hit_rate, told.downloads, told.transfers) == (0.8, own.downloads, 1)


def test_counts_are_added_and_the_worst_is_told_of_what_all_see() -> None:
    late = mirror(health="down", files=OPEN, latency=2.0, last_error="refused", last_error_at=950.0)
    other = status(
        started=800.0,
        unusable="full",
        loop_lag=0.2,
        totals=totals(0, 10),
        indexes=(index(late, requests=4),),
        disk=DiskStatus(used=5, files=2, max_size=1, min_free=1, free=7, total=9),
    )
    told = whole(status(indexes=(index(mirror(latency=1.0, rate=7.0)),)), {1: other}, number=2)
    assert (told.started, told.uptime, told.unusable, told.loop_lag) == (800.0, 200.0, "full", 0.2)
    assert (told.in_flight, told.totals.requests, told.totals.hit_rate, told.totals.failed) == (2, 20, 0.4, 2)
    (both,) = told.indexes[0].mirrors
    assert told.indexes[0].requests == 7
    assert (both.health, both.pages, both.files) == ("down", CLOSED, OPEN)
    assert (both.latency, both.rate, both.requests, both.failures, both.received) == (2.0, 7.0, 20, 2, 200)
    assert (both.last_error, both.last_error_at) == ("refused", 950.0)
    assert told.disk.used == 5
    assert [(each.number, each.requests) for each in told.workers] == [(1, 10), (2, 10)]


def test_a_worker_that_does_not_answer_is_named() -> None:
    told = whole(status(), {2: None, 3: status()})
    assert [(each.number, each.answers) for each in told.workers] == [(1, True), (2, False), (3, True)]
    assert told.totals.requests == 20


def test_a_download_that_one_makes_and_another_follows_is_one() -> None:
    makes = download(bytes=50, rate=9.0, mirrors=("m",), seconds=3.0, state="fill")
    own = status(downloads=(download(readers=2), download(filename="b.whl")), transfers=2, readers=3)
    told = whole(own, {2: status(downloads=(makes,), transfers=1, readers=1)})
    assert (told.transfers, told.readers) == (2, 4)
    assert told.downloads == (
        download(bytes=50, rate=9.0, mirrors=("m",), seconds=3.0, state="fill", readers=3),
        download(filename="b.whl"),
    )


def test_minutes_projects_troubles_and_layers_are_put_together() -> None:
    own = status(
        traffic=(MinuteStatus(at=60, requests=1), MinuteStatus(at=120, hits=2)),
        wanted=(
            WantedStatus(index="i", project="a", requests=5),
            WantedStatus(index="i", project="b", requests=4),
        ),
        errors=(trouble("x", "reset"),),
        shadowed=(ShadowedStatus(index="i", project="a", hidden=("c",)),),
    )
    other = status(
        traffic=(MinuteStatus(at=120, hits=3), MinuteStatus(at=180, sent=1)),
        wanted=(WantedStatus(index="i", project="b", requests=4),),
        errors=(trouble("y", "timeout", last=70), trouble("z", "reset", last=60)),
        shadowed=(ShadowedStatus(index="i", project="a", hidden=("c", "d")),),
    )
    told = whole(own, {2: other})
    assert told.traffic == (
        MinuteStatus(at=60, requests=1),
        MinuteStatus(at=120, hits=5),
        MinuteStatus(at=180, sent=1),
    )
    assert [(each.project, each.requests) for each in told.wanted] == [("b", 8), ("a", 5)]
    assert [(each.subject, each.first, each.last, each.count) for each in told.errors] == [
        ("y", 60, 70, 1),
        ("z", 40, 60, 2),
    ]
    assert told.shadowed == (ShadowedStatus(index="i", project="a", hidden=("c", "d")),)
