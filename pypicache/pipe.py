"""A worker's end of the pipe to its supervisor: what it would tell systemd, it tells there.

It may import nothing of the package but notify.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from pypicache.notify import Notifier


class ToSupervisor(Notifier):
    """Tells the supervisor through `fd`; `gone` is called when nobody is at the other end any more."""

    def __init__(self, fd: int, gone: Callable[[], object]) -> None:
        super().__init__("@", watchdog=2.0)
        self._fd = fd
        self._gone = gone

    def changed(self) -> None:
        """Another configuration has come into force."""
        self._tell("X_CHANGED=1")

    def _tell(self, *lines: str) -> None:
        try:
            os.write(self._fd, "".join(f"{line}\n" for line in lines).encode())
        except BlockingIOError:
            return
        except OSError:
            self._gone()
