"""The paths of devpi's clients and of old lock files: a table, and what isn't among them."""

from __future__ import annotations

from urllib.parse import urljoin

import pytest

from pypicache.simple.model import ProjectName
from pypicache.web.devpi_paths import (
    Api,
    Login,
    NewIndex,
    OldLink,
    Settings,
    Status,
    User,
    meant,
    shown,
    users,
)
from pypicache.web.places import NotHere, ProjectPage, Redirect, Root, Route
from pypicache.web.routes import route

INDEXES = {"root/pypi", "corp", "team/dev", "team"}
WHEEL = "demo-1.0+cu1-py3-none-any.whl"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", Root()),
        ("/+api", Api()),
        ("/%2Bapi", Api()),
        ("/+api/", Api()),
        ("/root/+api", Api()),
        ("/team/+api", Api("team")),
        ("/root/pypi/+api", Api("root/pypi")),
        ("/root/pypi/%2bapi", Api("root/pypi")),
        ("/corp/+api", Api("corp")),
        ("/root/corp/+api", Api("corp")),
        ("/+status", Status()),
        ("/+login", Login()),
        ("/%2Blogin", Login()),
        ("/root", User("root")),
        ("/root/", User("root")),
        ("/root/pypi", Settings("root/pypi")),
        ("/root/pypi/", Settings("root/pypi")),
        ("/corp", Settings("corp")),
        ("/root/corp", Settings("corp")),
        ("/root/corp/", Settings("corp")),
        ("/team", Settings("team")),
        ("/team/dev", Settings("team/dev")),
        ("/root/nope", NewIndex("root/nope")),
        ("/nope/nope/", NewIndex("nope/nope")),
        (
            f"/root/pypi/+f/abc/0123456789abc/{WHEEL}",
            OldLink("root/pypi", "abc0123456789abc", WHEEL),
        ),
        (
            f"/root/pypi/%2Bf/abc/0123456789abc/{WHEEL.replace('+', '%2B')}",
            OldLink("root/pypi", "abc0123456789abc", WHEEL),
        ),
        (
            f"/root/corp/+f/abc/0123456789abc/{WHEEL}.metadata",
            OldLink("corp", "abc0123456789abc", f"{WHEEL}.metadata"),
        ),
        # What stands below is there under both names, too.
        ("/root/corp/+simple/demo/", ProjectPage("corp", ProjectName("demo"))),
        ("/root/corp/simple/demo/", ProjectPage("corp", ProjectName("demo"))),
        # Installers that are given the index itself.
        ("/root/pypi/demo", Redirect("simple/demo/")),
        ("/root/pypi/demo/", Redirect("../simple/demo/")),
        ("/root/pypi/De.Mo/", Redirect("../simple/de-mo/")),
        ("/corp/demo/", Redirect("../simple/demo/")),
        ("/root/pypi/+simple/demo", Redirect("demo/")),
    ],
)
def test_a_path_means(path: str, expected: Route) -> None:
    assert route(path, INDEXES, "root/pypi") == expected


@pytest.mark.parametrize(
    "path",
    [
        "/nobody",
        "/nobody/+api",
        "/+nope",
        "/+login/x",
        "/root/pypi/+nope",
        "/root/pypi/+f/",
        "/root/pypi/+f/abc/0123456789abc",
        "/root/pypi/+f/abc/0123456789abc/",
        "/root/pypi/+f/abc/0123456789abc/..",
        "/root/pypi/+f/abc/0123456789abc/%2e%2e",
        "/root/pypi/+f/abc/0123456789abc/a%2fb",
        "/root/pypi/+f/abc/0123456789abc/a%00",
        "/root/pypi/+f/abc/0123456789abc/a/b",
        "/root/pypi/+f/ABC/0123456789abc/a",
        "/root/pypi/+f/abcd/123456789abc/a",
        "/root/pypi/+f/abc/0123456789abcd/a",
        "/+f/abc/0123456789abc/a",
        "/root/-nope-/",
        "/root/nope/+api",
        "/root/nope/+simple/demo/",
        "/simple%2f",
    ],
)
def test_nothing_is_there(path: str) -> None:
    assert isinstance(route(path, INDEXES, "root/pypi"), NotHere)


def test_a_redirect_leads_to_the_page() -> None:
    for path in ("/root/pypi/De.Mo", "/root/pypi/demo/", "/corp/demo", "/root/corp/demo/"):
        redirect = route(path, INDEXES, "root/pypi")
        assert isinstance(redirect, Redirect)
        assert isinstance(route(urljoin(path, redirect.location), INDEXES, "root/pypi"), ProjectPage)


@pytest.mark.parametrize(
    ("indexes", "name", "expected"),
    [
        ({"corp"}, "root/corp", "corp"),
        ({"corp"}, "corp", "corp"),
        ({"corp", "root"}, "root/corp", None),
        ({"corp"}, "team/corp", None),
        ({"team/corp"}, "root/team/corp", "team/corp"),
    ],
)
def test_which_index_is_meant(indexes: set[str], name: str, expected: str | None) -> None:
    assert meant(name, indexes) == expected


def test_names_as_devpi_shows_them() -> None:
    assert (shown("corp"), shown("team/dev")) == ("root/corp", "team/dev")
    assert users(INDEXES) == {"root", "team"}
