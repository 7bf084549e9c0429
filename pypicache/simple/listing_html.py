"""The names in a list of all projects as HTML (PEP 503's root page), read window by window.

A list has tens of megabytes, so no step sees more than a window of it. What ends in the middle of an anchor is given
back, to begin the next window with.

A list must prove to be one: a login page links to things as well, and `Login` could be a project. So an anchor counts
only if its text is a name and its link is that name, directly below the list's own address; a page that announces the
Simple API (PEP 629) may link anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

import msgspec

from pypicache.simple import fields
from pypicache.simple.markup import elements
from pypicache.simple.model import project_name

MAX_REST = 256 << 10
"""Bytes without the end of an anchor that are carried into the next window; a page with a longer gap is no list."""

_PLAIN = re.compile(rb'<a\s+href="([^"<>&]*)"[^<>&]*>([^<>&]*)</a', re.IGNORECASE)
_ANCHOR = re.compile(rb"<a\s", re.IGNORECASE)
_ENDS = re.compile(rb"</a\s*>", re.IGNORECASE)
_OPENED = re.compile(rb"<(?:html|body)[\s>]", re.IGNORECASE)
_CLOSED = re.compile(rb"</(?:html|body)\s*>", re.IGNORECASE)
_META = "pypi:repository-version"


class Html(msgspec.Struct, kw_only=True):
    """How far the page has been read. A plain value, so that it can travel to another process."""

    base: str
    begun: bool = False
    announced: bool = False
    """Whether the page has said that it is of the Simple API."""
    opened: bool = False
    closed: bool = False
    anchors: int = 0
    taken: int = 0


def read(state: Html, window: bytes, *, last: bool) -> tuple[list[str], bytes]:
    """The names in the window, as they are spelled, and what is left of it. Changes `state`.

    Raises ValueError for a page of another major version of the API, or one that goes on without anchors.
    """
    stop = len(window) if last else _last_end(window)
    text, rest = window[:stop], window[stop:]
    if len(rest) > MAX_REST:
        raise ValueError("the page goes on and on without links")
    if not text:
        return [], rest
    state.opened = state.opened or _OPENED.search(text) is not None
    if last:
        state.closed = _CLOSED.search(text) is not None
    names = [name for name in _names(state, list(_links(state, text))) if name is not None]
    state.taken += len(names)
    return names, rest


def proven(state: Html) -> bool:
    """Whether what was read so far is a list of projects, if perhaps an empty one."""
    return state.announced or (state.taken > 0 and state.taken * 10 >= state.anchors * 9)


def whole(state: Html) -> bool:
    """Whether the page, read to its end, has all that it opened: a cut one hasn't."""
    return state.closed or not state.opened


def _last_end(window: bytes) -> int:
    """Where the last anchor that is complete ends; 0 if there is none."""
    found = window.rfind(b"</a>") + 4
    if found >= 4:  # noqa: PLR2004 - found at all
        return found
    return max((match.end() for match in _ENDS.finditer(window)), default=0)


def _links(state: Html, text: bytes) -> Iterator[tuple[str, str]]:
    """Each anchor's link and text. Pages that programs write are plain, and read by one expression."""
    if state.begun:
        plain = _PLAIN.findall(text)
        if len(plain) == len(_ANCHOR.findall(text)):
            for href, label in plain:
                yield href.decode("ascii", "replace"), label.decode("ascii", "replace")
            return
    state.begun = True
    for element in elements(text):
        attributes = element.attributes
        if element.name == "a" and "href" in attributes:
            yield attributes["href"], element.text
        elif element.name == "base" and "href" in attributes:
            state.base = fields.link(state.base, attributes["href"]) or state.base
        elif element.name == "meta" and attributes.get("name", "").lower() == _META:
            fields.api_version(attributes.get("content"))
            state.announced = True


def _names(state: Html, links: Iterable[tuple[str, str]]) -> Iterator[str | None]:
    prefixes = _prefixes(state.base)
    for href, text in links:
        state.anchors += 1
        label = text.strip().rstrip("/")
        name = project_name(label)
        if name is None:
            yield None
            continue
        target = href.rstrip("/")
        if target != name:
            prefix = next((each for each in prefixes if target.startswith(each)), "")
            target = target[len(prefix) :]
            if state.announced:
                target = target.rpartition("/")[2]
        yield label if target == name or project_name(target) == name else None


def _prefixes(base: str) -> tuple[str, ...]:
    """What links to the page's own folder begin with, the longest form first."""
    parts = urlsplit(base)
    folder = parts.path.rpartition("/")[0] + "/"
    return f"{parts.scheme}://{parts.netloc}{folder}", f"//{parts.netloc}{folder}", folder, "./"
