"""What README says of the project is so: its promises have tests, its map has the territory."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()

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
