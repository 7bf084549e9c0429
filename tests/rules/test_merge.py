"""What a held page becomes when a mirror answers: every row of the tables in `rules.merge`."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypicache.rules import merge as rules
from pypicache.rules.absence import Absence, weigh
from pypicache.rules.merge import Authority, Merged, merge, open_questions, same_bytes, settle
from pypicache.simple.model import Digest, File, Project, ProjectName, Withdrawal, dump

NAME = ProjectName("demo")
ABC = Authority(("a", "b", "c"))
X, Y = "11" * 32, "22" * 32
ONE, TWO = "demo-1.tar.gz", "demo-2.tar.gz"


def file(version: str = "1", digest: str | None = X, at: str = "a", **facts: Any) -> File:
    hashes = () if digest is None else (Digest("sha256", digest),)
    name = f"demo-{version}.tar.gz"
    return File(filename=name, url=f"https://{at}.example.org/{name}", hashes=hashes, **facts)


def page(*files: File, **facts: Any) -> Project:
    return Project(name=NAME, files=files, **facts)


def owners(merged: Merged) -> dict[str, str]:
    return {f.filename: f.origin or merged.home for f in merged.project.files}


# The name of the case, the held file and its owner, what the new page has of it and whose it is: then whether the
# file stays and whose digest, mark and ownership it has, and whether there is a question.
OLD, YANKED = file(size=1), file(yanked="broken")
FATES = [
    ("owner lists it", file(), "a", file(yanked="why"), "a", (X, "why", "a"), False),
    ("owner takes the mark back", YANKED, "a", file(), "a", (X, False, "a"), False),
    ("owner has other bytes", file(), "a", file(digest=Y), "a", (Y, False, "a"), False),
    ("owner lists it no more", file(), "a", None, "a", None, False),
    ("preferred one lists it", file(), "b", file(yanked=True), "a", (X, True, "a"), False),
    ("preferred one without the mark", YANKED, "b", file(), "a", (X, False, "a"), False),
    ("preferred one has other bytes", file(), "b", file(digest=Y), "a", (X, False, "b"), True),
    ("preferred one lacks it", file(), "b", None, "a", (X, False, "b"), True),
    ("lesser one lists it", file(), "a", file(), "b", (X, False, "a"), False),
    ("lesser one lacks the mark", YANKED, "a", file(), "b", (X, "broken", "a"), False),
    ("lesser one has a mark", file(), "a", YANKED, "b", (X, "broken", "a"), False),
    ("lesser one has another reason", YANKED, "a", file(yanked="no"), "b", (X, "broken", "a"), False),
    ("lesser one has other bytes", file(), "a", file(digest=Y), "b", (X, False, "a"), False),
    ("lesser one lacks it", file(), "a", None, "b", (X, False, "a"), True),
    ("owner has left, it is listed", file(), "gone", file(yanked=True), "b", (X, True, "b"), False),
    ("owner has left, it isn't listed", file(), "gone", None, "b", None, False),
]


@pytest.mark.parametrize(
    ("held", "owner", "new", "origin", "expected", "asked"),
    [row[1:] for row in FATES],
    ids=[r[0] for r in FATES],
)
@pytest.mark.parametrize("home", ["a", "b", "c"])
def test_promise_5_what_becomes_of_a_file(
    held: File,
    owner: str,
    new: File | None,
    origin: str,
    expected: tuple[str, bool | str, str] | None,
    asked: bool,
    home: str,
) -> None:
    """Whoever's page the file is on, its owner's word counts for it."""
    before = page(msgspec.structs.replace(held, origin="" if owner == home else owner))
    merged = merge(before, home, page(*([new] if new else [])), origin, ABC)
    found = merged.project.file(ONE)
    assert expected == (found and (found.sha256, found.yanked, owners(merged)[ONE]))
    assert [q.owner for q in merged.questions] == ([owner] if asked else [])


@pytest.mark.parametrize(
    ("home", "origin", "expected"),
    [("a", "a", "a"), ("a", "b", "a"), ("b", "a", "a"), ("b", "c", "b"), ("gone", "c", "c")],
)
def test_whose_page_it_is(home: str, origin: str, expected: str) -> None:
    """The facts of the whole page are those of the most preferred mirror that listed it."""
    held, new = page(file(), status="archived", versions=("1",)), page(file("2"), status="deprecated")
    merged = merge(held, home, new, origin, ABC)
    assert merged.home == expected
    assert merged.project.status == ("deprecated" if expected == origin else "archived")


def test_a_mirror_that_has_lapsed_no_longer_speaks_for_the_page() -> None:
    lapsed = Authority(ABC.order, frozenset({"a"}))
    merged = merge(page(YANKED, file("2")), "a", page(file()), "b", lapsed)
    assert merged.home == "b"
    assert owners(merged) == {ONE: "b", TWO: "a"}
    assert not merged.project.files[0].yanked
    settled = settle(merged, {}, heard=1, lapsed=lapsed.lapsed)
    assert owners(settled) == {ONE: "b"}
    assert not settled.project.withdrawn


@pytest.mark.parametrize(
    ("held", "new", "origin", "expected"),
    [
        ("quarantined", None, "b", "quarantined"),
        (None, "quarantined", "b", "quarantined"),
        ("quarantined", None, "a", None),
        ("archived", "deprecated", "b", "archived"),
    ],
)
def test_case_27_a_quarantine_shows_from_any_mirror_and_is_lifted_by_the_home(
    held: str | None, new: str | None, origin: str, expected: str | None
) -> None:
    merged = merge(page(file(), status=held), "a", page(file(), status=new, status_reason="new"), origin, ABC)
    assert merged.project.status == expected
    assert merged.project.status_reason == ("new" if expected == new else None)


def test_case_42_mirrors_may_add_files_and_versions() -> None:
    """Replicas of one index are merged; different indexes (layers) never are."""
    held = page(file("1"), versions=("1",), api_version=(1, 1))
    merged = merge(held, "a", page(file("1"), file("2"), versions=("1", "2")), "b", ABC)
    assert owners(merged) == {ONE: "a", TWO: "b"}
    assert merged.project.versions == ("1", "2")
    assert merged.project.api_version == (1, 1)


def test_versions_follow_the_files_that_stay() -> None:
    held = page(file("1"), msgspec.structs.replace(file("2"), origin="b"), versions=("1", "2"))
    merged = merge(held, "a", page(file("1"), versions=("1",)), "a", ABC)
    assert merged.project.versions == ("1", "2")
    assert settle(merged, {"b": page()}, heard=2).project.versions == ("1",)


def test_what_its_owner_withdrew_does_not_come_back_from_a_mirror_that_lags() -> None:
    removed = merge(page(file("1"), file("2")), "a", page(file("1")), "a", ABC).project
    assert removed.withdrawn == (Withdrawal(TWO, "a"),)
    lagging = merge(removed, "a", page(file("1"), file("2")), "b", ABC).project
    assert lagging == removed
    back = merge(lagging, "a", page(file("1"), file("2")), "a", ABC).project
    assert dump(back) == dump(page(file("1"), file("2")))


def test_a_preferred_mirror_may_bring_back_what_another_withdrew() -> None:
    held = page(withdrawn=(Withdrawal(ONE, "b"), Withdrawal(TWO, "left")))
    merged = merge(held, "b", page(file("1"), file("2")), "a", ABC)
    assert owners(merged) == {ONE: "a", TWO: "a"}
    assert not merged.project.withdrawn


def test_a_page_remembers_a_bounded_number_of_withdrawn_files() -> None:
    many = [file(str(number)) for number in range(rules.MAX_WITHDRAWN + 10)]
    merged = merge(page(*many), "a", page(), "a", ABC)
    assert len(merged.project.withdrawn) == rules.MAX_WITHDRAWN
    assert merged.project.withdrawn[-1].filename == many[-1].filename


# The case, the further pages, how many have answered, and whether the file stays, and if not, whether for good.
QUESTIONS = [
    ("the owner lists it", {"b": page(file())}, 2, "b", None),
    ("the owner doesn't", {"b": page()}, 2, None, "b"),
    ("the owner doesn't, another does", {"b": page(), "c": page(file())}, 3, None, "b"),
    ("another lists it", {"c": page(file())}, 2, "b", None),
    ("another lacks it too", {"c": page()}, 2, None, None),
    ("another denies the project", {}, 2, None, None),
    ("nobody else answers", {}, 1, "b", None),
]


@pytest.mark.parametrize(
    ("said", "heard", "owner", "withdrawn"), [row[1:] for row in QUESTIONS], ids=[r[0] for r in QUESTIONS]
)
def test_promise_5_whether_a_file_stays_that_the_answer_lacks(
    said: dict[str, Project], heard: int, owner: str | None, withdrawn: str | None
) -> None:
    """It goes if its owner says so, or every mirror that answers; one lagging replica isn't enough."""
    merged = merge(page(msgspec.structs.replace(file(), origin="b")), "a", page(), "a", ABC)
    settled = settle(merged, said, heard=heard)
    assert owners(settled) == ({ONE: owner} if owner else {})
    assert settled.project.withdrawn == ((Withdrawal(ONE, withdrawn),) if withdrawn else ())
    assert [q.owner for q in settled.questions] == ([owner] if owner else [])


def test_the_owners_facts_come_with_its_word() -> None:
    merged = merge(page(msgspec.structs.replace(file(), origin="b")), "a", page(), "a", ABC)
    (settled,) = settle(merged, {"b": page(file(digest=Y, yanked=True))}, heard=2).project.files
    assert (settled.sha256, settled.yanked, settled.origin) == (Y, True, "b")


def test_an_unchanged_page_leaves_the_owner_to_decide() -> None:
    """A 304 says nothing of files that other mirrors listed."""
    held = page(file("1"), *(msgspec.structs.replace(file(v), origin="b") for v in ("2", "3")))
    merged = open_questions(held, "a", ("b",))
    assert [q.filename for q in merged.questions] == [TWO, "demo-3.tar.gz"]
    assert owners(settle(merged, {"b": page(file("2"))}, heard=1)) == {ONE: "a", TWO: "b"}
    assert settle(merged, {}, heard=1).project == held


DISPUTES = [
    ("the same mirror changes its mind: followed", "a", "a", {}, Y, [(True, "a")]),
    ("a lesser mirror disagrees: not followed", "a", "b", {}, X, [(False, "b")]),
    ("a preferred mirror disagrees: not followed", "b", "a", {}, X, [(False, "a")]),
    ("… the owner insists", "b", "a", {"b": page(file())}, X, [(False, "a")]),
    ("… the owner agrees with it", "b", "a", {"b": page(file(digest=Y))}, Y, [(True, "a")]),
    ("… the owner has withdrawn it", "b", "a", {"b": page()}, Y, [(True, "a")]),
    (
        "… the owner comes up with a third",
        "b",
        "a",
        {"b": page(file(digest="33" * 32))},
        "33" * 32,
        [(True, "b")],
    ),
    ("… nobody lists it elsewhere", "b", "a", {"c": page()}, X, [(False, "a")]),
]


@pytest.mark.parametrize(
    ("owner", "origin", "said", "expected", "told"),
    [row[1:] for row in DISPUTES],
    ids=[r[0] for r in DISPUTES],
)
def test_u20_case_20_other_bytes_under_the_same_name(
    owner: str, origin: str, said: dict[str, Project], expected: str, told: list[tuple[bool, str]]
) -> None:
    """The bytes that were listed first stand until the mirror that listed them says otherwise; a change is told."""
    merged = merge(page(file()), owner, page(file(digest=Y)), origin, ABC)
    settled = settle(merged, said, heard=1 + len(said))
    assert expected == settled.project.files[0].sha256
    assert [(d.followed, d.origin) for d in settled.disputes] == told


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (file(), file(), True),
        (file(), file(digest=Y), False),
        (file(), file(digest=None), True),
        (file(digest=None, size=1), file(digest=None, size=2), False),
        (file(digest=None, size=1), file(digest=None), True),
        (file(size=1), file(size=2), True),
    ],
)
def test_whether_two_listings_mean_the_same_bytes(one: File, other: File, expected: bool) -> None:
    assert same_bytes(one, other) is same_bytes(other, one) is expected


def test_a_dispute_names_the_bytes_as_well_as_it_can() -> None:
    merged = merge(page(file(digest=None, size=1)), "a", page(file(digest=None, size=2)), "a", ABC)
    (dispute,) = merged.disputes
    assert (dispute.held, dispute.got) == ("1 bytes", "2 bytes")


def test_case_38_the_first_of_two_files_of_one_name_counts() -> None:
    merged = merge(page(file(), file(digest=Y)), "a", page(file(), file(digest=Y)), "b", ABC)
    assert merged.project.files == (file(),)


@pytest.mark.parametrize(
    ("said", "lister", "authority", "expected"),
    [
        (("a", "b"), "c", ABC, Absence.GONE),
        (("a",), "a", ABC, Absence.GONE),
        (("b",), "a", ABC, Absence.DISREGARD),
        (("b",), "gone", ABC, Absence.REPEAT),
        (("b",), "a", Authority(ABC.order, frozenset({"a"})), Absence.REPEAT),
        (("a",), "a", Authority(("a",)), Absence.REPEAT),
        ((), "a", ABC, Absence.REPEAT),
    ],
)
def test_promise_5_case_26_what_a_404_for_a_held_project_is_worth(
    said: tuple[str, ...], lister: str, authority: Authority, expected: Absence
) -> None:
    assert weigh(said, lister, authority) is expected


MIRRORS = st.sampled_from("abc")
FILES = st.builds(
    file,
    st.sampled_from("12345"),
    digest=st.sampled_from([X, X, X, Y, None]),
    yanked=st.sampled_from([False, False, True, "why"]),
)
PAGES = st.lists(FILES, max_size=5, unique_by=lambda f: f.filename).map(lambda files: page(*files))
ROUNDS = st.lists(st.tuples(MIRRORS, PAGES), min_size=1, max_size=6)


@given(ROUNDS)
def test_of_several_rounds_nothing_is_lost_and_nothing_invented(rounds: list[tuple[str, Project]]) -> None:
    """Every file is as its owner listed it last, yanked perhaps; what is missing was never listed, or withdrawn."""
    (home, held), *rest = rounds
    last = {home: held}
    for origin, new in rest:
        merged = merge(held, home, new, origin, ABC)
        held, home, last[origin] = merged.project, merged.home, new
        assert len({f.filename for f in held.files}) == len(held.files)
        assert not {f.filename for f in held.files} & {w.filename for w in held.withdrawn}
        for each in held.files:
            owner = each.origin or home
            listed = last[owner].file(each.filename)
            assert listed is not None
            assert listed.hashes == each.hashes
            assert each.yanked or not listed.yanked
        missing = {f.filename for f in new.files} - {f.filename for f in held.files}
        assert missing <= {w.filename for w in held.withdrawn}


@given(PAGES, PAGES)
def test_with_one_mirror_the_page_is_the_mirrors(held: Project, new: Project) -> None:
    merged = merge(held, "a", new, "a", Authority(("a",)))
    assert dump(merged.project) == dump(new)
    assert not merged.questions


@given(PAGES)
def test_the_same_page_again_changes_nothing(held: Project) -> None:
    for origin in ABC.order:
        merged = merge(held, "b", held, origin, ABC)
        assert dump(merged.project) == dump(held)
        assert not merged.questions
        assert not merged.disputes
