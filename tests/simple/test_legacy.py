"""A13: legacy JSON, read from hostile documents, and brought into agreement with the page."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypicache.simple import legacy
from pypicache.simple.filenames import packagetype, python_version
from pypicache.simple.legacy_document import MAX_BODY, parse
from pypicache.simple.model import Digest, File, Project, ProjectName
from tests.property.strategies import projects

NAME = ProjectName("demo")
A, B, C = "a" * 64, "b" * 64, "c" * 64
MD5 = "d" * 32


def file(filename: str, sha256: str = A, **fields: Any) -> File:
    return File(
        filename=filename,
        url=f"https://files.example.org/packages/{filename}",
        hashes=(Digest("sha256", sha256),),
        **fields,
    )


OLD = file("demo-1.0.tar.gz", size=10, upload_time="2024-01-01T00:00:00.123456Z", requires_python=">=3.8")
NEW = file("demo-2.0-py3-none-any.whl", B, size=20, upload_time="2024-02-01T00:00:00Z")
PRE = file("demo-3.0rc1.tar.gz", C)
PAGE = Project(name=NAME, files=(OLD, NEW, PRE), versions=("1.0", "2.0", "3.0rc1"))


def href(item: File) -> str:
    return f"http://cache.example.com/root/pypi/packages/{item.filename}"


def render(project: Project, document: object = None, *, version: str | None = None) -> Any:
    given_document = None if document is None else parse(json.dumps(document).encode(), NAME)
    made = legacy.render(project, given_document, version=version, href=href)
    return None if made is None else json.loads(made)


def entry(filename: str, **fields: object) -> dict[str, object]:
    return {"filename": filename, "url": f"https://elsewhere.example.org/{filename}", **fields}


def names(listed: list[dict[str, Any]]) -> list[str]:
    return [item["filename"] for item in listed]


def test_without_a_document_the_page_gives_what_it_knows() -> None:
    """Nothing is invented: what the page can't tell is null, or isn't there."""
    made = render(PAGE)
    assert made["info"] == {
        "name": "demo",
        "version": "2.0",
        "summary": None,
        "requires_dist": None,
        "requires_python": None,
        "yanked": False,
        "yanked_reason": None,
    }
    assert set(made) == {"info", "last_serial", "releases", "urls"}
    assert made["last_serial"] == -1
    assert {key: names(listed) for key, listed in made["releases"].items()} == {
        "1.0": ["demo-1.0.tar.gz"],
        "2.0": ["demo-2.0-py3-none-any.whl"],
        "3.0rc1": ["demo-3.0rc1.tar.gz"],
    }
    assert made["urls"] == made["releases"]["2.0"]
    assert made["releases"]["1.0"] == [
        {
            "filename": "demo-1.0.tar.gz",
            "url": href(OLD),
            "digests": {"sha256": A},
            "md5_digest": None,
            "packagetype": "sdist",
            "python_version": "source",
            "requires_python": ">=3.8",
            "size": 10,
            "upload_time": "2024-01-01T00:00:00",
            "upload_time_iso_8601": "2024-01-01T00:00:00.123456Z",
            "yanked": False,
            "yanked_reason": None,
        }
    ]


def test_every_link_is_the_page_s_link_and_no_other() -> None:
    """pip-compile looks a file up by its whole URL."""
    document = {
        "info": {"name": "Demo", "version": "2.0"},
        "releases": {"1.0": [entry(OLD.filename)], "2.0": [entry(NEW.filename)]},
        "urls": [entry(NEW.filename)],
    }
    made = render(PAGE, document)
    links = {item["url"] for listed in [*made["releases"].values(), made["urls"]] for item in listed}
    assert links == {href(OLD), href(NEW), href(PRE)}


def test_document_is_passed_on_where_the_page_says_nothing() -> None:
    document = {
        "info": {
            "name": "Demo",
            "version": "2.0",
            "summary": "A demo.",
            "classifiers": ["X :: Y"],
            "new": {"a": [1]},
        },
        "last_serial": 7,
        "releases": {
            "1.0": [
                entry(OLD.filename, digests={"md5": MD5, "sha256": A}, md5_digest=MD5, comment_text="hello")
            ],
            "2.0": [
                entry(
                    NEW.filename,
                    size=20,
                    python_version="py3",
                    packagetype="bdist_wheel",
                    requires_python=">=3",
                )
            ],
        },
        "vulnerabilities": [{"id": "X-1"}],
    }
    made = render(PAGE, document)
    assert made["info"]["summary"] == "A demo."
    assert made["info"]["name"] == "Demo"
    assert made["info"]["classifiers"] == ["X :: Y"]
    assert made["info"]["new"] == {"a": [1]}
    assert made["last_serial"] == 7
    assert made["vulnerabilities"] == [{"id": "X-1"}]
    (old,) = made["releases"]["1.0"]
    assert old["digests"] == {"md5": MD5, "sha256": A}
    assert (old["md5_digest"], old["comment_text"], old["upload_time"]) == (
        MD5,
        "hello",
        "2024-01-01T00:00:00",
    )
    assert made["releases"]["2.0"][0]["requires_python"] == ">=3"


def test_files_that_the_page_does_not_list_are_dropped_and_others_are_added() -> None:
    """A removed file has no link; a release that lost all of them isn't there, one that never had any is."""
    document = {
        "info": {"name": "demo", "version": "9.0", "summary": "of 9.0"},
        "releases": {
            "0.1": [],
            "1.0": [entry("demo-1.0-gone.tar.gz"), entry(OLD.filename)],
            "9.0": [entry("demo-9.0.tar.gz")],
        },
        "urls": [entry("demo-9.0.tar.gz")],
    }
    made = render(PAGE, document)
    assert {key: names(listed) for key, listed in made["releases"].items()} == {
        "0.1": [],
        "1.0": [OLD.filename],
        "2.0": [NEW.filename],
        "3.0rc1": [PRE.filename],
    }
    assert made["info"]["version"] == "2.0"
    assert made["info"]["summary"] is None
    assert names(made["urls"]) == [NEW.filename]


def test_quarantined_page_lists_nothing() -> None:
    hidden = Project(name=NAME, versions=("1.0",))
    made = render(
        hidden, {"info": {"name": "demo", "version": "1.0"}, "releases": {"1.0": [entry(OLD.filename)]}}
    )
    assert made["releases"] == {"1.0": []}
    assert made["urls"] == []


@pytest.mark.parametrize(
    "lie", [{"digests": {"sha256": C, "md5": MD5}}, {"size": 11, "digests": {"md5": MD5}}]
)
def test_entry_about_other_bytes_counts_for_nothing(lie: dict[str, object]) -> None:
    made = render(PAGE, {"info": {}, "releases": {"1.0": [entry(OLD.filename, comment_text="old", **lie)]}})
    (old,) = made["releases"]["1.0"]
    assert old["digests"] == {"sha256": A}
    assert old["size"] == 10
    assert "comment_text" not in old


def test_yanked_is_what_the_page_says() -> None:
    yanked = Project(
        name=NAME, files=(file("demo-1.0.tar.gz"), file("demo-2.0.tar.gz", B, yanked='bad "x" <b>'))
    )
    made = render(
        yanked,
        {
            "info": {"version": "2.0", "yanked": False},
            "releases": {"2.0": [entry("demo-2.0.tar.gz", yanked=False)]},
        },
    )
    assert made["releases"]["2.0"][0]["yanked"] is True
    assert made["releases"]["2.0"][0]["yanked_reason"] == 'bad "x" <b>'
    assert (made["info"]["yanked"], made["info"]["yanked_reason"]) == (True, 'bad "x" <b>')
    assert made["releases"]["1.0"][0]["yanked"] is False


@pytest.mark.parametrize(
    ("files", "latest"),
    [
        ([], None),
        ([file("demo-1.0.tar.gz"), file("demo-1.10.tar.gz"), file("demo-1.9.tar.gz")], "1.10"),
        ([file("demo-1.0.tar.gz"), file("demo-2.0.tar.gz", yanked=True)], "1.0"),
        ([file("demo-1.0.tar.gz", yanked=True), file("demo-2.0.tar.gz", yanked="no")], "2.0"),
        ([file("demo-1.0.tar.gz"), file("demo-2.0a1.tar.gz")], "1.0"),
        ([file("demo-1.0a1.tar.gz"), file("demo-1.0.dev3.tar.gz")], "1.0a1"),
        ([file("demo-1.0.tar.gz"), file("demo-1!0.1.tar.gz")], "1!0.1"),
        ([file("demo-nightly.tar.gz")], None),
    ],
)
def test_newest_version_is_the_public_index_s_choice(files: list[File], latest: str | None) -> None:
    assert render(Project(name=NAME, files=tuple(files)))["info"]["version"] == latest


@pytest.mark.parametrize("asked", ["2.0", "2", "2.0.0", "v2.0"])
def test_one_version_is_asked_for_in_any_spelling(asked: str) -> None:
    made = render(PAGE, version=asked)
    assert set(made) == {"info", "last_serial", "urls"}
    assert made["info"]["version"] == "2.0"
    assert names(made["urls"]) == [NEW.filename]


@pytest.mark.parametrize("asked", ["9.0", "nonsense", "2.0.1"])
def test_version_that_the_page_does_not_know_is_none(asked: str) -> None:
    assert render(PAGE, version=asked) is None
    assert (
        render(PAGE, {"info": {"version": asked}, "urls": [entry("demo-9.0.tar.gz")]}, version=asked) is None
    )


def test_document_of_one_version_is_passed_on() -> None:
    """The public index gives no `releases` there."""
    document = {
        "info": {"version": "1.0", "summary": "First."},
        "urls": [entry(OLD.filename, comment_text="x")],
    }
    made = render(PAGE, document, version="1.0")
    assert made["info"]["summary"] == "First."
    assert made["urls"][0]["comment_text"] == "x"
    assert made["urls"][0]["url"] == href(OLD)


def test_versions_are_spelled_as_pip_asks_for_them() -> None:
    page = Project(
        name=NAME,
        files=(file("demo-1.0-beta.zip"), file("demo-2.0.tar.gz", B)),
        versions=("1.0-beta", "2.0.0"),
    )
    assert list(render(page)["releases"]) == ["1.0b0", "2.0.0"]
    assert names(render(page)["releases"]["2.0.0"]) == ["demo-2.0.tar.gz"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>login</html>",
        b"[]",
        b"null",
        b'"x"',
        b"{}",
        b'{"info": {}}',
        b'{"info": [], "releases": {}}',
        b'{"info": {"name": "demo"}, "releases": []}',
        b'{"info": {"name": "other"}, "releases": {}}',
        b'{"info": {"name": "demo"}, "releases": {}',
        b"[" * 100_000,
        b'{"info":' * 100_000,
    ],
    ids=range(13),
)
def test_what_is_no_document_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        parse(body, NAME)


def test_document_that_is_too_large_is_refused() -> None:
    with pytest.raises(ValueError, match="32 MiB"):
        parse(b" " * (MAX_BODY + 1), NAME)


def test_wrong_types_are_dropped_one_by_one() -> None:
    """Case 39, for legacy JSON."""
    body = rb"""{"info": {"name": 5, "version": ["2.0"], "yanked": "no", "summary": "\ud800x", "n": NaN, "i": 99999999999999999999999},
      "last_serial": "7",
      "releases": {"1.0": [5, null, {}, {"filename": 7}, {"filename": "../x"}, {"filename": "demo-1.0.tar.gz", "size": "10",
        "digests": [], "packagetype": 3, "upload_time": {}, "has_sig": 1, "requires_python": 3}], "2.0": 7},
      "urls": "none", "deep": [[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]}"""
    made = json.loads(legacy.render(PAGE, parse(body, NAME), version=None, href=href) or b"")
    assert made["info"]["name"] == "demo"
    assert made["info"]["version"] == "2.0"
    assert made["info"]["yanked"] is False
    assert made["last_serial"] == -1
    (old,) = made["releases"]["1.0"]
    assert (old["size"], old["packagetype"], old["digests"]) == (10, "sdist", {"sha256": A})
    assert old["requires_python"] == ">=3.8"
    assert "has_sig" not in old


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["demo-1.0.tar.gz", "1.0"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "info",
                    "releases",
                    "urls",
                    "filename",
                    "digests",
                    "name",
                    "version",
                    "1.0",
                    "sha256",
                    "size",
                    "yanked",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_any_json_gives_a_document_of_the_page_or_a_clean_refusal(value: object) -> None:
    body = json.dumps(value).encode()
    try:
        document = parse(body, NAME)
    except ValueError:
        with pytest.raises(ValueError, match=r"^[^\n]+$"):
            parse(body, NAME)
        return
    made = json.loads(legacy.render(PAGE, document, version=None, href=href) or b"")
    assert sorted(f for listed in made["releases"].values() for f in names(listed)) == sorted(
        f.filename for f in PAGE.files
    )


@given(st.binary(max_size=200))
def test_any_bytes_give_a_clean_refusal(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        parse(body, NAME)


@given(projects())
def test_every_file_with_a_version_is_there_once_with_the_page_s_facts(project: Project) -> None:
    made = json.loads(legacy.render(project, None, version=None, href=lambda item: item.url) or b"")
    found = {item["filename"]: item for listed in made["releases"].values() for item in listed}
    for item in project.files:
        if item.filename in found:
            shown = found[item.filename]
            assert shown["url"] == item.url
            assert shown["digests"] == {digest.algorithm: digest.value for digest in item.hashes}
            assert shown["size"] == item.size
            assert shown["yanked"] == bool(item.yanked)
    assert {item["filename"] for item in made["urls"]} <= set(found)


@pytest.mark.parametrize(
    ("filename", "kind", "python"),
    [
        ("demo-1.0-py3-none-any.whl", "bdist_wheel", "py3"),
        ("demo-1.0-3build-cp311-cp311-manylinux_2_17_x86_64.whl", "bdist_wheel", "cp311"),
        ("demo-1.0-py2.py3-none-any.whl", "bdist_wheel", "py2.py3"),
        ("demo-1.0.tar.gz", "sdist", "source"),
        ("demo-1.0.zip", "sdist", "source"),
        ("demo-1.0.tar.Z", "sdist", "source"),
        ("demo-1.0-py3.8.egg", "bdist_egg", "3.8"),
        ("demo-1.0-py2.7-linux-x86_64.egg", "bdist_egg", "2.7"),
        ("demo-1.0.win32-py2.7.exe", "bdist_wininst", "2.7"),
        ("demo-1.0.win-amd64.exe", "bdist_wininst", None),
        ("demo-1.0.win32.msi", "bdist_msi", None),
        ("demo-1.0-1.noarch.rpm", "bdist_rpm", None),
        ("demo-1.0.dmg", "bdist_dmg", None),
        ("demo-1.0.linux-x86_64.tar.gz", "bdist_dumb", None),
        ("python3-demo_1.0_all.deb", None, None),
        ("demo-1.0.tar.gz.asc", None, None),
        ("README", None, None),
    ],
)
def test_kind_of_a_file_by_its_name(filename: str, kind: str | None, python: str | None) -> None:
    assert (packagetype(filename), python_version(filename)) == (kind, python)
