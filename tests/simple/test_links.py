from __future__ import annotations

import time

import pytest

from pypicache.simple.links import MAX_PATH, decode_path, packages_path, relative_href, same_path
from pypicache.simple.model import Digest, ProjectName

FOO = ProjectName("foo")
WHEEL = "foo-1.0-py3-none-any.whl"


@pytest.mark.parametrize(
    ("url", "filename", "expected"),
    [
        # the origin's own path, verbatim
        (f"https://files.example.org/packages/aa/bb/cc/{WHEEL}", WHEEL, f"aa/bb/cc/{WHEEL}"),
        (f"https://x.example/a/packages/b/packages/{WHEEL}", WHEEL, f"b/packages/{WHEEL}"),
        (f"https://files.example.org/packages/{WHEEL}", WHEEL, WHEEL),
        (f"https://files.example.org/packages/a~b/c'd(e)/{WHEEL}", WHEEL, f"a~b/c'd(e)/{WHEEL}"),
        (f"https://files.example.org/packages/a%20b/{WHEEL}", WHEEL, f"a%20b/{WHEEL}"),
        (
            "https://files.example.org/packages/a/foo-1%2Bcpu.zip",
            "foo-1+cpu.zip",
            "a/foo-1%2Bcpu.zip",
        ),
        ("https://files.example.org/packages/a/foo-1+cpu.zip", "foo-1+cpu.zip", "a/foo-1+cpu.zip"),
        # no such segment
        (f"https://files.example.org/pkgs/{WHEEL}", WHEEL, f"-/foo/{WHEEL}"),
        (f"https://files.example.org/mypackages/{WHEEL}", WHEEL, f"-/foo/{WHEEL}"),
        (f"https://packages/{WHEEL}", WHEEL, f"-/foo/{WHEEL}"),
        ("https://files.example.org", WHEEL, f"-/foo/{WHEEL}"),
        ("https://files.example.org/x/foo", "foo-1!2+c.zip", "-/foo/foo-1%212%2Bc.zip"),
        ("https://files.example.org/x/foo", "föö bar~.zip", "-/foo/f%C3%B6%C3%B6%20bar~.zip"),
        # the name isn't the last segment
        ("https://files.example.org/packages/download/17", WHEEL, f"-/foo/{WHEEL}"),
        ("https://files.example.org/packages/a/other.whl", WHEEL, f"-/foo/{WHEEL}"),
        # a query is part of what names the file there
        (f"https://files.example.org/packages/a/{WHEEL}?sig=1", WHEEL, f"-/foo/{WHEEL}"),
        # unsafe to repeat
        (f"https://files.example.org/packages/a//{WHEEL}", WHEEL, f"-/foo/{WHEEL}"),
        (f"https://files.example.org/packages/../{WHEEL}", WHEEL, f"-/foo/{WHEEL}"),
        (f"https://files.example.org/packages/./{WHEEL}", WHEEL, f"-/foo/{WHEEL}"),
        (f"https://files.example.org/packages/%2e%2E/{WHEEL}", WHEEL, f"-/foo/{WHEEL}"),
        (f"https://files.example.org/packages/%2e/{WHEEL}", WHEEL, f"-/foo/{WHEEL}"),
        (f"https://files.example.org/packages/a%2Fb/{WHEEL}", WHEEL, f"-/foo/{WHEEL}"),
        (f"https://files.example.org/packages/a%5cb/{WHEEL}", WHEEL, f"-/foo/{WHEEL}"),
        (f"https://files.example.org/packages/a%00/{WHEEL}", WHEEL, f"-/foo/{WHEEL}"),
        (f"https://files.example.org/packages/a%zz/{WHEEL}", WHEEL, f"-/foo/{WHEEL}"),
        (f'https://files.example.org/packages/"><script>/{WHEEL}', WHEEL, f"-/foo/{WHEEL}"),
        (f"https://files.example.org/packages/{'a' * MAX_PATH}/{WHEEL}", WHEEL, f"-/foo/{WHEEL}"),
        # our own directory name at an origin
        (f"https://files.example.org/packages/-/bar/{WHEEL}", WHEEL, f"-/foo/{WHEEL}"),
        (f"https://files.example.org/packages/%2D/bar/{WHEEL}", WHEEL, f"-/foo/{WHEEL}"),
    ],
)
def test_where_a_file_stands(url: str, filename: str, expected: str) -> None:
    """Contract section 3: by the origin's path, or by project and name where that can't be repeated."""
    path = packages_path(FOO, url, filename)
    assert expected == path
    segments = decode_path(path)
    assert segments is not None
    assert segments[-1] == filename


def test_a12_links_are_relative_to_the_project_s_page() -> None:
    assert relative_href("aa/x.whl") == "../../packages/aa/x.whl"
    assert relative_href("aa/x.whl", Digest("sha256", "00")) == "../../packages/aa/x.whl#sha256=00"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("a/b/foo.whl", ("a", "b", "foo.whl")),
        ("a/foo-1+cpu.whl", ("a", "foo-1+cpu.whl")),
        ("a/foo-1%2Bcpu.whl", ("a", "foo-1+cpu.whl")),
        ("a/foo-1%2bcpu.whl", ("a", "foo-1+cpu.whl")),
        ("foo-1%212.zip", ("foo-1!2.zip",)),
        ("f%C3%B6.zip", ("fö.zip",)),
        ("...", ("...",)),
        ("%252e%252e/x", ("%2e%2e", "x")),
        ("a" * MAX_PATH, ("a" * MAX_PATH,)),
    ],
)
def test_a10_paths_are_decoded_once(raw: str, expected: tuple[str, ...]) -> None:
    assert expected == decode_path(raw)


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "/a",
        "a/",
        "a//b",
        "../a",
        "a/../b",
        "a/./b",
        "a/..",
        "%2e%2e/a",
        ".%2E/a",
        "%2e/a",
        "%2e%2e%2fetc",
        "a%2Fb",
        "a%5Cb",
        "a\\b",
        "a%00b",
        "a%0d%0aSet-Cookie:x",
        "a\x00b",
        "a%7fb",
        "a%C2%85b",
        "a%",
        "a%2",
        "a%zz",
        "a%+1",
        "a%FFb",
        "a%ED%A0%80b",
        "a\ud800b",
        "a" * (MAX_PATH + 1),
    ],
)
def test_a5_a10_case_36_37_paths_that_are_refused(raw: str) -> None:
    assert decode_path(raw) is None


def test_case_5_and_6_a_plus_and_an_epoch_name_one_file_however_they_are_quoted() -> None:
    assert same_path("a/foo-1%2Bc.whl", "a/foo-1+c.whl")
    assert same_path("a/foo-1!2.zip", "a/foo-1%212.zip")
    assert same_path("a/f%c3%b6", "a/f%C3%B6")
    assert not same_path("a/foo-1+c.whl", "a/foo-1%20c.whl")
    assert not same_path("a/b", "a/B")
    assert not same_path("..", "..")


def test_a_hostile_path_costs_nothing() -> None:
    start = time.process_time()
    for raw in ("%" * 10**6, "/" * 10**6, "a/" * 999, "%41" * 666):
        decode_path(raw)
        packages_path(FOO, f"https://x.example/packages/{raw}", WHEEL)
    assert time.process_time() - start < 0.5
