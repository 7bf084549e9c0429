from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypicache.locks.places import (
    Origin,
    Unmapped,
    file_to_cache,
    file_to_origin,
    files_prefix,
    here,
    page_to_cache,
    page_to_origin,
)
from pypicache.simple.model import ProjectName

CACHE = here(["http://127.0.0.1:3141/simple/", "http://127.0.0.1:3141/root/pypi/simple/"])
ORIGIN = Origin("https://index.example/simple/", "https://files.example/packages/")
DEMO = ProjectName("demo")


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("http://127.0.0.1:3141/simple", "https://index.example/simple"),
        ("http://127.0.0.1:3141/simple/", "https://index.example/simple/"),
        ("http://127.0.0.1:3141/root/pypi/+simple/", "https://index.example/simple/"),
        ("http://127.0.0.1:3141/simple/demo/", "https://index.example/simple/demo/"),
    ],
)
def test_a_slash_at_the_end_stays_as_it_is(ours: str, theirs: str) -> None:
    assert CACHE.has(ours)
    assert page_to_origin(ours, CACHE, ORIGIN) == theirs
    assert page_to_cache(theirs, CACHE, ORIGIN) == CACHE.pages[0] + theirs.removeprefix(
        "https://index.example/simple"
    )


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:3141/simpler/",
        "http://127.0.0.1:31415/simple/",
        "https://127.0.0.1:3141/simple/",
        "http://127.0.0.1:3141/corp/packages/ab/demo-1.0.tar.gz",
        "https://files.example/packages/ab/demo-1.0.tar.gz",
        "git+http://127.0.0.1:3141/simple/",
    ],
)
def test_what_only_looks_like_this_index_is_not_this_index(url: str) -> None:
    assert not CACHE.has(url)


SEGMENT = st.text(st.sampled_from("abc012%2B+!~._-"), min_size=1, max_size=8).filter(
    lambda text: text not in {".", "..", "-"}
)


@given(st.lists(SEGMENT, max_size=4), st.sampled_from(["", "#sha256=00ff"]))
def test_a_file_comes_back_to_the_same_address(directories: list[str], fragment: str) -> None:
    """By prefix alone: whatever the path is, it is kept byte for byte."""
    theirs = "/".join(["https://files.example/packages", *directories, "demo-1.0.tar.gz"]) + fragment
    ours = file_to_cache(theirs, CACHE, ORIGIN, project=DEMO, its=False)
    assert ours is not None
    assert CACHE.has(ours)
    assert file_to_origin(ours, CACHE, ORIGIN) == theirs


def test_files_of_an_origin_without_packages_are_found_by_name() -> None:
    theirs = "https://index.example/whl/cu121/demo-1.0%2Bcu121-py3-none-any.whl"
    origin = Origin("https://index.example/whl", None, {"demo-1.0+cu121-py3-none-any.whl": theirs})
    ours = file_to_cache(theirs + "#sha256=00", CACHE, origin, project=DEMO, its=True)
    assert ours == "http://127.0.0.1:3141/packages/-/demo/demo-1.0%2Bcu121-py3-none-any.whl#sha256=00"
    assert file_to_origin(ours, CACHE, origin) == theirs + "#sha256=00"
    with pytest.raises(Unmapped, match=r"no page of https://index.example/whl says where demo-1\.1"):
        file_to_origin("http://127.0.0.1:3141/packages/-/demo/demo-1.1.whl", CACHE, origin)


def test_a_file_of_another_index_stays_where_it_is() -> None:
    url = "https://elsewhere.example/packages/ab/demo-1.0.tar.gz"
    assert file_to_cache(url, CACHE, ORIGIN, project=DEMO, its=False) is None
    assert file_to_cache("git+ssh://host.example/demo", CACHE, ORIGIN, project=DEMO, its=True) is None


def test_without_the_prefix_a_page_that_lists_the_file_is_enough() -> None:
    url = "https://files.example/packages/ab/demo-1.0.tar.gz"
    origin = Origin("https://index.example/simple/", None, {"demo-1.0.tar.gz": url})
    ours = "http://127.0.0.1:3141/packages/ab/demo-1.0.tar.gz"
    assert file_to_origin(ours, CACHE, origin) == url
    assert file_to_cache(url, CACHE, origin, project=DEMO, its=False) == ours
    with pytest.raises(Unmapped, match="--files"):
        file_to_origin(ours, CACHE, Origin("https://index.example/simple/"))


@pytest.mark.parametrize(
    ("urls", "prefix"),
    [
        (
            ["https://f.example/packages/a/x", "https://f.example/packages/packages/y"],
            "https://f.example/packages/",
        ),
        (["https://f.example/p/packages/a/x"], "https://f.example/p/packages/"),
        (["https://f.example/packages/x", "https://g.example/packages/x"], None),
        (["https://packages/x", "https://f.example/packages/x?token=1"], None),
        ([], None),
    ],
)
def test_the_prefix_of_an_index_s_files_is_what_all_begin_with(urls: list[str], prefix: str | None) -> None:
    assert files_prefix(urls) == prefix


@pytest.mark.parametrize("address", ["http://h.example/", "/simple/", "", "http://h.example/pypi/web/"])
def test_an_address_that_is_no_index_of_this_cache_is_refused(address: str) -> None:
    with pytest.raises(Unmapped, match="isn't an index of this cache"):
        here([address])
