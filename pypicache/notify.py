"""What the service manager is told: that the daemon is ready, reloads, stops, and that its loop still turns.

The protocol is that of sd_notify(3): lines in a datagram to the socket that `$NOTIFY_SOCKET` names. Started by anything
else, all of it does nothing. It knows nothing of the daemon, and imports nothing of the package.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import MutableMapping


class Notifier:
    """Tells the service manager; a manager that doesn't listen is no reason to fail.

    `address` is where it listens (a path, or `@name` in the abstract namespace), None for nowhere; `watchdog` the
    seconds within which it wants to hear that the process is alive, None when it doesn't.
    """

    def __init__(self, address: str | None = None, watchdog: float | None = None) -> None:
        self._address = address
        self.watchdog = watchdog
        self._status = ""

    @classmethod
    def of(cls, env: MutableMapping[str, str]) -> Notifier:
        """As the environment says. What it says is taken out, since it isn't meant for processes that are started from here."""
        address = env.pop("NOTIFY_SOCKET", "")
        period, pid = env.pop("WATCHDOG_USEC", ""), env.pop("WATCHDOG_PID", "")
        watchdog = int(period) / 1e6 if period.isdecimal() and pid in {"", str(os.getpid())} else 0.0
        return cls(address if address[:1] in {"/", "@"} else None, watchdog or None)

    def ready(self, status: str) -> None:
        """It serves, for the first time or after a reload."""
        self._status = status
        self._tell("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """A reload begins; `ready` ends it. Type=notify-reload wants to know when, by the monotonic clock."""
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._tell("RELOADING=1", f"MONOTONIC_USEC={now}", "STATUS=reloading the configuration")

    def stopping(self, status: str) -> None:
        """It ends."""
        self._tell("STOPPING=1", f"STATUS={status}")

    def status(self, status: str) -> None:
        """What it does at the moment, for `systemctl status`: one line. Repeating it costs nothing."""
        if status != self._status:
            self._status = status
            self._tell(f"STATUS={status}")

    def changed(self) -> None:
        """Another configuration has come into force; for those who are told what systemd doesn't ask for."""

    def alive(self) -> None:
        """The loop turns; to be called at least every `watchdog` seconds."""
        if self.watchdog is not None:
            self._tell("WATCHDOG=1")

    def _tell(self, *lines: str) -> None:
        if self._address is None:
            return
        target = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.settimeout(0)
            sock.sendto("\n".join(lines).encode(), target)
