"""What devpi's client is told of an index, and the envelope that everything comes in.

It is what devpi says of a mirror, or, of an index with layers, of a stage: the first mirror's address, never
with credentials; `mirror_cache_expiry` for `ttl`, `mirror_web_url_fmt` for `web_url`; and beyond devpi `mirrors`, all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web

from pypicache.web import devpi_paths as paths
from pypicache.web.errors import UNKEPT

HEADERS = {**UNKEPT, "X-DEVPI-API-VERSION": "2", "Vary": "Accept, X-Devpi-Auth"}
"""Of every answer; a client of another version of the API stops there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexFacts:
    """What is told of an index."""

    mirrors: tuple[str, ...] = ()
    """The addresses of its mirrors, without credentials."""
    layers: tuple[str, ...] = ()
    """Or the names of the indexes that it is made of."""
    ttl: float = 0.0
    web_url: str | None = None


def settings(facts: IndexFacts) -> dict[str, Any]:
    """The same in devpi's words."""
    if facts.layers:
        bases = [paths.shown(layer) for layer in facts.layers]
        return {"type": "stage", "bases": bases, "volatile": False, "acl_upload": []}
    said: dict[str, Any] = {
        "type": "mirror",
        "volatile": False,
        "mirror_url": facts.mirrors[0],
        "mirror_cache_expiry": int(facts.ttl),
    }
    if facts.web_url is not None:
        said["mirror_web_url_fmt"] = facts.web_url
    if len(facts.mirrors) > 1:
        said["mirrors"] = facts.mirrors
    return said


def document(kind: str, result: Any) -> web.Response:
    """An answer in devpi's envelope."""
    body = msgspec.json.encode({"type": kind, "result": result})
    return web.Response(body=body, content_type="application/json", headers=HEADERS)
