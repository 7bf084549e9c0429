"""What is counted, as it is counted: requests, minutes, projects, events."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypicache.events import (
    Again,
    Answered,
    FileStored,
    Kind,
    MirrorFailed,
    Outcome,
    StoreTrouble,
    TransferFailed,
)
from pypicache.monitor.happenings import Happenings
from pypicache.monitor.status import MinuteStatus, WantedStatus
from pypicache.monitor.tally import SECONDS, Histogram, Tally, Totals
from pypicache.monitor.traffic import Figures, Traffic
from pypicache.monitor.wanted import Wanted
from pypicache.monitoring import Monitor
from tests.clock import ManualClock
from tests.fakes import Recorder


def answered(
    kind: Kind = "page",
    outcome: Outcome = "hit",
    *,
    index: str = "root/pypi",
    subject: str = "demo",
    status: int = 200,
    sent: int = 100,
    seconds: float = 0.002,
) -> Answered:
    return Answered(
        index=index,
        kind=kind,
        subject=subject,
        method="GET",
        path="/",
        client="",
        status=status,
        sent=sent,
        seconds=seconds,
        outcome=outcome,
        mirror="",
    )


# Requests


def test_totals_keep_pages_files_and_failures_apart() -> None:
    tally = Tally()
    for record in (
        answered(),
        answered(outcome="miss"),
        answered(outcome="stale_if_error"),
        answered("file", "shared", sent=1000),
        answered("file", "miss", sent=1000),
        answered("sidecar", sent=10),
        answered("page", "failed", status=503, sent=5),
        answered("other", "none", index="", subject="", sent=7),
    ):
        tally.take(record)
    assert tally.totals() == Totals(
        requests=7, pages=(2, 1), files=(2, 1), failed=1, sent=2322, saved=100 + 100 + 1000 + 10
    )
    assert tally.requests["root/pypi", "page", 503, "failed"] == 1
    assert tally.sent == {
        ("root/pypi", "cache"): 210,
        ("root/pypi", "mirror"): 1100,
        ("root/pypi", "shared"): 1000,
        ("root/pypi", "own"): 5,
        ("", "own"): 7,
    }


@given(st.lists(st.floats(0, 1000)))
def test_a_histogram_loses_nothing(values: list[float]) -> None:
    """Each value is in the first bucket whose bound it doesn't exceed."""
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    for place, bound in enumerate(SECONDS):
        assert sum(histogram.counts[: place + 1]) == len([value for value in values if value <= bound])
    assert sum(histogram.counts) == len(values)


# Minutes


class Counted:
    """Figures that a test sets."""

    def __init__(self) -> None:
        self.figures = Figures(totals=Totals(), received=0)

    def __call__(self) -> Figures:
        return self.figures

    def add(self, requests: int) -> None:
        totals = self.figures.totals
        self.figures = Figures(
            totals=replace(totals, requests=totals.requests + requests, sent=totals.sent + 10 * requests),
            received=self.figures.received + requests,
        )


def test_each_minute_has_what_it_brought() -> None:
    counted = Counted()
    traffic = Traffic(counted, now=125.0)
    counted.add(3)
    traffic.look(179.9)
    assert traffic.minutes() == (MinuteStatus(at=120, requests=3, sent=30, received=3),)
    traffic.look(180.0)
    counted.add(2)
    assert [(m.at, m.requests) for m in traffic.minutes()] == [(120, 3), (180, 2)]


def test_minutes_in_which_nobody_looked_are_empty() -> None:
    counted = Counted()
    traffic = Traffic(counted, now=0.0)
    counted.add(1)
    traffic.look(250.0)
    assert [(m.at, m.requests) for m in traffic.minutes()] == [(0, 1), (60, 0), (120, 0), (180, 0), (240, 0)]


def test_a_clock_that_is_set_back_begins_no_minute_twice() -> None:
    counted = Counted()
    traffic = Traffic(counted, now=600.0)
    traffic.look(60.0)
    counted.add(1)
    assert [(m.at, m.requests) for m in traffic.minutes()] == [(600, 1)]


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 5)), max_size=50))
def test_minutes_are_bounded_and_in_order_and_lose_nothing_recent(looks: list[tuple[int, int]]) -> None:
    counted = Counted()
    traffic = Traffic(counted, now=0.0, buckets=10)
    for now, requests in looks:
        counted.add(requests)
        traffic.look(float(now))
    minutes = traffic.minutes()
    assert len(minutes) <= 11
    assert [m.at for m in minutes] == sorted({m.at for m in minutes})
    assert sum(m.requests for m in minutes) <= counted.figures.totals.requests


# Projects


def test_the_most_wanted_come_first_and_only_pages_that_there_are_count() -> None:
    wanted = Wanted()
    for name, times in (("b", 2), ("a", 2), ("c", 5)):
        for _ in range(times):
            wanted.take(answered(subject=name))
    wanted.take(answered(subject="nothing", status=404, outcome="absent"))
    wanted.take(answered("file", subject="c-1.0.tar.gz"))
    assert wanted.top(2) == [
        WantedStatus(index="root/pypi", project="c", requests=5),
        WantedStatus(index="root/pypi", project="a", requests=2),
    ]


def test_a_flood_of_names_pushes_out_none_that_is_wanted() -> None:
    """And what is remembered stays bounded."""
    wanted = Wanted(most=100)
    for _ in range(50):
        wanted.take(answered(subject="popular"))
    for number in range(1000):
        wanted.take(answered(subject=f"name-{number}"))
        if number % 10 == 0:
            wanted.take(answered(subject="popular"))
    assert wanted.top(1)[0].project == "popular"
    assert len(wanted.top(10**6)) <= 100


# Answers that are given again


def figures(tally: Tally) -> object:
    """All that it counts, but for what it has never seen, and for sums of seconds (`seconds_of`)."""
    return (
        {key: count for key, count in tally.requests.items() if count},
        {key: count for key, count in tally.sent.items() if count},
        {key: each.counts for key, each in tally.seconds.items() if any(each.counts)},
    )


def seconds_of(tally: Tally) -> dict[object, float]:
    """The sums, which differ in their last digits by how they were made."""
    return {key: each.total for key, each in tally.seconds.items() if any(each.counts)}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [
                    answered(),
                    answered(status=304, sent=0),
                    answered("file", sent=7),
                    answered("sidecar", "stale"),
                ]
            ),
            st.floats(0, 1000),
            st.integers(1, 300),
        ),
        max_size=20,
    )
)
def test_an_answer_that_is_given_again_counts_as_often(given: list[tuple[Answered, float, int]]) -> None:
    """Whether it is told at once or with others."""
    one, many = (Monitor(observer=Recorder(), clock=ManualClock()) for _ in range(2))
    for record, seconds, times in given:
        for _ in range(times):
            one.take(replace(record, seconds=seconds))
    many.take_again([Again(record, "", 0.0, seconds, times) for record, seconds, times in given], "", 1)
    assert figures(many.tally) == figures(one.tally)
    assert seconds_of(many.tally) == pytest.approx(seconds_of(one.tally))
    assert many._wanted.top(10) == one._wanted.top(10)


# Events


def test_a_mirror_that_fails_in_one_way_is_one_entry(clock: ManualClock) -> None:
    happenings = Happenings(clock=clock)
    for number in range(3):
        happenings.observe(MirrorFailed(origin="corp", what=f"file{number}", reason="silent"))
        clock.advance(1)
    happenings.observe(StoreTrouble(where="pages", reason="a line\nand another"))
    store, mirror = happenings.troubles()
    assert (store.what, store.where, store.reason) == (
        "StoreTrouble",
        "pages",
        "a line\N{REPLACEMENT CHARACTER}and another",
    )
    assert (mirror.count, mirror.subject, mirror.last - mirror.first) == (3, "file2", 2.0)
    assert happenings.counts == {"MirrorFailed": 3, "StoreTrouble": 1}


def test_what_went_well_is_counted_and_is_no_error(clock: ManualClock) -> None:
    happenings = Happenings(clock=clock)
    happenings.observe(FileStored(filename="a", sha256="0", size=7, origin="corp", seconds=1.0))
    assert (happenings.stored_bytes, happenings.counts, happenings.troubles()) == (7, {"FileStored": 1}, ())


def test_the_oldest_errors_are_forgotten(clock: ManualClock) -> None:
    happenings = Happenings(clock=clock, entries=3)
    for name in "abcd":
        happenings.observe(TransferFailed(filename=name, reason="no"))
    happenings.observe(TransferFailed(filename="b", reason="no"))
    assert [trouble.subject for trouble in happenings.troubles()] == ["b", "d", "c"]
