"""Stored files through the proxy in front: nginx is told where the file is, and sends it itself.

With `server.accel: nginx`, the response for a file that is stored whole carries X-Accel-Redirect and no body. nginx
opens the blob under an internal location, which `conf/nginx.conf` maps to the cache directory, and sees to ranges; the
headers about the file are ours, and conditional requests have been answered before. A file that is still arriving is
streamed from here, and nginx is asked not to hold it back.

A blob can be evicted between the answer and nginx's open, and its permissions can be wrong. nginx then asks for the
same path once more with the header `FAILED`, and gets the bytes from here.
"""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import hdrs, web

from pypicache.index.content import Content, Stored

LOCATION = "/-accel/"
"""The internal location: what follows is `ab/cd/<64 digits>`, as below `blobs/sha256/` in the cache directory. No index
can have that name."""

FAILED = "X-Accel-Failed"
"""The request header by which nginx says that it couldn't open the file. A client that sends it gets what it asks for."""

UNBUFFERED: Mapping[str, str] = {"X-Accel-Buffering": "no"}


def redirect(
    request: web.BaseRequest, content: Content, headers: Mapping[str, str]
) -> web.StreamResponse | None:
    """The response that has nginx send the content, with these headers; None when it is to be sent from here."""
    sha256 = content.sha256
    if not isinstance(content, Stored) or sha256 is None or FAILED in request.headers:
        return None
    # nginx adds an Accept-Ranges of its own, beside one that it is given.
    kept = {name: value for name, value in headers.items() if name != hdrs.ACCEPT_RANGES}
    kept["X-Accel-Redirect"] = f"{LOCATION}{sha256[:2]}/{sha256[2:4]}/{sha256}"
    return web.Response(headers=kept)
