"""Changes to a configuration's text: what changes, and above all what doesn't."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from textwrap import dedent
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, example, given, settings

from pypicache.config.edit import DEFAULTS, IndexChange, edited
from pypicache.config.load import load
from pypicache.config.schema import Config
from pypicache.config.shipped import example_path
from pypicache.errors import BadRequest

NEW = "https://new.example/simple/"


def changed(text: str, index: str = "root/pypi", **change: object) -> str:
    return edited(text, IndexChange(index=index, **change))[0]  # type: ignore[arg-type] # as a test gives it


def difference(text: str, made: str) -> list[str]:
    """The lines that went and came."""
    lines = difflib.unified_diff(text.splitlines(), made.splitlines(), lineterm="", n=0)
    return [line for line in lines if line[:3] not in {"---", "+++"} and line[:2] != "@@"]


def read(text: str) -> Config:
    return load(Path("c.yaml"), {"HOME": "/home/me"}, data=text.encode())


BLOCK = dedent("""\
    # The first lines.
    indexes:
        root/pypi:          # the default
            # Replicas, near ones first.
            mirrors:
            - aliyun   # near
            - url:   "https://user:pw@two.example/"
              name: two        # far
              timeout: {connect: 1s,   read:  2s}

            # How old a page may be.
            ttl: 5m

        # The second one.
        corp:
            mirrors: [ 'https://corp.example/' ]
    log: {level:   info}    # the last line
    """)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            {"first_mirror": NEW},
            ["-        - aliyun   # near", f"+        - {NEW}"],
        ),
        (
            {"settings": {"ttl": "60s"}},
            ["-        ttl: 5m", "+        ttl: 60s"],
        ),
        (
            {"settings": {"web_url": "https://x.example/{name}", "offline": True}},
            ["+        offline: true", "+        web_url: https://x.example/{name}"],
        ),
        (
            {"mirrors": ["https://user:pw@two.example/", "pypi"]},
            ["-        - aliyun   # near", "+        - pypi"],
        ),
        (
            {"mirrors": ["pypi", "aliyun"]},
            [
                "+        - pypi",
                '-        - url:   "https://user:pw@two.example/"',
                "-          name: two        # far",
                "-          timeout: {connect: 1s,   read:  2s}",
            ],
        ),
        ({"mirrors": ["aliyun", "https://user:pw@two.example/"]}, []),
        ({}, []),
    ],
)
def test_only_what_was_meant_changes(change: dict[str, Any], expected: list[str]) -> None:
    made = changed(BLOCK, **change)
    assert sorted(difference(BLOCK, made)) == sorted(expected)
    assert read(made).indexes["corp"] == read(BLOCK).indexes["corp"]


def test_comments_stay_behind_a_list_that_is_replaced_whole() -> None:
    made = changed(BLOCK, mirrors=["tuna"])
    assert "        - tuna\n\n        # How old a page may be.\n        ttl: 5m\n" in made
    assert "# The second one." in made


def test_a_setting_that_is_taken_back_takes_no_comments_along() -> None:
    made = changed(BLOCK, settings={"ttl": None})
    assert difference(BLOCK, made) == ["-        ttl: 5m", "+        ttl: 10m"]
    plain = "indexes:\n  root/pypi:\n    ttl: 5m\n    mirrors: [pypi]\n"
    assert difference(plain, changed(plain, settings={"ttl": None, "auth": None})) == ["-    ttl: 5m"]


def test_what_is_taken_back_is_the_default() -> None:
    lines = "".join(f"    {key}: {json.dumps(value)}\n" for key, value in DEFAULTS.items())
    text = f"indexes:\n  root/pypi:\n{lines}    mirrors: [pypi]\n"
    assert read(text).indexes == read("mirrors: [pypi]").indexes


def test_a_new_index_comes_last_so_that_the_default_stays() -> None:
    made = changed(BLOCK, "team/new", create=True, mirrors=["pypi"])
    assert difference(BLOCK, made) == ["+    team/new:", "+        mirrors:", "+        - pypi"]
    assert read(made).default_index == "root/pypi"


def test_a_mirror_that_moves_to_another_host_takes_no_secrets_along() -> None:
    text = dedent("""\
        mirrors:
          - url: https://one.example/simple/
            name: one         # its name
            username: me
            password: hidden
            headers: {X-Key: hidden}
            connections: 2
        """)
    made = changed(text, first_mirror=NEW)
    assert "hidden" not in made
    mirror = read(made).indexes["root/pypi"].mirrors[0]
    assert (mirror.url, mirror.name, mirror.username, mirror.connections) == (NEW, "new.example", None, 2)
    same = changed(text, first_mirror="https://one.example/other/")
    assert difference(text, same) == [
        "-  - url: https://one.example/simple/",
        "+  - url: https://one.example/other/",
    ]


def test_a_mirror_that_moves_to_the_front_is_not_there_twice() -> None:
    text = "mirrors: [aliyun, tuna, pypi]\n"
    assert [m.name for m in read(changed(text, first_mirror="pypi")).indexes["root/pypi"].mirrors] == [
        "pypi",
        "tuna",
    ]


@pytest.mark.parametrize(
    ("text", "change", "expected"),
    [
        ("mirrors: [aliyun, pypi]   # c\n", {"first_mirror": "tuna"}, ["tuna", "pypi"]),
        ("mirrors: [aliyun, pypi]   # c\n", {"settings": {"ttl": "1s"}}, ["aliyun", "pypi"]),
        ("log: {}   # c\n", {"first_mirror": "tuna"}, ["tuna"]),
        ("# c\nindexes:\n", {"first_mirror": "tuna"}, ["tuna"]),
        ("# c", {"first_mirror": "tuna"}, ["tuna"]),
        ("", {"first_mirror": "tuna"}, ["tuna"]),
        ("---\n# c\nmirrors:\n- aliyun\n", {"first_mirror": "tuna"}, ["tuna"]),
        ("indexes: {root/pypi: {mirrors: [aliyun]}}  # c\n", {"first_mirror": "tuna"}, ["tuna"]),
        ("{indexes: {root/pypi: {mirrors: [aliyun]}}}  # c\n", {"settings": {"ttl": "1s"}}, ["aliyun"]),
    ],
)
def test_every_way_to_say_which_mirrors_there_are(
    text: str, change: dict[str, Any], expected: list[str]
) -> None:
    made = changed(text, **change)
    index = read(made).indexes["root/pypi"]
    assert [mirror.name for mirror in index.mirrors] == expected
    assert index.ttl == (1.0 if "settings" in change else 600.0)
    assert made.count("# c") == text.count("# c")
    assert made.startswith("---") == text.startswith("---")


def test_what_others_share_is_not_changed_for_them() -> None:
    text = dedent("""\
        indexes:
          a: {mirrors: &ours [aliyun, pypi]}
          b: {mirrors: *ours}
          c: &c
            mirrors: [tuna]
          d:
            <<: *c
            ttl: 1s
        """)
    for index in ("a", "b", "c", "d"):
        made = read(
            changed(text, index, settings={"ttl": "7s"}, **({} if index == "d" else {"first_mirror": NEW}))
        )
        before = read(text)
        assert made.indexes[index].ttl == 7
        assert {n: i for n, i in made.indexes.items() if n != index} == {
            n: i for n, i in before.indexes.items() if n != index
        }


def test_the_lines_of_another_system_stay_its_lines() -> None:
    text = BLOCK.replace("\n", "\r\n")
    made = changed(text, first_mirror=NEW)
    assert made.count("\r\n") == made.count("\n")
    assert changed(BLOCK, first_mirror=NEW) == made.replace("\r\n", "\n")


def test_the_example_keeps_every_comment() -> None:
    text = example_path().read_text()
    made = changed(text, first_mirror=NEW, settings={"ttl": "60s", "web_url": "https://x.example/{name}"})
    assert difference(text, made) == [
        "-      - url: pypi",
        f"+      - url: {NEW}",
        "-        name: pypi",
        "+        name: null",
        "-    ttl: 10m",
        "+    ttl: 60s",
        "-    web_url: null",
        "+    web_url: https://x.example/{name}",
    ]


@pytest.mark.parametrize(
    ("text", "index", "change"),
    [
        ("mirrors: [pypi]", "nope", {"first_mirror": NEW}),
        ("indexes: {a: {mirrors: [pypi]}, b: {layers: [a]}}", "b", {"first_mirror": NEW}),
        ("indexes: {a: {mirrors: pypi}}", "a", {"first_mirror": NEW}),
        ("indexes: {a: 5}", "a", {"settings": {"ttl": "1s"}}),
        ("[a]", "a", {"settings": {"ttl": "1s"}}),
        ("a: [", "a", {"settings": {"ttl": "1s"}}),
        ("a: *b", "a", {"settings": {"ttl": "1s"}}),
    ],
)
def test_what_cannot_be_changed_is_refused(text: str, index: str, change: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        changed(text, index, **change)


words = st.text(
    st.characters(categories=["L", "N", "P", "S", "Zs"], max_codepoint=0x2FFF), min_size=1, max_size=30
)


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=60)
@example(":0", "mirrors: [aliyun]\n")
@example("0?", "mirrors: [aliyun]\n")
@given(words, st.sampled_from([BLOCK, "mirrors: [aliyun]\n", "mirrors:\n- aliyun\n"]))
def test_any_text_stays_one_value(word: str, text: str) -> None:
    """No value can become more than a value: not a key, not a comment, not another mirror."""
    import yaml  # noqa: PLC0415 - only this test reads it without meaning

    made = changed(text, first_mirror=word)
    data = yaml.safe_load(made)
    mirrors = data["mirrors"] if "mirrors" in data else data["indexes"]["root/pypi"]["mirrors"]
    before = yaml.safe_load(text)
    old = before["mirrors"] if "mirrors" in before else before["indexes"]["root/pypi"]["mirrors"]
    assert mirrors[1:] == old[1:]
    # YAML 1.1 takes some words for something else: `check` refuses those, and nobody else is touched.
    assert mirrors[0] == word or not isinstance(mirrors[0], str)
