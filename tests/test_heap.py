"""What large blocks leave behind in the heap, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.environment import REPOSITORY

CODE = """
import sys
from pypicache import heap
if "settle" in sys.argv:
    heap.settle()
lasting, size = [], int(sys.argv[1])
for _ in range(4):
    large = []
    for _ in range(96_000_000 // size):
        large.append(b"x" * size)
        lasting.append(bytes(2000))  # what comes to lie between them
    del large
if "trim" in sys.argv:
    heap.trim()
with open("/proc/self/statm") as file:
    print(int(file.read().split()[1]) * 4096)
"""


def resident(*arguments: str) -> int:
    """Bytes that stay resident after nearly 100 MB came and went four times."""
    command = [sys.executable, "-c", CODE, *arguments]
    return int(subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=True).stdout)


@pytest.mark.parametrize(("size", "done"), [("1500000", "settle"), ("300000", "trim")])
def test_what_was_large_is_given_back(size: str, done: str) -> None:
    """Large blocks at once, middling ones when the heap is told to."""
    assert resident(size, done) < 40_000_000 < resident(size)
