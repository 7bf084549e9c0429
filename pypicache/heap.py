"""The C library's heap, told to give back what is large: memory that was needed for a big page for a moment isn't kept for ever.

glibc maps large blocks apart and returns them at once, but takes any size that was freed for a small one from then on, up
to 32 MB; what comes to lie between lasting values stays resident then. A limit that is set stays as it is. At 256 kB, downloads
would cost a fifth more (a page fault for each 4 kB of each piece); at a megabyte nothing was measured. What is smaller
leaves holes, which it gives back when it is told to. With another C library nothing is done. It imports nothing of the package.
"""

from __future__ import annotations

import contextlib
import ctypes

LARGE = 1 << 20
"""Bytes from which on a block is mapped apart."""

SPARE = 2 << 20
"""Bytes at the end of the heap that may stay: what comes and goes with every request."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3


def settle() -> None:
    """Set the limits, for this process and those that it forks."""
    with contextlib.suppress(OSError, AttributeError, TypeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MMAP_THRESHOLD, LARGE)
        mallopt(_TRIM_THRESHOLD, SPARE)


def trim() -> None:
    """Give back what is free now. Some milliseconds, in which other threads may wait for memory: not often, nor on an event loop."""
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
