"""A body becomes a page: the parser is chosen by media type, and by looking where that says nothing.

Every refusal is a ValueError with one line that can stand in a log. Size and encoding of the body are the
business of whoever fetched it.
"""

from __future__ import annotations

import re

from pypicache.errors import one_line
from pypicache.simple import pep503, pep691
from pypicache.simple.fields import MAX_FILES
from pypicache.simple.model import Project, ProjectName, dump

__all__ = ["MAX_FILES", "parse_and_dump", "parse_page"]

_JSON_TYPES = frozenset(
    {"application/vnd.pypi.simple.v1+json", "application/vnd.pypi.simple.latest+json", "application/json"}
)
_HTML_TYPES = frozenset(
    {
        "application/vnd.pypi.simple.v1+html",
        "application/vnd.pypi.simple.latest+html",
        "application/xhtml+xml",
        "text/html",
    }
)
_VAGUE_TYPES = frozenset({"", "application/octet-stream", "binary/octet-stream", "text/plain", "text/xml"})
_LATIN = re.compile(r";\s*charset\s*=\s*[\"']?(?:iso-?8859-1|latin-?1|windows-1252|cp1252)\b", re.IGNORECASE)
_LEADING = b"\xef\xbb\xbf \t\r\n\f"


def parse_page(body: bytes, *, content_type: str | None, url: str, name: ProjectName) -> Project:
    """The project's page in `body`, which came from `url` (the final one) as `content_type`.

    What looks like a JSON object is read as one whatever its type: no HTML page begins with a brace, and
    file servers call JSON many things. Raises ValueError, with one line, when it isn't that project's page.
    """
    media_type = (content_type or "").partition(";")[0].strip().lower()
    first = body[:1024].lstrip(_LEADING)[:1]
    if first == b"{" or media_type in _JSON_TYPES:
        return pep691.parse(body, url=url, name=name)
    if media_type in _HTML_TYPES or (media_type in _VAGUE_TYPES and first == b"<"):
        if _LATIN.search(content_type or "", 0, 200):
            body = body.decode("cp1252", "replace").encode()
        return pep503.parse(body, url=url, name=name)
    raise ValueError(
        f"the page is neither JSON nor HTML: {one_line(media_type, 100) or 'it has no media type'}"
    )


def parse_and_dump(body: bytes, content_type: str | None, url: str, name: ProjectName) -> bytes:
    """`parse_page`, then `model.dump`: bytes to bytes, so that a helper process can do it."""
    return dump(parse_page(body, content_type=content_type, url=url, name=name))
