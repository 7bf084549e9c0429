"""How many clients there may be, and how long each may take to say what it wants.

::

                                        max_connections not reached    reached
    enough descriptors are left         served                         told so
    they run short                      told so                        told so
    so many are being told already      its connection is closed, without a word

To be told so is a 503 with Retry-After to whatever is asked, health excepted, and the end of the connection. The kernel
gives the lowest free descriptor, so the number of a new connection's own tells how many are in use. It decides
only, and imports nothing of the package.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

ENOUGH = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a server allows its clients."""

    keepalive_timeout: float = 75.0
    """Seconds that a connection may be idle."""
    head_timeout: float = 20.0
    """Seconds that a request's head may take, from its first byte to its last."""
    max_connections: int = 10_000
    """Connections that are served at a time."""
    descriptors: int = ENOUGH
    """Files and connections that this process may have open."""

    @property
    def patience(self) -> float:
        """Seconds for a head, of a connection that is served."""
        return min(self.head_timeout, self.keepalive_timeout)

    @property
    def reserve(self) -> int:
        """Descriptors that connections leave to the files that are sent over them."""
        return max(16, self.descriptors // 5)

    @property
    def told(self) -> int:
        """Connections that are told at a time that there are too many."""
        return max(16, self.max_connections // 10)


class Admission(enum.Enum):
    """What becomes of a connection that has come."""

    SERVED = enum.auto()
    TOLD = enum.auto()
    CLOSED = enum.auto()


def admit(limits: Limits, *, served: int, told: int, descriptor: int) -> Admission:
    """What becomes of a new connection of that `descriptor`, while so many others are served and told."""
    if served < limits.max_connections and descriptor < limits.descriptors - limits.reserve:
        return Admission.SERVED
    if told < limits.told and descriptor < limits.descriptors - limits.reserve // 2:
        return Admission.TOLD
    return Admission.CLOSED
