"""Settings that are checked and accepted, and that nothing acts on yet.

A file that sets one of these to something other than its default is told so. Deleting a line here is
all that a setting needs once something acts on it. `*` stands for an index's name or a mirror's place.
This module imports nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

PENDING: Final[Mapping[str, str]] = {}
"""The setting, and what is done instead."""
