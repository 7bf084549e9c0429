"""Blocking HTTP clients for tests: `get` is correct, `raw` sends what it is given, `ByHand` reads by the byte.

None follows redirects, decodes codings or keeps connections, so that a test sees what was sent.
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

TIMEOUT = 20.0
"""Seconds of silence after which a client gives up."""


@dataclass(frozen=True, slots=True)
class Response:
    """A whole response. Header names are in lower case; repeated ones are joined with a comma."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def text(self) -> str:
        """The body as UTF-8."""
        return self.body.decode()

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


def get(
    url: str, headers: Mapping[str, str] | None = None, *, method: str = "GET", timeout: float = TIMEOUT
) -> Response:
    """Ask for `url`, its path and query sent verbatim. A body that ends early raises http.client.IncompleteRead."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=timeout)
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request(method, target, headers={"Accept-Encoding": "identity", **(headers or {})})
        response = connection.getresponse()
        received: dict[str, str] = {}
        for name, value in response.getheaders():
            key = name.lower()
            received[key] = f"{received[key]}, {value}" if key in received else value
        return Response(response.status, received, response.read())
    finally:
        connection.close()


def raw(host: str, port: int, data: bytes, *, timeout: float = TIMEOUT) -> bytes:
    """Send these bytes and return all that comes back until the server closes or resets the connection.

    Raises TimeoutError, with what had come so far, if it does neither; ask with `Connection: close`.
    """
    received = bytearray()
    with socket.create_connection((host, port), timeout=timeout) as connection:
        try:
            connection.sendall(data)
            while piece := connection.recv(65536):
                received += piece
        except ConnectionError:
            return bytes(received)
        except TimeoutError:
            raise TimeoutError(
                f"no end after {timeout} s of silence; so far: {bytes(received[:500])!r}"
            ) from None
    return bytes(received)


class ByHand:
    """A keep-alive connection on which a test asks and reads piece by piece."""

    def __init__(self, url: str, method: str = "GET") -> None:
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname, parts.port), timeout=TIMEOUT)
        self.ask(parts.path, method)

    def ask(self, path: str, method: str = "GET") -> None:
        """Send a request."""
        self._socket.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())

    def head(self) -> bytes:
        """The head of the response, to its empty line; nothing of the body is read."""
        data = b""
        while not data.endswith(b"\r\n\r\n"):
            piece = self._socket.recv(1)
            assert piece, data
            data += piece
        return data

    def read(self, size: int) -> bytes:
        """`size` bytes; fewer if the connection ends in order first. A reset raises ConnectionResetError."""
        data = bytearray()
        while len(data) < size and (piece := self._socket.recv(size - len(data))):
            data += piece
        return bytes(data)

    def close(self) -> None:
        """Leave."""
        self._socket.close()
