from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypicache.locks.rewrite import Package, Unreadable, rewrite
from pypicache.simple.model import ProjectName

SEEN = """\
version = 1
# url = "http://here/in-a-comment"
[[package]]
name = "App"
source = { virtual = "." }
[package.metadata]
requires-dist = [{ name = "demo", index = "http://here/simple" }]

[[package]]
name = "demo"  # http://here/simple
description = 'see url = "http://here/text"'
source = {registry = "http://here/simple/"}
sdist = { url = "http://here/packages/demo-1.tar.gz", hash = "sha256:00", size = 3 }
wheels = [
    { url = "http://here/packages/demo-1-py3-none-any.whl", hash = "sha256:01" },
]

[[package]]
name = "poetic"
[package.source]
type = "legacy"
url = "http://here/simple"
reference = "http://here/simple"

[tool.other]
url = "http://here/simple"
"""


def swap(url: str, package: Package) -> str:
    return url.replace("http://here/", "https://there.example/", 1)


def test_links_are_exchanged_and_all_else_stays() -> None:
    text, count = rewrite(SEEN, "uv.lock", swap)
    changed = [(a, b) for a, b in zip(SEEN.splitlines(), text.splitlines(), strict=True) if a != b]
    assert count == len(changed) == 6
    assert all(b == a.replace("http://here/", "https://there.example/", 1) for a, b in changed)
    assert rewrite(text, "uv.lock", swap) == (text, 0)


def test_line_ends_and_quotes_stay() -> None:
    text = SEEN.replace("\n", "\r\n").replace('"http://here/simple/"', "'http://here/simple/'")
    text = (
        text.replace("'see", '"see')
        .replace("text\"'", 'text\\""')
        .replace('url = "http://here/t', 'url = \\"http://here/t')
    )
    done, _ = rewrite(text, "uv.lock", swap)
    assert done.count("\r\n") == text.count("\r\n")
    assert "'https://there.example/simple/'" in done
    assert '\\"http://here/text\\"' in done


def test_a_link_knows_its_package_and_the_index_that_it_is_from() -> None:
    seen: dict[str, Package] = {}

    def note(url: str, package: Package) -> str:
        seen[url] = package
        return url

    rewrite(SEEN.replace('url = "http://here/simple"\n', 'url = "http://here/tail"\n'), "uv.lock", note)
    demo = Package(ProjectName("demo"), "http://here/simple/")
    assert seen["http://here/packages/demo-1.tar.gz"] == demo
    assert seen["http://here/packages/demo-1-py3-none-any.whl"] == demo
    assert seen["http://here/simple"] == Package(ProjectName("app"))
    assert seen["http://here/tail"] == Package()


def test_a_link_in_a_form_that_cannot_be_found_in_the_text_is_refused() -> None:
    """Nothing is changed half: TOML has more ways to write a text than any lock file uses."""
    for link in ('"http:\\u002F/here/simple"', '"""http://here/simple"""'):
        with pytest.raises(Unreadable, match="can't be rewritten safely"):
            rewrite(f'[[package]]\nname = "demo"\nsource = {{registry = {link}}}\n', "uv.lock", swap)


def test_texts_that_only_quote_a_link_stay() -> None:
    tail = """note = '''\nurl = "http://here/simple"\n[[package]]\n'''\n"""
    text, count = rewrite(SEEN + tail, "uv.lock", swap)
    assert count == 6
    assert text.endswith(tail)


def test_a_file_with_the_marks_of_a_merge_conflict_is_refused() -> None:
    with pytest.raises(Unreadable, match=r"uv\.lock isn't TOML"):
        rewrite(f"<<<<<<< ours\n{SEEN}", "uv.lock", swap)


@pytest.mark.parametrize(
    ("line", "changed"),
    [
        ("--index-url http://here/simple/", True),
        ("--index-url=http://here/simple/\\", True),
        ("-i http://here/simple/ # http://here/simple/", True),
        ("  --extra-index-url   http://here/simple/", True),
        ("demo @ http://here/packages/demo-1.tar.gz#sha256=00 ; python_version > '3'", True),
        ("demo[x,y]@http://here/packages/demo-1.tar.gz", True),
        ("http://here/packages/demo-1.tar.gz", True),
        ("# --index-url http://here/simple/", False),
        ("demo==1.0 --hash=sha256:00  # from http://here/simple/", False),
        ("--index-urls http://here/simple/", False),
        ("demo==1.0  --config-settings=url=http://here/", False),
        ("", False),
    ],
)
def test_requirements_files(line: str, *, changed: bool) -> None:
    """A requirements file's links are in options and direct references; comments stay."""
    text = f"flask==1\n{line}\r\nlast==1"
    done, count = rewrite(text, "requirements.txt", swap)
    assert count == changed
    assert done == (text.replace("http://here/", "https://there.example/", 1) if changed else text)


def test_standard_input_without_a_name_is_known_by_what_is_in_it() -> None:
    assert rewrite(SEEN, "-", swap)[1] == 6
    assert rewrite("-i http://here/simple\n", "-", swap)[1] == 1
    assert rewrite("", "-", swap) == ("", 0)


TEXTS = st.text(st.sampled_from("abc:/[]{}=\"'\\,.# \n"), max_size=40)


@given(st.lists(st.tuples(st.sampled_from(["url", "name", "index", "note"]), TEXTS), max_size=6))
def test_what_comes_out_is_what_was_wanted_or_nothing(pairs: list[tuple[str, str]]) -> None:
    """Whatever the file holds: its values are changed as asked and no other way, or it is refused."""
    values = dict(pairs)
    text = "[[package]]\n" + "".join(f"{key} = {_basic(value)}\n" for key, value in values.items())
    try:
        done, _ = rewrite(text, "uv.lock", lambda url, _: f"x{url}")
    except Unreadable:
        return
    wanted = {key: f"x{value}" if key in {"url", "index"} else value for key, value in values.items()}
    assert tomllib.loads(done) == {"package": [wanted]}


def _basic(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
