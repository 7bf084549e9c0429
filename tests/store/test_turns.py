"""Turns among processes: had by one at a time, lost with the process that has one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pypicache.store.turns import Turns

HOLDER = """
import sys
from pypicache.store.turns import Turns
with open(sys.argv[1], "r+b") as file:
    print(Turns(file.fileno()).take("a"), flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "file").touch()
    return tmp_path / "file"


@pytest.fixture
def turns(path: Path) -> Iterator[Turns]:
    with path.open("r+b") as file:
        yield Turns(file.fileno())


def test_callers_of_one_process_are_kept_apart(turns: Turns) -> None:
    assert [turns.take("a"), turns.take("a"), turns.take("b")] == [True, False, True]
    turns.give("a")
    turns.give("never taken")
    assert [turns.take("b"), turns.take("a")] == [False, True]


def test_a_process_keeps_others_out_until_it_ends(turns: Turns, path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"True\n"
        assert [turns.take("a"), turns.take("b")] == [False, True]
        holder.kill()
        holder.wait()
    assert turns.take("a")
    assert path.stat().st_size == 0
