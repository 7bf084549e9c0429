"""devpi's words for a change to an index, and what they come to: a table."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypicache.errors import BadRequest
from pypicache.web.devpi_keys import Change, change_of

SHOWN = {
    "type": "mirror",
    "volatile": False,
    "mirror_url": "https://a.example/",
    "mirror_cache_expiry": 600,
    "mirrors": ["https://a.example/", "https://b.example/"],
}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ([], Change()),
        ({}, Change()),
        (["mirror_url=tuna"], Change(first_mirror="tuna")),
        (["mirror_url=https://x.example/?a=b"], Change(first_mirror="https://x.example/?a=b")),
        (["mirror_url=https://a.example/"], Change()),
        ({"mirror_url": "tuna"}, Change(first_mirror="tuna")),
        (["mirror_cache_expiry=60"], Change(settings={"ttl": "60s"})),
        (["mirror_cache_expiry=10m"], Change(settings={"ttl": "10m"})),
        ({"mirror_cache_expiry": 60}, Change(settings={"ttl": "60s"})),
        (["mirror_cache_expiry-="], Change(settings={"ttl": None})),
        (
            ["mirror_web_url_fmt=https://x.example/{name}"],
            Change(settings={"web_url": "https://x.example/{name}"}),
        ),
        (["mirror_web_url_fmt="], Change(settings={"web_url": None})),
        (["mirror_web_url_fmt-="], Change(settings={"web_url": None})),
        ({**SHOWN, "projects": ["a", "b"]}, Change()),
        ({**SHOWN, "volatile": "false"}, Change()),
        ({**SHOWN, "mirror_url": "tuna"}, Change(first_mirror="tuna")),
    ],
)
def test_a_change(body: Any, expected: Change) -> None:
    found = change_of(body, SHOWN)
    assert found == expected
    assert bool(found) == (expected != Change())


@pytest.mark.parametrize(
    "body",
    [{"type": "mirror", "mirror_url": "tuna"}, ["type=mirror", "volatile=False", "mirror_url=tuna"]],
)
def test_a_new_index(body: Any) -> None:
    assert change_of(body, {}) == Change(first_mirror="tuna")


@pytest.mark.parametrize(
    "body", [{}, {"type": "mirror"}, {"type": "stage", "mirror_url": "tuna"}, {"bases": ["a"]}]
)
def test_a_new_index_needs_a_mirror(body: Any) -> None:
    with pytest.raises(BadRequest):
        change_of(body, {})


@pytest.mark.parametrize("item", ["mirror_url=tuna", "mirror_cache_expiry=5", "bases=root/pypi"])
def test_an_index_of_layers_has_no_mirrors_to_set(item: str) -> None:
    shown = {"type": "stage", "bases": ["root/corp"], "volatile": False, "acl_upload": []}
    with pytest.raises(BadRequest):
        change_of([item], shown)
    assert not change_of(["bases=root/corp"], shown)


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(json)
def test_any_body_is_a_change_or_a_bad_request(body: Any) -> None:
    try:
        change = change_of(body, SHOWN)
    except BadRequest as error:
        assert len(str(error)) < 1000  # noqa: PT017 - either will do
    else:
        assert all(value is None or value.isprintable() for value in change.settings.values())
