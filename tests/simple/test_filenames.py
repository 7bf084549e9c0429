from __future__ import annotations

import pytest

from pypicache.simple.filenames import (
    MAX_CANDIDATES,
    all_versions,
    is_distribution,
    project_candidates,
    version_of,
)
from pypicache.simple.model import ProjectName


@pytest.mark.parametrize(
    ("filename", "project", "version"),
    [
        ("foo-1.0-py3-none-any.whl", "foo", "1.0"),
        ("Foo_Bar-1.0-py3-none-any.whl", "foo-bar", "1.0"),
        # case 1
        ("ruamel.yaml-0.17.tar.gz", "ruamel-yaml", "0.17"),
        ("zope.interface-5.0-cp39-cp39-win32.whl", "zope-interface", "5.0"),
        ("backports.functools_lru_cache-1.6-py2.py3-none-any.whl", "backports-functools-lru-cache", "1.6"),
        # case 3
        ("q-2.7.tar.gz", "q", "2.7"),
        ("0-0.0.0.zip", "0", "0.0.0"),
        # case 4
        ("x-1.0-3build-py3-none-any.whl", "x", "1.0"),
        # case 5 and 6
        ("torch-2.1+cu118-cp310-cp310-linux_x86_64.whl", "torch", "2.1+cu118"),
        ("pkg-1!2.0-py3-none-any.whl", "pkg", "1!2.0"),
        ("pkg-1!2.0.tar.gz", "pkg", "1!2.0"),
        ("foo-1.0_1-py3-none-any.whl", "foo", "1.0-1"),
        # case 7
        ("foo-1.0.zip", "foo", "1.0"),
        ("foo-1.0.tar.bz2", "foo", "1.0"),
        ("foo-1.0.tgz", "foo", "1.0"),
        ("foo-1.0.tar.xz", "foo", "1.0"),
        ("foo-1.0.tar.Z", "foo", "1.0"),
        ("foo_bar-1.0-py2.7.egg", "foo-bar", "1.0"),
        ("foo-1.0-py2.7-linux-x86_64.egg", "foo", "1.0"),
        ("foo-1.0.win32-py2.7.exe", "foo", "1.0"),
        ("foo-1.0.win-amd64-py3.5.msi", "foo", "1.0"),
        ("foo-1.0.win32.exe", "foo", "1.0"),
        ("foo-1.0.linux-x86_64.tar.gz", "foo", "1.0"),
        ("foo-1.0-1.noarch.rpm", "foo", "1.0"),
        ("foo-1.0.dmg", "foo", "1.0"),
        ("python3-foo_1.0-1_all.deb", "python3-foo", "1.0-1"),
        # case 8
        ("python-dateutil-2.8.tar.gz", "python-dateutil", "2.8"),
        ("foo-bar-1.0-beta.zip", "foo-bar", "1.0-beta"),
        ("foo-2-1.0.tar.gz", "foo-2", "1.0"),
    ],
)
def test_case_1_to_8_names_split_into_project_and_version(filename: str, project: str, version: str) -> None:
    assert version == version_of(filename, ProjectName(project))
    assert project == project_candidates(filename)[0]


@pytest.mark.parametrize(
    ("filename", "project"),
    [
        ("foo-latest.zip", "foo"),
        ("foo.zip", "foo"),
        ("bar-1.0.zip", "foo"),
        ("foo-bar-1.0.zip", "foo"),
        ("foo-.zip", "foo"),
        ("", "foo"),
        ("-", "foo"),
    ],
)
def test_case_7_an_unknown_version_is_no_error(filename: str, project: str) -> None:
    assert version_of(filename, ProjectName(project)) is None


def test_every_split_is_offered() -> None:
    """Contract section 3: a link must be resolvable whatever its project is called."""
    assert project_candidates("foo-bar-1.0-beta.zip") == ("foo-bar", "foo-bar-1-0", "foo", "foo-bar-1-0-beta")
    assert set(project_candidates("foo-2-1.tar.gz")) >= {"foo", "foo-2"}
    assert project_candidates("foo_bar-1.0-py3-none-any.whl")[0] == "foo-bar"
    assert "foo" in project_candidates("python3-foo_1.0-1_all.deb")
    assert project_candidates("----.zip") == ()


def test_a_hostile_name_has_few_candidates() -> None:
    assert len(project_candidates("-".join("a" * 120) + "-1.0.zip")) == MAX_CANDIDATES
    assert project_candidates("-".join("a" * 100) + "-1.0.zip")[0] == "-".join("a" * 100)


@pytest.mark.parametrize("name", ["foo-1.whl", "FOO-1.TAR.GZ", "foo.tar.Z", "foo.tbz2", "a.deb"])
def test_distributions(name: str) -> None:
    assert is_distribution(name)


@pytest.mark.parametrize(
    "name",
    ["", "..", "login", "logo.png", "foo.whl.metadata", "foo.tar.gz.asc", "index.html", "foo.gz", "whl"],
)
def test_what_is_no_distribution(name: str) -> None:
    assert not is_distribution(name)


@pytest.mark.parametrize(
    ("names", "stated", "expected"),
    [
        ((), (), ()),
        (("foo-1.0.zip", "foo-1.0-py3-none-any.whl", "foo-0.9.zip"), (), ("1.0", "0.9")),
        (("foo-1.0.zip",), ("1.0.0", "2.0"), ("1.0.0", "2.0")),
        (("foo-1.0-beta.zip",), ("1.0b0",), ("1.0b0",)),
        (("foo-3.zip",), ("1", "1", "2004d"), ("1", "2004d", "3")),
        (("foo-1.0-custom.zip", "foo-latest.zip"), (), ()),
        (("foo-1.0.zip", "foo-1.00.zip"), (), ("1.0",)),
    ],
)
def test_d1_versions_cover_the_files_without_duplicates(
    names: tuple[str, ...], stated: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    assert expected == all_versions(names, ProjectName("foo"), stated)
