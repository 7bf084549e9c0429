"""How long each layer of an index is waited for, so that a client is answered in time however many of them are silent.

The seconds of one answer are shared out in the order of authority ::

    the layer                                      is waited for
    denied the name, and was silent a moment ago   `patience`: it is passed over then
    denied the name                                what is left, but `RESERVE` for each layer after it; then, too
    any other                                      what is left: its silence is the answer

None is waited for less than `RESERVE` or `patience`, whichever is shorter. It reads no clock and asks nobody.
"""

from __future__ import annotations

RESERVE = 3.0
"""Seconds that are kept for each layer that hasn't been asked yet."""


def wait(*, left: float, later: int, denied: bool, troubled: bool, patience: float) -> float:
    """Seconds for the layer that is asked next, when `left` are left and `later` layers come after it."""
    if denied:
        left = min(left - RESERVE * later, patience if troubled else left)
    return max(left, min(patience, RESERVE))
