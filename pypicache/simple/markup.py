"""Reads the few HTML elements that an index page is made of, in one pass over the text.

This is a tokenizer and no more: it finds start tags and their attributes as the HTML standard does
(comments, raw text, quoting, character references) and builds no tree. A tree isn't needed, and building
one is quadratic by the standard's own rules: 40,000 nested `<div>`, 200 kB, took a complete parser 1.4 s,
and a tag with 16,000 attributes 0.3 s. Here every character is looked at a bounded number of times.

It knows nothing of what the elements mean.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

MAX_TAG = 32 << 10
"""Longer tags are skipped, in characters."""

MAX_TEXT = 1024
"""Characters of text that are kept with an element."""

_ATTRIBUTES = r"""(?:[^>=]++|=\s*+(?:"[^"]*+(?:"|\Z)|'[^']*+(?:'|\Z))?+)*+"""
_TOKEN = re.compile(
    rf"""
      <!--(?:-?>|.*?(?:--!?>|\Z))
    | <(?P<raw>script|style|title|textarea|xmp|iframe|noembed|noframes)(?=[\s/>]){_ATTRIBUTES}(?:>|\Z)
      .*?(?:</(?P=raw)(?=[\s/>])|\Z)
    | <(?P<name>a|base|meta)(?=[\s/>])(?P<attributes>{_ATTRIBUTES})(?P<close>>|\Z)
    | </?[a-z][^\s/>]*+{_ATTRIBUTES}(?:>|\Z)
    | <[!?/][^>]*+(?:>|\Z)
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL | re.ASCII,
)
_ATTRIBUTE = re.compile(
    r"""([^\s"'<>/=][^\s/>=]*+)(?:\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s>"'][^\s>]*+)))?""", re.ASCII
)
_REFERENCE = re.compile(r"&(?:#[0-9]{1,8};?|#[xX][0-9a-fA-F]{1,6};?|[A-Za-z][A-Za-z0-9]{1,31};)")


class Element:
    """A start tag, and the text between it and the next tag."""

    __slots__ = ("_start", "_text", "attributes", "name")

    def __init__(self, name: str, attributes: dict[str, str], text: str, start: int) -> None:
        self.name = name
        self.attributes = attributes
        self._text = text
        self._start = start

    @property
    def text(self) -> str:
        """Its text up to the next tag, without white space around it."""
        found = self._text.find("<", self._start, self._start + MAX_TEXT)
        end = found if found >= 0 else self._start + MAX_TEXT
        return unescape(self._text[self._start : end]).strip()


def elements(body: bytes) -> Iterator[Element]:
    """The `a`, `base` and `meta` elements of an HTML document in UTF-8, in order. Never raises."""
    text = body.decode("utf-8-sig", "replace")
    if "\r" in text:  # the standard's preprocessing: only a reference can make a carriage return
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    for token in _TOKEN.finditer(text):
        if token["name"] is None or not token["close"] or len(token["attributes"]) > MAX_TAG:
            continue
        attributes: dict[str, str] = {}
        for name, double, single, bare in _ATTRIBUTE.findall(token["attributes"]):
            attributes.setdefault(name.lower(), unescape(double or single or bare))
        yield Element(token["name"].lower(), attributes, text, token.end())


def unescape(text: str) -> str:
    """Character references resolved, as in an attribute: a name counts only with its semicolon."""
    return _REFERENCE.sub(_character, text) if "&" in text else text


def _character(match: re.Match[str]) -> str:
    return html.unescape(match[0])


def escape(text: str) -> str:
    """Text made fit for an element or a quoted attribute, so that reading it again gives it back."""
    escaped = html.escape(text)
    return escaped.replace("\r", "&#13;") if "\r" in escaped else escaped
