"""The daemon in a world of its own names: `python -m tests.names serve -c FILE` asks no name server.

The JSON file that `$NAMES` names says what each host name leads to, at the moment of the question: a list of addresses,
"unknown", or "hang". Every other name leads where the system says. Only `socket.getaddrinfo` is replaced.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from pathlib import Path
from typing import Any

from pypicache.cli import main

HANG = 60.0
"""Seconds after which even a resolver that hangs gives up, so that nothing is left behind."""

_system = socket.getaddrinfo


def _getaddrinfo(host: Any, port: Any, *arguments: Any, **more: Any) -> Any:
    found = json.loads(Path(os.environ["NAMES"]).read_text()).get(host)
    if found is None:
        return _system(host, port, *arguments, **more)
    if found == "hang":
        threading.Event().wait(HANG)
        raise socket.gaierror(socket.EAI_AGAIN, "it took too long")
    if found == "unknown":
        raise socket.gaierror(socket.EAI_NONAME, "there is no such name")
    return [entry for address in found for entry in _system(address, port, type=socket.SOCK_STREAM)]


if __name__ == "__main__":
    socket.getaddrinfo = _getaddrinfo
    main()
