from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pypicache.config.document import MAX_BYTES
from pypicache.config.load import load
from pypicache.errors import ConfigError

ProblemsOf = Callable[..., list[str]]

NOT_YAML: list[tuple[str | bytes, str]] = [
    ("server: {", "1:10: not YAML: while parsing a flow node; expected the node content, but found '<stream end>'"),
    ("log:\n\tlevel: info", "2:1: not YAML: a tab can't stand here: indent with spaces"),
    ("a: b: c", "1:5: not YAML: mapping values are not allowed here"),
    ("log: {level: *secret}", "1:14: not YAML: an alias without its anchor; text that begins with * must be quoted"),
    ("a: &secret 1\nb: &secret 2", "2:4: not YAML: found duplicate anchor …; first occurrence; second occurrence"),
    ("a: 1\n---\nb: 2", "2:1: not YAML: expected a single document in the stream; but found another document"),
    ("a: \x07", "1:4: the character U+0007 can't be here"),
    ("log:\n  level: \x00", "2:10: the character U+0000 can't be here"),
    ('log: {file: "\\UFFFFFFFF"}', "1:16: not YAML: an escape or number that can't be"),
    (b"# caf\xc3\xa9\nlog: \xc3\xa9\xff", "2:7: byte 0xff isn't UTF-8"),
    ("log: {}\n".encode("utf-16"), "1:1: byte 0xff isn't UTF-8"),
    ("[" * 33 + "]" * 33, "1:33: not YAML: nested deeper than 32 levels"),
    ("&a [*a]", "1:5: not YAML: an alias can't stand within what it stands for"),
    ("a: &a {b: *a}", "1:11: not YAML: an alias can't stand within what it stands for"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), NOT_YAML, ids=[expected for _, expected in NOT_YAML])
def test_what_is_not_yaml_is_told_with_line_and_column(
    problems_of: ProblemsOf, text: str | bytes, expected: str
) -> None:
    assert problems_of(text) == [expected]


def test_aliases_that_unfold_to_very_much_are_refused_where_they_do(problems_of: ProblemsOf) -> None:
    """Ten lines of ten aliases each stand for ten billion nodes."""
    lines = ["a0: &a0 [1, 2]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 11)]
    [problem] = problems_of("\n".join(lines))
    assert problem == "6:10: not YAML: more than 50000 nodes, aliases written out"


def test_a_file_of_aliases_within_bounds_is_read(problems_of: ProblemsOf) -> None:
    text = "indexes:\n  a: &a {mirrors: &m [tuna]}\n" + "".join(f"  b{n}: *a\n" for n in range(50))
    assert problems_of(text) == []


@pytest.mark.parametrize(
    "tag", ["!!python/object/apply:os.system", "!!python/name:os.system", "!custom", "!!binary"]
)
def test_a_tag_constructs_nothing(problems_of: ProblemsOf, tag: str) -> None:
    assert problems_of(f"log: {{level: {tag} [x]}}") == [
        "1:14: log.level: text is due, not a tag"
        if tag.startswith("!c")
        else "1:14: log.level: text is due, not a list"
    ]
    assert problems_of(f"log: {{level: {tag} x}}") == ["1:14: log.level: text is due, not a tag"]


def test_a_file_larger_than_any_configuration_is_not_parsed(problems_of: ProblemsOf) -> None:
    assert problems_of("#" * (MAX_BYTES + 1)) == ["1:1: is larger than 1 MiB"]


def test_a_missing_file_and_a_directory_are_told(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "none.yaml", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(ConfigError) as caught:
            load(path, {})
        assert caught.value.problems == (f"{path}:1:1: cannot be read: {reason}",)


def test_a_byte_order_mark_is_no_part_of_the_first_key(problems_of: ProblemsOf) -> None:
    assert problems_of(b"\xef\xbb\xbflog: {}") == []
