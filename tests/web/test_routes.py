"""From paths to meanings: a table, hostile paths included."""

from __future__ import annotations

from urllib.parse import urljoin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypicache.simple.model import ProjectName
from pypicache.web.places import (
    Explain,
    FilePath,
    Health,
    LegacyJSON,
    Metrics,
    NotHere,
    ProjectList,
    ProjectPage,
    Ready,
    Redirect,
    Root,
    Route,
    Status,
)
from pypicache.web.routes import route

INDEXES = {"root/pypi", "corp", "team/dev", "team"}
DEFAULT = "root/pypi"


def page(index: str, name: str) -> ProjectPage:
    return ProjectPage(index, ProjectName(name))


def legacy(index: str, name: str, version: str | None = None) -> LegacyJSON:
    """Addressed by the index's name."""
    return LegacyJSON(index, ProjectName(name), version, f"{index}/")


def default_legacy(name: str, version: str | None = None) -> LegacyJSON:
    """Addressed as the default index's."""
    return LegacyJSON(DEFAULT, ProjectName(name), version, "")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", Root()),
        ("/healthz", Health()),
        ("/readyz", Ready()),
        ("/metrics", Metrics()),
        ("/-/status", Status()),
        ("/-/explain/root/pypi/Foo_Bar", Explain("root/pypi", ProjectName("foo-bar"))),
        ("/-/explain/corp/demo", Explain("corp", ProjectName("demo"))),
        ("/-/explain/team/dev/demo", Explain("team/dev", ProjectName("demo"))),
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
    ("path", "expected"),
    [
        ("/root/pypi/pypi/requests/json", legacy("root/pypi", "requests")),
        ("/root/pypi/pypi/requests/2.0/json", legacy("root/pypi", "requests", "2.0")),
        ("/root/pypi/requests/json", legacy("root/pypi", "requests")),
        ("/root/pypi/requests/2.0/json", legacy("root/pypi", "requests", "2.0")),
        ("/root/pypi/simple/requests/json", legacy("root/pypi", "requests")),
        ("/root/pypi/+simple/requests/json", legacy("root/pypi", "requests")),
        ("/root/pypi/%2Bsimple/requests/json", legacy("root/pypi", "requests")),
        ("/pypi/requests/json", default_legacy("requests")),
        ("/pypi/requests/2!1.0+cu.1/json", default_legacy("requests", "2!1.0+cu.1")),
        ("/pypi/requests/1.0%2Bcu/json", default_legacy("requests", "1.0+cu")),
        ("/requests/json", default_legacy("requests")),
        ("/simple/requests/json", default_legacy("requests")),
        ("/index/requests/json", default_legacy("requests")),
        # pip-compile joins "pypi" to the index URL, which may end in a slash or not.
        ("/root/pypi/simple/pypi/requests/json", legacy("root/pypi", "requests")),
        ("/root/pypi/+simple/pypi/requests/json", legacy("root/pypi", "requests")),
        ("/simple/pypi/requests/json", default_legacy("requests")),
        ("/corp/requests/json", legacy("corp", "requests")),
        ("/corp/pypi/requests/json", legacy("corp", "requests")),
        # Case 3: projects that are called like a part of the path.
        ("/pypi/pypi/json", default_legacy("pypi")),
        ("/pypi/json", default_legacy("pypi")),
        ("/pypi/json/json", default_legacy("json")),
        ("/pypi/simple/json", default_legacy("simple")),
        ("/pypi/packages/json", default_legacy("packages")),
        ("/pypi/q/json", default_legacy("q")),
        ("/pypi/0/json", default_legacy("0")),
        ("/json/json", default_legacy("json")),
        ("/root/json", default_legacy("root")),
        ("/root/pypi/pypi/json", legacy("root/pypi", "pypi")),
        ("/root/pypi/pypi/pypi/json", legacy("root/pypi", "pypi")),
        ("/root/pypi/pypi/pypi/1.0/json", legacy("root/pypi", "pypi", "1.0")),
        ("/root/pypi/pypi/simple/json", legacy("root/pypi", "simple")),
        ("/root/pypi/json/json", legacy("root/pypi", "json")),
        ("/simple/pypi/json", default_legacy("pypi")),
        ("/simple/json/json", default_legacy("json")),
        ("/simple/json", Redirect("json/")),
        ("/packages/json", FilePath("root/pypi", ("json",))),
        # Index names win, the longest first.
        ("/team/dev/json/json", legacy("team/dev", "json")),
        ("/team/other/json", legacy("team", "other")),
        ("/team/other/1.0/json", legacy("team", "other", "1.0")),
        # One address for each: the normal name, no slash at the end.
        ("/pypi/Foo_Bar/json", Redirect("../foo-bar/json")),
        ("/pypi/Foo_Bar/1.0+a/json", Redirect("../../foo-bar/1.0%2Ba/json")),
        ("/root/pypi/Foo.Bar/json", Redirect("../foo-bar/json")),
        ("/Foo_Bar/json", Redirect("../foo-bar/json")),
        ("/simple/Foo_Bar/json", Redirect("../foo-bar/json")),
        ("/pypi/foo/json/", Redirect("../../foo/json")),
        ("/pypi/foo/1.0/json/", Redirect("../../../foo/1.0/json")),
    ],
)
def test_legacy_json_has_many_addresses(path: str, expected: Route) -> None:
    """A13, case 3."""
    assert expected == route(path, INDEXES, DEFAULT)


def test_a_redirect_leads_to_what_was_meant() -> None:
    for path in (
        "/pypi/Foo_Bar/json/",
        "/root/pypi/Foo_Bar/1.0/json",
        "/Foo_Bar/json",
        "/simple/pypi/A/json",
    ):
        redirect = route(path, INDEXES, DEFAULT)
        assert isinstance(redirect, Redirect)
        assert isinstance(route(urljoin(path, redirect.location), INDEXES, DEFAULT), LegacyJSON)


@pytest.mark.parametrize(
    "path",
    [
        "/nope/simple/requests/",
        "/root/simple/requests/",
        "/root/pypi/nope/requests/",
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
        "/-/",
        "/-/explain/corp",
        "/-/explain/nowhere/demo",
        "/-/explain/corp/demo/",
        "/-/explain/corp/..",
        "/-/explain/corp/%zz",
        "/-/other/corp/demo",
        "/root%2Fpypi/simple/requests/",
        "/root/pypi/json",
        "/team/dev/json",
        "/nope/pypi/requests/json",
        "/pypi/requests",
        "/pypi/requests/",
        "/pypi/-x/json",
        "/pypi/..%2f..%2fetc/json",
        "/pypi/%2e%2e/json",
        "/pypi/a%0Ab/json",
        "/pypi/x/a%2Fb/json",
        "/pypi/x/1.0%00/json",
        "/pypi/x/caf%C3%A9/json",
        "/pypi/x/ /json",
        "/pypi/x/../json",
        "/pypi/x/" + "1" * 200 + "/json",
        "/pypi/x/1.0/more/json",
        "/simple/requests/1.0/json",
        "/requests/1.0/json",
        "/pypi/x/jsonp",
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
        case LegacyJSON(index, name, version):
            assert index in INDEXES
            assert name == name.lower()
            assert version is None or version.isascii()
        case FilePath(index, segments):
            assert index in INDEXES
            assert not {"", ".", ".."} & set(segments)
        case Redirect(location):
            assert "\n" not in location
        case _:
            pass
