"""Asking a running daemon over HTTP for JSON, at an address as clients have it.

Where it wants to know who asks, it is told what stands in the address or in the netrc file, as installers do.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import netrc
import os
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from pypicache.errors import NotFound, PypicacheError, one_line

TIMEOUT = 20.0
"""Seconds of silence after which the question is given up: a daemon may ask its mirrors for a page."""

MAX_ANSWER = 64 << 20
"""A longer answer isn't the daemon's."""


def get_json(url: str) -> Any:
    """What the daemon says there. Raises NotFound for a 404, PypicacheError when it doesn't answer or refuses."""
    parts = urlsplit(url)
    shown = one_line(parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl())
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    try:
        connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT)
    except ValueError:
        raise PypicacheError(f"{shown} isn't a sound URL") from None
    try:
        connection.request("GET", parts.path, headers={"Accept": "application/json", **_credentials(parts)})
        response = connection.getresponse()
        body = response.read(MAX_ANSWER)
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise PypicacheError(f"no daemon answers at {shown}: {one_line(reason)}") from error
    finally:
        connection.close()
    if response.status != http.HTTPStatus.OK:
        said = one_line(body[:300].decode("utf-8", "replace").strip())
        kind_of = NotFound if response.status == http.HTTPStatus.NOT_FOUND else PypicacheError
        raise kind_of(f"{shown} answers {response.status}: {said}")
    try:
        return json.loads(body)
    except ValueError as error:
        raise PypicacheError(f"what answers at {shown} isn't pypicache") from error


def _credentials(url: SplitResult) -> dict[str, str]:
    """The header for the user and password of the address, or those of the netrc file for its host."""
    pair = (unquote(url.username), unquote(url.password or "")) if url.username is not None else None
    if pair is None:
        with contextlib.suppress(OSError, netrc.NetrcParseError, RuntimeError):
            file = os.environ.get("NETRC") or str(Path("~/.netrc").expanduser())
            found = netrc.netrc(file).authenticators(url.hostname or "")
            pair = (found[0], found[2] or "") if found is not None else None
    if pair is None:
        return {}
    return {"Authorization": "Basic " + base64.b64encode(":".join(pair).encode()).decode()}
