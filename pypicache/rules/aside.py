"""Whether a range of a file that is still arriving is worth a request of its own.

Installers read the end of a wheel first (its table of contents is there), a few kilobytes of a file that may take
minutes. Such a range is fetched aside, while the download goes on. Anything larger waits: the download will get
there, and what holds the file's last byte is only handed out verified.
"""

from __future__ import annotations

LIMIT = 1 << 20
"""The most bytes of one side request."""

NEAR = 1 << 20
"""A range that begins at most so many bytes beyond what has arrived waits."""

SOON = 0.3
"""Seconds: a range that the download reaches within this time waits."""


def fetch_aside(*, start: int, stop: int, arrived: int, rate: float) -> bool:
    """Whether [start, stop) is to be fetched apart; `arrived` bytes are there, `rate` bytes come in a second (0: unknown)."""
    if stop - start > LIMIT or stop <= arrived:
        return False
    ahead = stop - arrived
    return ahead > NEAR and (rate <= 0 or ahead / rate > SOON)
