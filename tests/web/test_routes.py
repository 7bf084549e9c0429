"""From paths to meanings: a table, hostile paths included."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypicache.simple.model import ProjectName
from pypicache.web.routes import (
    FilePath,
    Health,
    NotHere,
    ProjectList,
    ProjectPage,
    Redirect,
    Root,
    Route,
    route,
)

INDEXES = {"root/pypi", "corp", "team/dev", "team"}
DEFAULT = "root/pypi"


def page(index: str, name: str) -> ProjectPage:
    return ProjectPage(index, ProjectName(name))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", Root()),
        ("/healthz", Health()),
        ("/root/pypi/simple/", ProjectList("root/pypi")),
        ("/root/pypi/+simple/", ProjectList("root/pypi")),
        ("/root/pypi/%2Bsimple/", ProjectList("root/pypi")),
        ("/simple/", ProjectList("root/pypi")),
        ("/index/", ProjectList("root/pypi")),
        ("/corp/simple/", ProjectList("corp")),
        ("/simple", Redirect("simple/")),
        ("/root/pypi/+simple", Redirect("+simple/")),
        ("/root/pypi/simple/requests/", page("root/pypi", "requests")),
        ("/root/pypi/+simple/requests/", page("root/pypi", "requests")),
        ("/simple/requests/", page("root/pypi", "requests")),
        ("/index/requests/", page("root/pypi", "requests")),
        ("/corp/simple/requests/", page("corp", "requests")),
        ("/team/dev/simple/q/", page("team/dev", "q")),
        ("/team/simple/dev/", page("team", "dev")),
        ("/simple/simple/", page("root/pypi", "simple")),
        ("/simple/json/", page("root/pypi", "json")),
        ("/simple/packages/", page("root/pypi", "packages")),
        ("/simple/0/", page("root/pypi", "0")),
        ("/simple/requests", Redirect("requests/")),
        ("/simple/Foo_Bar/", Redirect("../foo-bar/")),
        ("/simple/foo.bar", Redirect("foo-bar/")),
        ("/simple/FrIeNdLy-._.-bArD/", Redirect("../friendly-bard/")),
        ("/root/pypi/packages/aa/bb/x-1.tar.gz", FilePath("root/pypi", ("aa", "bb", "x-1.tar.gz"))),
        ("/packages/aa/bb/x-1.tar.gz", FilePath("root/pypi", ("aa", "bb", "x-1.tar.gz"))),
        ("/packages/a/t-1+cu-py3-none-any.whl", FilePath("root/pypi", ("a", "t-1+cu-py3-none-any.whl"))),
        ("/packages/a/t-1%2Bcu-py3-none-any.whl", FilePath("root/pypi", ("a", "t-1+cu-py3-none-any.whl"))),
        ("/packages/a/p-1%212.0.tar.gz", FilePath("root/pypi", ("a", "p-1!2.0.tar.gz"))),
        ("/corp/packages/-/x/x-1.tar.gz", FilePath("corp", ("-", "x", "x-1.tar.gz"))),
    ],
)
def test_a_path_means(path: str, expected: Route) -> None:
    assert expected == route(path, INDEXES, DEFAULT)


@pytest.mark.parametrize(
    "path",
    [
        "/nope/simple/requests/",
        "/root/simple/requests/",
        "/root/pypi/nope/requests/",
        "/root/pypi",
        "/root/pypi/",
        "/simple/requests/more/",
        "/simple/-requests/",
        "/simple/requests-/",
        "/simple/req%2Fuests/",
        "/simple/..%2f..%2fetc/",
        "/simple/%2e%2e/",
        "/simple/../",
        "/simple/../etc/passwd",
        "/simple/%2e%2e%2f/",
        "/simple/a%00b/",
        "/simple/a%0Ab/",
        "/simple/requests%0d%0aX: y/",
        "/simple/a%/",
        "/simple/a%zz/",
        "/simple/%ff/",
        "/simple/caf%C3%A9/",
        "/simple/a b/",
        "/simple/a%5Cb/",
        "/simple/" + "a" * 201 + "/",
        "/packages/",
        "/packages/../x-1.tar.gz",
        "/packages/a/%2e%2e/x-1.tar.gz",
        "/packages/a/..%2fx-1.tar.gz",
        "/packages/a//x-1.tar.gz",
        "/packages/a/x-1.tar.gz%00",
        "/packages/a/x%2F1.tar.gz",
        "//simple/requests/",
        "/%2e/simple/requests/",
        "/root%2Fpypi/simple/requests/",
    ],
)
def test_nothing_is_there(path: str) -> None:
    answer = route(path, INDEXES, DEFAULT)
    assert isinstance(answer, NotHere)
    assert answer.status == 404
    assert "\n" not in answer.reason


def test_a_path_that_is_too_long_is_refused() -> None:
    answer = route("/simple/" + "a/" * 2000, INDEXES, DEFAULT)
    assert isinstance(answer, NotHere)
    assert answer.status == 414


SEGMENT = st.sampled_from(
    [
        "simple",
        "+simple",
        "root",
        "pypi",
        "corp",
        "packages",
        "..",
        ".",
        "",
        "%2e%2e",
        "%2f",
        "%",
        "a",
        "A_b",
        "json",
        "%00",
        "é",
    ]
)


@given(st.one_of(st.text(max_size=300), st.lists(SEGMENT, max_size=8).map("/".join)))
def test_any_path_has_a_meaning(path: str) -> None:
    """No path raises, and what it means is in order: a known index, a normal name, safe segments."""
    match route(f"/{path}", INDEXES, DEFAULT):
        case ProjectPage(index, name):
            assert index in INDEXES
            assert name == name.lower()
        case FilePath(index, segments):
            assert index in INDEXES
            assert not {"", ".", ".."} & set(segments)
        case Redirect(location):
            assert "\n" not in location
        case _:
            pass
