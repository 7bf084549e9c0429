"""Asking a running daemon over HTTP for JSON, at an address as clients have it."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

from pypicache.errors import NotFound, PypicacheError, one_line

TIMEOUT = 20.0
"""Seconds of silence after which the question is given up: a daemon may ask its mirrors for a page."""

MAX_ANSWER = 64 << 20
"""A longer answer isn't the daemon's."""


def get_json(url: str) -> Any:
    """What the daemon says there. Raises NotFound for a 404, PypicacheError when it doesn't answer or refuses."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    try:
        connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT)
    except ValueError:
        raise PypicacheError(f"{one_line(url)} isn't a sound URL") from None
    try:
        connection.request("GET", parts.path, headers={"Accept": "application/json"})
        response = connection.getresponse()
        body = response.read(MAX_ANSWER)
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise PypicacheError(f"no daemon answers at {one_line(url)}: {one_line(reason)}") from error
    finally:
        connection.close()
    if response.status != http.HTTPStatus.OK:
        said = one_line(body[:300].decode("utf-8", "replace").strip())
        kind_of = NotFound if response.status == http.HTTPStatus.NOT_FOUND else PypicacheError
        raise kind_of(f"{one_line(url)} answers {response.status}: {said}")
    try:
        return json.loads(body)
    except ValueError as error:
        raise PypicacheError(f"what answers at {one_line(url)} isn't pypicache") from error
