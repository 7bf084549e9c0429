"""What becomes of a download when its last client has left.

::

    held                                        what happens
    at most FINISH bytes are missing            it is finished
    half of it or more is there                 it is finished
    otherwise                                   it stops after `GRACE`, and what has come is kept for the next client

Installers give up after 15 seconds and ask again, so nothing stops before `GRACE`. The rule is Squid's quick_abort
in spirit: a cache that fetches the rest of everything that was ever begun can be made to fetch the world.
"""

from __future__ import annotations

FINISH = 64 << 20
"""Bytes that are always fetched to the end."""

SHARE = 0.5
"""The share of a file from which on it is finished."""

GRACE = 60.0
"""Seconds without a client before a download stops."""


def goes_on(*, held: int, size: int | None, readers: int, alone: float) -> bool:
    """Whether a download with so many bytes held goes on; `alone` is how many seconds it has had no reader."""
    if readers or alone < GRACE or size is None:
        return True
    return size - held <= FINISH or held >= SHARE * size
