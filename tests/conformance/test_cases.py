"""Section 3 of the checklist: the nasty cases that belong to no one section, and the table that no item is forgotten."""

from __future__ import annotations

import ast
import http.client
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client import get
from tests.conformance.place import JSON, Place, new_name
from tests.daemon import Daemon, config_for
from tests.origin import Origin, StallAt, Status
from tests.wheels import artifact, sdist, wheel

TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("project", "filename"),
    [
        ("ruamel-yaml", "ruamel.yaml-0.17.tar.gz"),
        ("zope-interface", "zope.interface-5.0-cp311-cp311-linux_x86_64.whl"),
        ("backports-functools-lru-cache", "backports.functools_lru_cache-1.6.tar.gz"),
        ("flask-sqlalchemy", "Flask-SQLAlchemy-3.0.tar.gz"),
        ("python-dateutil", "python-dateutil-2.8.tar.gz"),
        ("foo-bar", "foo-bar-1.0-beta.zip"),
        ("x", "x-1.0-3build-py3-none-any.whl"),
        ("py-bcrypt", "py-bcrypt-0.4.win32-py2.7.exe"),
        ("distribute", "distribute-0.6.49-py2.7.egg"),
        ("pil", "PIL-1.1.7.tar.Z"),
        ("renamed", "Something_Else-1.0.tar.gz"),
        ("nothing-like-it", "a-b-c-d-e-f-g-h-i-1.0.zip"),
        ("foo", "foo_bar-1.0.tar.gz"),
    ],
)
def test_case_1_4_7_8_odd_file_names_keep_their_spelling_and_resolve(
    place: Place, tmp_path: Path, project: str, filename: str
) -> None:
    """The link is enough: also in a daemon with an empty cache, which hasn't seen the page."""
    item = artifact(project, "1.0", filename, filename.encode() * 50)
    place.origin.add(item)
    link = place.link(item)
    assert place.get(link).body == item.data
    with Daemon(tmp_path / "fresh", config_for(place.origin)) as fresh:
        assert get(fresh.url + link).body == item.data


@pytest.mark.parametrize(
    "suffix",
    [".zip", ".tar.bz2", ".tgz", ".tar.xz", ".tar.Z", ".egg", ".exe", ".msi", ".rpm", ".deb", ".dmg", ".odd"],
)
def test_case_7_legacy_files_are_listed_and_served(place: Place, suffix: str) -> None:
    """With their hash, as octets, and without a parse error; a version that can't be told is simply absent."""
    name = new_name("legacy")
    item = artifact(name, "1.0", f"{name}-no.version.here{suffix}", suffix.encode() * 99)
    place.origin.add(item)
    place.origin.project(name, versions=[])
    page = place.json(name)
    assert page["versions"] == []
    assert page["files"][0]["hashes"] == {"sha256": item.sha256}
    answer = place.get(place.link(item))
    assert (answer.body, answer.headers["content-type"]) == (item.data, "application/octet-stream")


def test_case_4_a_build_tag_is_another_file_of_the_same_version(place: Place) -> None:
    name = new_name("built")
    plain, built = wheel(name, "1.0"), wheel(name, "1.0", build="3build")
    place.origin.add(plain)
    place.origin.add(built)
    place.origin.project(name, versions=[])
    page = place.json(name)
    assert page["versions"] == ["1.0"]
    assert [file["filename"] for file in page["files"]] == [plain.filename, built.filename]


def test_case_18_d2_page_of_a_thousand_files_is_read_and_found_in(place: Place) -> None:
    """A file in the midst of many is found by its link alone."""
    name = new_name("many")
    items = [sdist(name, f"{number}.0") for number in range(3)]
    for item in items:
        place.origin.add(item)
    for item in reversed(items):
        assert place.get(place.link(item)).body == item.data


def test_case_32_a_cache_that_takes_no_writes_still_serves(origin: Origin, tmp_path: Path) -> None:
    """A full disk (here: a file-size limit) costs the cache, not the client."""
    item = wheel("unkept", "1.0", size=3 << 20)
    origin.add(item)
    config = config_for(origin, cache={"max_size": "1MiB"})
    with Daemon(tmp_path / "small", config) as running:
        page = get(f"{running.url}/simple/unkept/", {"Accept": JSON}).json()
        path = "/packages/" + page["files"][0]["url"].removeprefix("../../packages/")
        for _ in range(2):
            assert get(running.url + path).body == item.data
        assert "Traceback" not in running.log


def test_case_33_a_crash_mid_fill_publishes_nothing(origin: Origin, tmp_path: Path) -> None:
    """`kill -9` while a file arrives: after the restart it is fetched to its end, and is right."""
    item = wheel("crashed", "1.0", size=1 << 20)
    origin.add(item)
    origin.script(item.filename, StallAt(600_000))
    with Daemon(tmp_path / "daemon", config_for(origin)) as running:
        page = get(f"{running.url}/simple/crashed/", {"Accept": JSON}).json()
        path = "/packages/" + page["files"][0]["url"].removeprefix("../../packages/")
        host = running.url.removeprefix("http://")
        connection = http.client.HTTPConnection(host, timeout=20)
        connection.request("GET", path)
        connection.getresponse().read(1000)
        running.kill()
        connection.close()
        origin.release()
        assert not list(running.cache.glob(f"blobs/**/{item.sha256}"))
        running.start()
        assert get(running.url + path).body == item.data


def test_case_34_ages_are_never_negative(eager: Place, place: Place) -> None:
    """Whatever Age or Date a mirror sends; `rules.freshness` has the clock that jumps."""
    made = wheel(new_name("aged"), "1.0")
    place.origin.add(made)
    for age in ("-5", "99999999999999999999", "soon", "1e9"):
        place.origin.project(made.name, headers={"Age": age, "Date": "Thu, 01 Jan 2037 00:00:00 GMT"})
        for where in (eager, place):
            assert int(where.page(made.name).headers["age"]) >= 0


@pytest.mark.parametrize(
    "path",
    [
        "../x-1.0.tar.gz",
        "a/../../x-1.0.tar.gz",
        "a/%2e%2e/x-1.0.tar.gz",
        "%2e%2e%2fetc%2fpasswd",
        "..%5c..%5cx-1.0.tar.gz",
        "a//x-1.0.tar.gz",
        "a/x-1.0.tar.gz/",
        "a/x-1.0.tar.gz%00.whl",
        "a/%0d%0aSet-Cookie:%20a=b-1.0.tar.gz",
        "a/%ff-1.0.tar.gz",
        "a/%u0041-1.0.tar.gz",
        "./x-1.0.tar.gz",
        "a/" + "b" * 1990 + "-1.0.tar.gz",
        "-/../x-1.0.tar.gz",
    ],
)
def test_case_36_37_hostile_file_paths_are_404_and_asked_nowhere(place: Place, path: str) -> None:
    before = len(place.origin.requests)
    for prefix in ("/packages", "/root/pypi/packages"):
        for suffix in ("", ".metadata"):
            answer = place.get(f"{prefix}/{path}{suffix}")
            assert answer.status in {404, 414}
    assert len(place.origin.requests) == before


def test_case_42_two_mirrors_are_one_index_and_the_first_that_knows_answers(
    origin: Origin, tmp_path: Path
) -> None:
    """Nothing is mixed in from a mirror that wasn't asked (layers, which differ in authority, have tests of their own)."""
    with Origin(name="second") as second:
        ours, theirs = wheel("both", "1.0"), wheel("both", "2.0")
        origin.add(ours)
        second.add(theirs)
        with Daemon(tmp_path / "daemon", config_for(origin, second)) as running:
            page = get(f"{running.url}/simple/both/", {"Accept": JSON}).json()
            assert [file["filename"] for file in page["files"]] == [ours.filename]
            assert not second.requests


def test_case_41_a_mirror_that_is_busy_is_left_alone(origin: Origin, tmp_path: Path) -> None:
    """429 with Retry-After: the next mirror is asked first for that long; nobody is shown the 429."""
    with Origin(name="second") as second:
        for each in (origin, second):
            for number in range(4):
                each.add(wheel(f"busy{number}", "1.0"))
        origin.script(lambda _: True, Status(429, {"Retry-After": "30"}), repeat=True)
        with Daemon(tmp_path / "daemon", config_for(origin, second)) as running:
            for number in range(4):
                assert get(f"{running.url}/simple/busy{number}/", {"Accept": JSON}).status == 200
        assert len(origin.requests) == 1


def test_case_39_a_page_nested_beyond_reason_is_refused_and_costs_nothing(eager: Place) -> None:
    name = new_name("deep")
    deep = json.dumps({"meta": {}, "files": [], "x": 0}).replace("0", "[" * 200_000 + "]" * 200_000)
    eager.origin.project(name, form="json", body=deep.encode())
    assert eager.page(name).status in {200, 503}
    assert eager.get("/healthz").status == 200


# The table that nothing is forgotten.

SECTIONS = {"A": 13, "B": 11, "C": 12, "D": 14, "E": 5, "F": 13, "G": 8, "H": 7}
ITEMS = [f"{letter}{number}" for letter, size in SECTIONS.items() for number in range(1, size + 1)]
ITEMS += ["1b", *(f"case {number}" for number in range(1, 46))]

_RANGE = re.compile(r"\b(?:([A-H])|(case ))(\d{1,2}) to (?:\1|case )?(\d{1,2})\b", re.IGNORECASE)
_ITEM = re.compile(r"\b([A-H])(\d{1,2})\b|\b(1b)\b|\bcase((?:,?(?: and)? \d{1,2}\b)+)", re.IGNORECASE)


def named(text: str) -> Iterator[str]:
    """The items that a test's name or docstring speaks of; underscores are spaces, `a to b` is all between."""
    for letter, number, other, cases in _ITEM.findall(_RANGE.sub(_spelled, text.replace("_", " "))):
        if cases:
            yield from (f"case {each}" for each in re.findall(r"\d+", cases))
        else:
            yield other or f"{letter.upper()}{number}"


def _spelled(match: re.Match[str]) -> str:
    """A range as all that is in it."""
    letter, case, first, last = match.groups()
    numbers = range(int(first), int(last) + 1)
    return f"case {' '.join(map(str, numbers))}" if case else " ".join(f"{letter}{n}" for n in numbers)


def covered() -> set[str]:
    """The items that the tests of the whole tree speak of, in names and docstrings of tests."""
    found: set[str] = set()
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                found.update(named(node.name))
                found.update(named(ast.get_docstring(node) or ""))
    return found


def test_every_item_has_a_test() -> None:
    """Of sections 1, 1b and 3 of the checklist."""
    assert not sorted(set(ITEMS) - covered())


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("test_a1_case_3_a_name", ["A1", "case 3"]),
        ("test_case_1_4_7_8_odd", ["case 1", "case 4", "case 7", "case 8"]),
        ("test_case_1_to_4_x", ["case 1", "case 2", "case 3", "case 4"]),
        ("test_c1_to_c3_all", ["C1", "C2", "C3"]),
        ("B5 to B7, over the wire", ["B5", "B6", "B7"]),
        ("1b: it could be; G3 too. Case 45.", ["1b", "G3", "case 45"]),
        ("test_1b_links", ["1b"]),
        ("a1b2 nothing here, x1, case", []),
    ],
)
def test_items_are_found_in_names(text: str, items: list[str]) -> None:
    assert list(named(text)) == items
