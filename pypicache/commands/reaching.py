"""The running daemon of a configuration, asked over HTTP at the addresses that the configuration has it listen on.

It decides nothing. The addresses are tried in their order: a daemon may listen where this user or this machine can't go.

Where the daemon wants to know who asks, a token says that it is someone who can read the daemon's own key, which is in its cache:
its user, or root. It is good for this one request and a minute, so that whoever else listens there can do nothing with it.
"""

from __future__ import annotations

import base64
import http.client
import json
import socket
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pypicache.config.schema import Config, Listen
from pypicache.errors import PypicacheError, StoreError, one_line
from pypicache.rules import tokens
from pypicache.store.key import read_key

TIMEOUT = 10.0
"""Seconds for one address: the daemon asks nobody."""

LIFETIME = 60
"""Seconds for which the token of a request is good."""

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


class NoDaemon(PypicacheError):
    """Nothing answers at any of the addresses."""


class NotAllowed(PypicacheError):
    """The daemon doesn't do that for whoever asks."""


def ask(config: Config, path: str, method: str = "GET", *, good: Collection[int] = (200,)) -> Any:
    """The running daemon's JSON at that path. Raises NoDaemon, NotAllowed, or PypicacheError when it refuses.

    `good` are the statuses that come with JSON which is an answer.
    """
    failures = []
    headers = _credentials(config, method, path)
    for address in config.server.listen:
        try:
            status, body = _request(address, method, path, headers)
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            failures.append(f"no daemon answers at {address}: {one_line(reason)}")
            continue
        if status not in good:
            said = one_line(body.decode("utf-8", "replace").strip())
            kind = NotAllowed if status in {401, 403} else PypicacheError
            raise kind(f"the daemon at {address} answers {status}: {said}")
        try:
            return json.loads(body)
        except ValueError:
            failures.append(f"what answers at {address} isn't pypicache")
    raise NoDaemon("\n".join(failures))


def _credentials(config: Config, method: str, path: str) -> Mapping[str, str]:
    """The header that a daemon believes which wants to know who asks; nothing where it needn't, or can't be made."""
    if method == "GET" and config.auth.anonymous != "none":
        return {}
    try:
        key = read_key(config.cache.dir)
    except StoreError:
        key = None
    if key is None:
        return {}
    expires = int(time.time()) + LIFETIME
    token = tokens.make(key, user="", secret=f"{method} {path}", expires=expires)
    return {"X-Devpi-Auth": base64.b64encode(f":{token}".encode()).decode()}


def _request(address: Listen, method: str, path: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
    connection = _connection(address)
    try:
        connection.request(method, path, headers=dict(headers))
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
