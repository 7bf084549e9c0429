"""Hostile text becomes the values of fields, alike for HTML and JSON.

Each function takes what a page says and gives the value that the model keeps, or None when the text
can't be one. Whether a page is worth keeping is not decided here, and nothing here knows either form.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Literal
from urllib.parse import quote, urljoin, urlsplit

from pypicache.errors import one_line
from pypicache.simple.model import (
    API_VERSION,
    STATUSES,
    STRENGTH,
    Digest,
    Project,
    ProjectName,
    digest,
    project_name,
)

MAX_FILES = 200_000
"""A page that lists more files is refused: the largest real ones have a quarter of that."""

MAX_URL = 8192
"""Longer links are dropped; signed URLs are a quarter of that."""

HASH_NAMES = frozenset({*STRENGTH, "sha3_224", "sha3_384"})
"""What counts as a hash in a URL's fragment, where other things stand as well (`#egg=…`)."""

_MAX_SIZE = 2**63
_URL = re.compile(
    r"https?://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?(?:[/?][!-\[\]-~]*)?", re.IGNORECASE
)
_BELOW = re.compile(r"((?:\.\./)*)((?:(?!\.\.?/)[A-Za-z0-9._~%+!-]+/)*(?!\.\.?\Z)[A-Za-z0-9._~%+!-]+)")
"""A relative path as pages have it: up, and down again."""
_UNSENDABLE = re.compile(r"[^!-~]+")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_TIME = re.compile(
    r"((?:19[7-9]|2[0-9][0-9])[0-9]-[0-9]{2}-[0-9]{2})[T ]((?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2})"
    r"(?:\.([0-9]+))?(Z|[+-][0-9]{2}:?[0-9]{2})?"
)
_USUAL_TIME = re.compile(
    r"(?:19[7-9]|2[0-9][0-9])[0-9]-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?Z"
)
"""As it is kept."""
_API_VERSION = re.compile(r"([0-9]{1,6})(?:\.([0-9]{1,6})(?:\..*)?)?")


def page_base(url: str) -> str:
    """The URL that a page's links are relative to: its own, without user and password, which links must not inherit."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="").geturl()


def link(base: str, text: str) -> str | None:
    """The link as an absolute http(s) URL without fragment, or None when it must not be followed.

    An absolute link stays as it is to the letter, since quoting it anew would break signed ones; only
    characters that can't be sent in a request line (spaces, non-ASCII ones) are percent-encoded.
    Other schemes, user names, missing or odd hosts, and backslashes are refused.
    """
    text = text.partition("#")[0]
    if len(text) > MAX_URL:
        return None
    if text.startswith(("https:", "http:")):
        if _URL.fullmatch(text):
            return text
    elif (plain := _BELOW.fullmatch(text)) is not None and (folder := _folder(base, plain[1])) is not None:
        return folder + plain[2] if len(folder) + len(plain[2]) <= MAX_URL else None
    text = text.strip("\t\n\f\r ").replace("\t", "").replace("\n", "").replace("\r", "")
    if not text:
        return None
    try:
        # The scheme is the one part that is put into its usual spelling: clients compare it.
        if _SCHEME.match(text):
            url = _SCHEME.sub(lambda m: m[0].lower(), text, count=1)
        else:
            url = urljoin(base, text)
        url = _UNSENDABLE.sub(lambda m: quote(m[0]), url)
    except ValueError:  # a broken IPv6 host, or a lone surrogate
        return None
    return url if _URL.fullmatch(url) and len(url) <= MAX_URL else None


@functools.lru_cache(maxsize=64)
def _folder(base: str, up: str) -> str | None:
    """What `urljoin` puts before a path that goes up so far: the same for all files of a page, and dear. None: ask it for the whole."""
    try:
        folder = urljoin(base, up or "./")
    except ValueError:
        return None
    return folder if _URL.fullmatch(folder) and folder.endswith("/") else None


def upload_time(text: str) -> str | None:
    """The time as `YYYY-MM-DDTHH:MM:SS[.f{1,6}]Z` (PEP 700), or None when it isn't one.

    The fraction keeps its length, up to six digits. A time without a zone is taken for UTC, as the
    legacy JSON API writes it. An impossible date must go: uv refuses the whole page for one.
    """
    try:
        if _USUAL_TIME.fullmatch(text):
            date.fromisoformat(text[:10])
            return text
    except ValueError:
        return None
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    day, clock, fraction, zone = match.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}{zone or 'Z'}")
        if zone is not None and zone != "Z":
            moment = moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{fraction[:6]}Z" if fraction else f"{moment:%Y-%m-%dT%H:%M:%S}Z"


def size(number: int | None) -> int | None:
    """The size in bytes, or None when no file can have it."""
    return number if number is not None and 0 <= number < _MAX_SIZE else None


def text_or_none(text: str | None) -> str | None:
    """The text verbatim, or None when there is nothing in it."""
    return text if text is not None and text.strip() else None


def yanked(mark: bool | str | None) -> bool | str:  # noqa: FBT001 - the value of a field, not a switch
    """The mark as the model has it: an empty reason means yanked without a reason (PEP 592)."""
    if mark is None:
        return False
    return mark if mark != "" else True


def digests(pairs: Iterable[tuple[str, str]]) -> tuple[Digest, ...]:
    """The digests that can be ones, the first of each algorithm, in the page's order."""
    found: dict[str, Digest] = {}
    for algorithm, value in pairs:
        item = digest(algorithm, value)
        if item is not None:
            found.setdefault(item.algorithm, item)
    return tuple(found.values())


def sidecar(said: bool | dict[str, str] | None) -> bool | tuple[Digest, ...] | None:  # noqa: FBT001 - as above
    """What a page says about `<file>.metadata` (PEP 714): a mapping without a usable hash still says there is one."""
    return digests(said.items()) or True if isinstance(said, dict) else said


def status(text: str | None) -> str | None:
    """The project status, or None when it is none of PEP 792's."""
    return text if text in STATUSES else None


def links(base: str, texts: Iterable[str]) -> tuple[str, ...]:
    """The project pages among these links (PEP 708), each once."""
    return tuple(dict.fromkeys(url for text in texts if (url := link(base, text)) is not None))


def api_version(text: str | None) -> tuple[int, int]:
    """What a page announces (PEP 629), at most what is spoken here; a page that says nothing is 1.0.

    Raises ValueError on another major version: such a page means something else.
    """
    if text is None:
        return (1, 0)
    match = _API_VERSION.fullmatch(text.strip())
    if match is None:
        return (1, 0)
    major, minor = int(match[1]), int(match[2] or 0)
    if major != API_VERSION[0]:
        raise ValueError(f"the page is of API version {major}.{minor}, which is not spoken here")
    return min((major, minor), API_VERSION)


def announced_version(project: Project) -> str:
    """The API version that a rendering of the page may honestly claim.

    1.1 and later promise the size of every file (PEP 700), so a page that lacks one is 1.0. Otherwise it
    is what the origin announced, or the version that brought a field which the page has.
    """
    if any(file.size is None for file in project.files):
        return "1.0"
    version = max(project.api_version, (1, 1))
    if project.tracks or project.alternate_locations:
        version = max(version, (1, 2))
    if any(file.provenance is not None for file in project.files):
        version = max(version, (1, 3))
    if project.status is not None:
        version = max(version, (1, 4))
    major, minor = min(version, API_VERSION)
    return f"{major}.{minor}"


def check_name(text: str, name: ProjectName) -> None:
    """Raise ValueError unless the page is that project's."""
    if project_name(text) != name:
        raise ValueError(f"the page is of another project: {one_line(text, 100)}")


Form = Literal["json", "html"]
"""How a page can be written down."""
