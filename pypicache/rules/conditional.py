"""If-None-Match, and what a request's Cache-Control asks for.

Says whether a client has the page already (RFC 9110 section 13.1.2) and whether it insists that a
mirror is asked (RFC 9111 section 5.2.1). It knows neither pages nor responses, only header text;
several header lines of one name come joined by commas.

If-None-Match against the entity tag `"a"` (weak comparison, RFC 9110 section 8.8.3.2)::

    header              not modified
    absent, empty       no
    "a"                 yes
    W/"a"               yes     a proxy that compresses weakens tags
    "b", "a"            yes     a list of any length
    *                   yes     anything will do; only as the whole header
    "b,a"               no      a comma inside quotes is part of the tag
    a                   no      no tag; what follows it isn't read either

A malformed header costs the client a whole response, never a wrong 304.
"""

from __future__ import annotations

import re

# RFC 9110 section 8.8.3: no quote, no space, no control character; obs-text reaches beyond ASCII.
_TAG = r"\"[^\x00-\x20\x22\x7f]*\""
_STRONG = re.compile(_TAG)
_MEMBER = re.compile(rf"[ \t,]*(?:W/)?({_TAG})[ \t]*(?=,|\Z)")

# A directive, then its argument as a quoted string or as a token (RFC 9111 section 5.2). It always matches, if only
# the separators: a header of nothing but commas is passed over in one step.
_DIRECTIVE = re.compile(r"[ \t,]*(?:([^\s,;=\"]+)(?:[ \t]*=[ \t]*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s,;\"]*)))?)?")
_ZERO = re.compile(r"0+")


def is_strong(etag: str | None) -> bool:
    """Whether this is one well-formed strong entity tag (RFC 9110 section 8.8.3)."""
    return etag is not None and bool(_STRONG.fullmatch(etag))


def not_modified(if_none_match: str | None, etag: str) -> bool:
    """Whether the client holds the representation called `etag`, so that 304 is the answer to its GET.

    Weak comparison: the two need only agree without their `W/` (RFC 9110 section 13.1.2).
    """
    if if_none_match is None:
        return False
    if if_none_match.strip(" \t") == "*":
        return True
    ours = etag.removeprefix("W/")
    position = 0
    while member := _MEMBER.match(if_none_match, position):
        if member[1] == ours:
            return True
        position = member.end()
    return False


def wants_revalidation(cache_control: str | None, pragma: str | None = None) -> bool:
    """Whether the client insists on an answer that a mirror has confirmed now: `no-cache` or `max-age=0`.

    `Pragma: no-cache` says the same where there is no Cache-Control (RFC 9111 section 5.4).
    """
    if cache_control is None:
        return pragma is not None and any(name == "no-cache" for name, _ in _directives(pragma))
    return any(
        name == "no-cache" or (name == "max-age" and bool(_ZERO.fullmatch(argument)))
        for name, argument in _directives(cache_control)
    )


def _directives(header: str) -> list[tuple[str, str]]:
    """Each directive in lower case, with its argument or an empty string; malformed ones are skipped."""
    found = []
    position = 0
    while position < len(header) and (directive := _DIRECTIVE.match(header, position)):
        comma = header.find(",", directive.end())
        stop = len(header) if comma < 0 else comma
        if directive[1] and not header[directive.end() : stop].strip(" \t"):
            found.append((directive[1].lower(), directive[2] or directive[3] or ""))
        position = stop + 1
    return found
