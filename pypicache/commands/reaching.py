"""The running daemon of a configuration, asked over HTTP at the addresses that the configuration has it listen on.

It decides nothing. The addresses are tried in their order: a daemon may listen where this user or this machine can't go.
"""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path
from typing import Any

from pypicache.config.schema import Config, Listen
from pypicache.errors import PypicacheError, one_line

TIMEOUT = 10.0
"""Seconds for one address: the daemon asks nobody."""

MAX_ANSWER = 4 << 20
"""A longer answer isn't the daemon's."""


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT)
        self.sock.connect(str(self._path))


def ask(config: Config, path: str) -> Any:
    """The running daemon's JSON at that path. Raises PypicacheError when none runs there, or it refuses."""
    failures = []
    for address in config.server.listen:
        try:
            status, body = _get(address, path)
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            failures.append(f"no daemon answers at {address}: {one_line(reason)}")
            continue
        if status != http.HTTPStatus.OK:
            said = one_line(body.decode("utf-8", "replace").strip())
            raise PypicacheError(f"the daemon at {address} answers {status}: {said}")
        try:
            return json.loads(body)
        except ValueError:
            failures.append(f"what answers at {address} isn't pypicache")
    raise PypicacheError("\n".join(failures))


def _get(address: Listen, path: str) -> tuple[int, bytes]:
    connection = _connection(address)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read(MAX_ANSWER)
    finally:
        connection.close()


def _connection(address: Listen) -> http.client.HTTPConnection:
    if address.unix is not None:
        return _UnixConnection(address.unix)
    # An address of every interface is also one of this machine's own.
    host = {None: "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(address.host, address.host)  # noqa: S104 - compared, not bound
    return http.client.HTTPConnection(host or "127.0.0.1", address.port, timeout=TIMEOUT)
