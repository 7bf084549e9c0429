"""Which form a client gets: `Accept` and `Accept-Encoding` decided (RFC 9110 section 12.5, PEP 691).

Both headers are read in one pass over a bounded prefix, and parts that make no sense are skipped: a
client's odd header is no reason for an error. Nothing here knows of requests or responses.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Sequence

from pypicache.errors import NotAcceptable
from pypicache.simple.fields import Form

MAX_HEADER = 4096
"""Characters of a header that are read; what follows is as if not sent."""

MAX_PARTS = 64
"""Parts of a header that are read."""

_PART = re.compile(r"\s*([!#$%&'*+.^`|~\w/-]+)\s*((?:;.*)?)", re.ASCII)
_Q = re.compile(r";\s*q\s*=\s*([^;]*)", re.ASCII | re.IGNORECASE)
_QVALUE = re.compile(r"0?\.[0-9]{1,9}|0\.?|1(?:\.0{0,9})?")


class Representation(enum.Enum):
    """The forms of a page, each with the media type it is served as."""

    JSON_V1 = "application/vnd.pypi.simple.v1+json"
    HTML_V1 = "application/vnd.pypi.simple.v1+html"
    HTML_LEGACY = "text/html"

    @property
    def content_type(self) -> str:
        """The Content-Type header. Clients compare the PEP 691 types exactly, so only text/html has a charset."""
        return "text/html; charset=utf-8" if self is Representation.HTML_LEGACY else self.value

    @property
    def form(self) -> Form:
        """Whether its body is JSON or HTML."""
        return "json" if self is Representation.JSON_V1 else "html"


_JSON, _HTML, _LEGACY = Representation
_NAMES = {
    **{form.value: form for form in Representation},
    "application/vnd.pypi.simple.latest+json": _JSON,
    "application/vnd.pypi.simple.latest+html": _HTML,
}
_RANGES = {"application/*": (_JSON, _HTML), "text/*": (_LEGACY,), "*/*": (_LEGACY, _JSON, _HTML)}
_EXACT, _SUBTYPE, _ANY = 3, 2, 1
_SPECIFICITY = {"application/*": _SUBTYPE, "text/*": _SUBTYPE, "*/*": _ANY}


def negotiate(accept: str | None, format_: str | None = None) -> Representation:
    """The form to answer with. `format_` is the query's `format`, which overrides the header.

    The highest quality wins; between equals, one that was named beats one that a wildcard let in, and then
    JSON comes before HTML (PEP 691). Who accepts anything gets text/html, as browsers and old clients expect.
    Raises NotAcceptable when none of the forms will do.
    """
    if format_:
        # A plus that wasn't encoded arrives as a space.
        chosen = _NAMES.get(format_.strip().replace(" ", "+").lower())
        if chosen is None:
            raise NotAcceptable(_refusal("the format asked for is not among"))
        return chosen
    parts = list(_weighted(accept or ""))
    if not parts:
        return _LEGACY
    verdicts: dict[Representation, tuple[int, float]] = {}
    for media_range, quality in parts:
        named = _NAMES.get(media_range)
        specificity = _SPECIFICITY.get(media_range, _EXACT)
        for form in (named,) if named is not None else _RANGES.get(media_range, ()):
            # The most specific range decides (RFC 9110 section 12.5.1), whatever its quality.
            verdicts[form] = max(verdicts.get(form, (0, 0.0)), (specificity, quality))
    ranked = [
        (-quality, -specificity, _preference(form, specificity), form)
        for form, (specificity, quality) in verdicts.items()
        if quality > 0
    ]
    if not ranked:
        raise NotAcceptable(_refusal("nothing that the Accept header names is among"))
    return min(ranked, key=lambda item: item[:3])[3]


def negotiate_coding(accept_encoding: str | None, offered: Sequence[str]) -> str:
    """The content coding to answer with: one of `offered`, in the server's order of preference, or "identity".

    A client that excludes all there is gets identity nevertheless (RFC 9110 section 12.5.3 lets a server
    disregard the header): a page in clear is better than none.
    """
    weights: dict[str, float] = {}
    for coding, quality in _weighted(accept_encoding or ""):
        weights.setdefault("gzip" if coding == "x-gzip" else coding, quality)
    anything = weights.get("*", 0.0)
    best, most = "identity", weights.get("identity", 0.0)
    ranked = [(weights.get(coding, anything), coding) for coding in offered if coding != "identity"]
    for quality, coding in ranked:
        # Identity wins only by being asked for more; a later coding only by being liked better.
        if quality > most or (quality == most > 0 and best == "identity"):
            best, most = coding, quality
    return best


def accepts_html(accept: str | None) -> bool:
    """Whether the header names text/html itself: that is what tells a browser from a program."""
    return any(media_range == "text/html" and quality > 0 for media_range, quality in _weighted(accept or ""))


def _weighted(header: str) -> Iterator[tuple[str, float]]:
    """The parts of a header in lower case with their qualities; what is malformed is left out."""
    text = header[:MAX_HEADER]
    if len(header) > MAX_HEADER:
        text = text.rpartition(",")[0]  # half a part may mean something else
    for part in text.split(",", MAX_PARTS)[:MAX_PARTS]:
        match = _PART.fullmatch(part)
        if match is None:
            continue
        q = _Q.search(match[2])
        value = "1" if q is None else q[1].strip()
        if _QVALUE.fullmatch(value):
            yield match[1].lower(), float(value)


def _preference(form: Representation, specificity: int) -> int:
    order = _RANGES["*/*"] if specificity == _ANY else (_JSON, _HTML, _LEGACY)
    return order.index(form)


def _refusal(why: str) -> str:
    return f"{why} {', '.join(form.value for form in Representation)}"
