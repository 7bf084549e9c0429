"""What README says of the project is so: its promises have tests, its map has the territory."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
CHINESE = (ROOT / "README.zh.md").read_text()

PROMISES = re.findall(r"^\d+\. \*(.+?)\.?\*", README, re.MULTILINE)


def plain(text: str) -> str:
    return " ".join(text.lower().replace("isn't", "is not").split())


def test_there_are_ten_promises() -> None:
    assert len(PROMISES) == 10


@pytest.mark.parametrize("promise", PROMISES)
def test_a_promise_has_a_test_that_carries_its_name(promise: str) -> None:
    """In the docstring of a test of the ordinary run."""
    tests = [path for path in (ROOT / "tests").rglob("test_*.py") if path != Path(__file__)]
    assert any(f"*{plain(promise)}" in plain(path.read_text()) for path in tests)


def test_the_map_names_what_there_is() -> None:
    places = set(re.findall(r"^\| `pypicache/(\w+)(?:/|\.py)`", README, re.MULTILINE))
    folders = {path.name for path in (ROOT / "pypicache").iterdir() if (path / "__init__.py").exists()}
    assert folders <= places
    assert all(
        (ROOT / "pypicache" / place).exists() or (ROOT / f"pypicache/{place}.py").exists() for place in places
    )


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_a_link_leads_somewhere(link: str) -> None:
    assert (ROOT / link).exists()


def code_blocks(text: str) -> list[str]:
    return re.findall(r"^```\w*\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def test_the_chinese_readme_has_the_same_code() -> None:
    """All of the tutorial's and of what is before it; further down it leaves out much, and invents nothing."""
    here, there = (text.partition("<!-- end of tutorial -->") for text in (README, CHINESE))
    assert code_blocks(here[0]) == code_blocks(there[0])
    rest = iter(code_blocks(here[2]))
    assert all(block in rest for block in code_blocks(there[2])), "another block, or another order"


def test_the_chinese_readme_names_the_same_commands() -> None:
    """In tables and sentences, too: whatever is set as code there stands in the English one."""
    outside = re.sub(r"^```.*?^```$", "", CHINESE, flags=re.DOTALL | re.MULTILINE)
    assert not {code for code in re.findall(r"`([^`]+)`", outside) if code not in README}


def test_the_chinese_readme_makes_as_many_promises() -> None:
    assert len(re.findall(r"^\d+\. \*", CHINESE, re.MULTILINE)) == len(PROMISES)


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#:]+)\)", CHINESE))))
def test_a_link_of_the_chinese_readme_leads_somewhere(link: str) -> None:
    assert (ROOT / link).exists()
