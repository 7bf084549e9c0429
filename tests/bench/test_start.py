"""What a start with a warm cache takes, beside what it can't do without, in the same run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.start import measure

GOAL, BAR = 1.8, 2.3
"""What is aimed at by the clock, and what fails by the processor's: other tests run beside it. A start that imports what it needs once
in a while takes half as much again; one that looks at every file takes many times as much."""


@pytest.mark.bench
def test_a_start_takes_little_more_than_its_imports(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """CPU seconds until the first answer, the least of interleaved rounds."""
    starts, imports = measure(tmp_path, files=5_000, rounds=5)
    cost = min(starts.cpu) / min(imports.cpu)
    with capsys.disabled():
        print(f"\nstart: {cost:.2f} times the CPU of its imports (goal {GOAL})")
    assert cost < BAR
