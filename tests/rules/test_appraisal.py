"""Tables for how mirrors compare: how far behind each is, which file they are measured by, and the suggested order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from pypicache.rules.appraisal import Figures, Lag, Pages, Place, common_file, lag, suggest, uploaded
from pypicache.simple.model import File, Project, ProjectName

DEMO = ProjectName("demo")
NOW = datetime(2026, 1, 2, 12, tzinfo=UTC).timestamp()
HOUR = 3600.0


def page(*files: str, times: Mapping[str, str] | None = None) -> Pages:
    """A page of demo: `1.0@10` is demo-1.0.tar.gz, uploaded at 10 o'clock; without `@` the page doesn't say when."""
    listed = []
    for each in files:
        version, _, hour = each.partition("@")
        time = f"2026-01-02T{hour:0>2}:00:00Z" if hour else None
        listed.append(
            File(filename=f"demo-{version}.tar.gz", url=f"https://e.example/{version}", upload_time=time)
        )
    return {DEMO: Project(name=DEMO, files=tuple(listed))}


LAGS: list[tuple[str, Pages, Sequence[Pages], Lag | None]] = [
    ("nothing to compare with", page("1.0@8"), [], None),
    ("no upload times anywhere", page("1.0"), [page("1.0", "2.0")], None),
    ("the same", page("1.0@8"), [page("1.0@8")], Lag()),
    (
        "a file is missing for two hours",
        page("1.0@8"),
        [page("1.0@8", "2.0@10")],
        Lag(seconds=2 * HOUR, missing=1),
    ),
    (
        "two are, the first one for three hours",
        page("1.0@8"),
        [page("1.0@8", "2.0@9", "3.0@11")],
        Lag(seconds=3 * HOUR, missing=2),
    ),
    ("its own page gives no times", page("1.0"), [page("1.0@8", "2.0@10")], Lag(seconds=2 * HOUR, missing=1)),
    ("it has what others lack", page("1.0@8", "2.0@10"), [page("1.0@8")], Lag()),
    ("an old file that it never had", page("2.0@10"), [page("1.0@8", "2.0@10")], Lag()),
    (
        "two others disagree on the time",
        page("1.0@8"),
        [page("2.0@9"), page("2.0@11")],
        Lag(seconds=3 * HOUR, missing=1),
    ),
    ("an upload in the future", page("1.0@8"), [page("2.0@23")], Lag(seconds=0.0, missing=1)),
    ("the others have other projects", page("1.0@8"), [{}], None),
]


@pytest.mark.parametrize(
    ("own", "others", "expected"), [row[1:] for row in LAGS], ids=[row[0] for row in LAGS]
)
def test_how_far_a_mirror_is_behind(own: Pages, others: Sequence[Pages], expected: Lag | None) -> None:
    assert lag(own, (), others, NOW) == expected


def test_a_project_that_others_have_and_it_denies_is_lacking() -> None:
    assert lag({}, {DEMO}, [page("1.0@8")], NOW) == Lag(lacks=(DEMO,))
    assert lag({}, {DEMO}, [{}], NOW) is None
    assert lag({}, {DEMO}, [page()], NOW) is None


@pytest.mark.parametrize(
    "text", ["yesterday", "2026-01-02T08:00:00", "", "2026-13-02T08:00:00Z", "9999999999-01-01T00:00:00Z"]
)
def test_an_upload_time_that_says_nothing(text: str) -> None:
    assert uploaded(File(filename="f", url="u", upload_time=text)) is None


FAST: dict[str, Any] = {"first_byte": 0.01, "rate": 10e6, "lag": Lag()}
SLOW: dict[str, Any] = {"first_byte": 0.5, "rate": 1e5, "lag": Lag()}
LATE = Lag(seconds=2 * HOUR, missing=3)

ORDERS: list[tuple[str, list[dict[str, Any]], list[str]]] = [
    ("nobody", [], []),
    ("one", [FAST], ["a both"]),
    ("the fast one first", [SLOW, FAST], ["b both", "a both"]),
    ("of equals, the first one first", [FAST, FAST], ["a both", "b both"]),
    ("no page is of no use", [{**FAST, "first_byte": None}, SLOW], ["b both"]),
    ("no file: pages only", [{**FAST, "rate": None}, SLOW], ["a pages", "b both"]),
    (
        "nobody's file came: that says nothing",
        [{**FAST, "rate": None}, {**SLOW, "rate": None}],
        ["a both", "b both"],
    ),
    ("late: files only", [{**FAST, "lag": LATE}, SLOW], ["a files", "b both"]),
    ("a little late", [{**FAST, "lag": Lag(seconds=HOUR, missing=1)}, SLOW], ["a both", "b both"]),
    ("late, and no file", [{**FAST, "lag": LATE, "rate": None}, SLOW], ["b both"]),
    (
        "everyone is late",
        [{**SLOW, "lag": LATE}, {**FAST, "lag": Lag(seconds=9 * HOUR)}],
        ["b files", "a both"],
    ),
    (
        "projects are lacking",
        [{**FAST, "lag": Lag(lacks=(DEMO,))}, {**SLOW, "lag": LATE}],
        ["a files", "b both"],
    ),
    ("nothing to compare with", [{**FAST, "lag": None}], ["a both"]),
    ("trusted for pages", [{**FAST, "trusted": "pages"}, SLOW], ["a pages", "b both"]),
    ("trusted for files", [{**FAST, "trusted": "files"}, SLOW], ["a files", "b both"]),
    ("trusted for files, which don't come", [{**FAST, "trusted": "files", "rate": None}, SLOW], ["b both"]),
    (
        "the only one trusted for pages is late",
        [{**FAST, "trusted": "files"}, {**SLOW, "lag": LATE}],
        ["a files", "b both"],
    ),
    (
        "a slow line outweighs quick pages",
        [{**FAST, "rate": 1e5}, {**SLOW, "rate": 10e6}],
        ["b both", "a both"],
    ),
]


@pytest.mark.parametrize(("rows", "expected"), [row[1:] for row in ORDERS], ids=[row[0] for row in ORDERS])
def test_the_order_that_is_suggested(rows: list[dict[str, Any]], expected: list[str]) -> None:
    measured = [Figures(name=name, **row) for name, row in zip("abc", rows, strict=False)]
    assert suggest(measured) == tuple(Place(*each.split()) for each in expected)  # type: ignore[arg-type]


def sized(*files: tuple[str, int | None]) -> Pages:
    return {DEMO: Project(name=DEMO, files=tuple(File(filename=n, url="u", size=size) for n, size in files))}


FILES: list[tuple[str, list[Pages], str | None]] = [
    ("none", [{}, sized()], None),
    ("the one that most have", [sized(("a", 5 << 20), ("b", 2 << 20)), sized(("b", 2 << 20))], "b"),
    ("the largest of a size that tells", [sized(("a", 1000), ("b", 5 << 20), ("c", 9 << 20))], "c"),
    ("none too large, if that can be", [sized(("a", 1000), ("b", 900 << 20))], "a"),
    ("the smallest of those too large", [sized(("a", 900 << 20), ("b", 100 << 20))], "b"),
    (
        "another page knows the size",
        [sized(("a", None), ("b", None)), sized(("a", None), ("b", 2 << 20))],
        "b",
    ),
]


@pytest.mark.parametrize(("pages", "expected"), [row[1:] for row in FILES], ids=[row[0] for row in FILES])
def test_the_file_to_measure_by(pages: list[Pages], expected: str | None) -> None:
    found = common_file(pages)
    assert (None if found is None else found[1]) == expected
