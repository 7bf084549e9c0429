"""Who may be asked for a name: a table, and what holds for every name."""

from __future__ import annotations

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypicache.rules.owners import Claim, matches, may_be_asked
from pypicache.simple.model import ProjectName

CORP, PUBLIC, LAB = Claim("corp"), Claim("root/pypi"), Claim("lab")
OWNER = Claim("corp", ("acme-*", "tool"))
TABLE = [
    # the layers, the name, who may be asked
    ((CORP, PUBLIC), "requests", ("corp", "root/pypi")),
    ((PUBLIC, CORP), "requests", ("root/pypi", "corp")),
    ((OWNER, PUBLIC), "acme-app", ("corp",)),
    ((OWNER, PUBLIC), "tool", ("corp",)),
    ((OWNER, PUBLIC), "toolbox", ("root/pypi",)),
    ((OWNER, PUBLIC), "acme", ("root/pypi",)),
    ((OWNER, PUBLIC), "not-acme-app", ("root/pypi",)),
    ((PUBLIC, OWNER), "acme-app", ("corp",)),
    ((OWNER, LAB, PUBLIC), "requests", ("lab", "root/pypi")),
    ((OWNER, Claim("lab", ("*-app",)), PUBLIC), "acme-app", ("corp",)),
    ((OWNER, Claim("lab", ("*-app",)), PUBLIC), "their-app", ("lab",)),
    ((OWNER,), "requests", ()),
    ((), "requests", ()),
]


@pytest.mark.parametrize(("layers", "name", "asked"), TABLE)
def test_who_may_be_asked(layers: tuple[Claim, ...], name: str, asked: tuple[str, ...]) -> None:
    assert may_be_asked(ProjectName(name), layers) == asked


PATTERNS = [
    ("acme-*", "acme-", True),
    ("*", "anything", True),
    ("*-acme", "x-acme", True),
    ("*-acme", "x-acme-y", False),
    ("a*c*e", "abcde", True),
    ("a*c*e", "abde", False),
    ("ab*ba", "aba", False),
    ("ab*ba", "abba", True),
    ("a*b*b", "ab", False),
    ("**", "", True),
    ("acme.x", "acme-x", False),
]


@pytest.mark.parametrize(("pattern", "name", "expected"), PATTERNS)
def test_patterns(pattern: str, name: str, expected: bool) -> None:
    assert matches(ProjectName(name), pattern) is expected


@given(st.text("ab-", max_size=8), st.text("ab-*", max_size=6))
def test_a_star_stands_for_any_text(name: str, pattern: str) -> None:
    assert matches(ProjectName(name), pattern) is fnmatch.fnmatchcase(name, pattern)


CLAIMS = st.lists(
    st.builds(
        Claim,
        st.sampled_from("pqrs"),
        st.lists(st.text("ab*", min_size=1, max_size=3), max_size=2).map(tuple),
    ),
    max_size=4,
    unique_by=lambda claim: claim.index,
)


@given(st.text("ab", min_size=1, max_size=3), CLAIMS)
def test_an_owner_is_asked_alone_and_for_its_own_names_only(name: str, layers: list[Claim]) -> None:
    asked = may_be_asked(ProjectName(name), layers)
    owning = [claim.index for claim in layers if any(matches(ProjectName(name), p) for p in claim.owns)]
    assert set(asked) <= {claim.index for claim in layers if not claim.owns} | set(owning)
    assert not owning or asked == (owning[0],)
