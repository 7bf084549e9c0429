"""What sending a cached file costs, beside the event loop's own sendfile in the same run."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from tests.bench.files import LARGE, measure, sendfile_server, served
from tests.wheels import wheel

GOAL, BAR = 1.3, 2.5
"""What is aimed at, and what fails. Machines differ: 1.0 on one is 1.5 on another, and more beside other tests; a file that is
read and written instead costs five times."""


@pytest.mark.bench
def test_a_large_file_costs_little_more_than_sendfile(capsys: pytest.CaptureFixture[str]) -> None:
    """CPU seconds per byte, the best of interleaved rounds: what else runs on the machine only ever adds to them."""
    with ExitStack() as stack:
        ours, blob = stack.enter_context(served(wheel("large", "1.0", size=LARGE)))
        peers = [stack.enter_context(sendfile_server(blob)), ours]
        measure(peers, rounds=7, requests=10)
    theirs, cost = (min(peer.cpu) for peer in peers)
    with capsys.disabled():
        print(f"\nCPU per byte: {cost / theirs:.2f} of the loop's own sendfile (goal {GOAL})")
    assert cost < theirs * BAR
