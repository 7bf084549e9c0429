"""Text from the configuration made into values: durations, sizes, addresses, names, patterns.

Pure: no files, no environment, no YAML. Each function raises `Bad` with a message that says what is due.
This module imports nothing of the package but the schema's types.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from decimal import Decimal
from ipaddress import AddressValueError, IPv4Address, IPv6Address, ip_network
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from pypicache.config.schema import Network


class Bad(ValueError):
    """A value that can't be; the message says what is due, and never repeats what may be a secret."""


_NUMBER = re.compile(r"(?P<number>[0-9]{1,18}(?:\.[0-9]{1,9})?) ?(?P<unit>[A-Za-z]*)", re.ASCII)

_SECONDS: Final = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_FOREVER: Final = 36525 * 86400.0
"""A hundred years: longer is a slip of the keyboard, and clocks need not cope with it."""

_BYTES: Final = {
    "": 1,
    "b": 1,
    **{f"{prefix}ib": 1 << (10 * power) for power, prefix in enumerate("kmgtp", 1)},
    **{f"{prefix}b": 1000**power for power, prefix in enumerate("kmgtp", 1)},
}
_MAX_BYTES: Final = 1 << 60

_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
_RESERVED: Final = frozenset({"simple", "index", "packages", "pypi", "metrics", "healthz", "readyz"})
_MIRROR_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_PATTERN = re.compile(r"[A-Za-z0-9*](?:[A-Za-z0-9._*-]{0,198}[A-Za-z0-9*])?", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9_.])?", re.ASCII)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}", re.ASCII)
_MANAGED: Final = frozenset({
    "accept", "accept-encoding", "connection", "content-length", "expect", "host", "if-match", "if-modified-since",
    "if-none-match", "if-range", "if-unmodified-since", "keep-alive", "range", "te", "trailer", "transfer-encoding",
    "upgrade",
})  # fmt: skip
"""Request headers that decide what an answer means; this program alone sets them."""


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean "…"?` with the most similar of the known words, or nothing when none is similar."""
    by_fold = {name.casefold(): name for name in known}
    folded = word[:100].casefold()
    # "pipy" has all of the letters of "pypi", and too few in the same order.
    swapped = [name for name in by_fold if sorted(name) == sorted(folded)]
    close = difflib.get_close_matches(folded, by_fold, n=1) or swapped
    return f'; did you mean "{by_fold[close[0]]}"?' if close else ""


def duration(text: str) -> float:
    """Seconds from `30s`, `10m`, `2h`, `7d` or a plain number of seconds."""
    match = _NUMBER.fullmatch(text)
    if match is None or match["unit"] not in _SECONDS:
        if text.startswith("-"):
            raise Bad("a duration can't be negative")
        raise Bad("a duration is due, such as 30s, 10m, 2h or 7d")
    seconds = float(match["number"]) * _SECONDS[match["unit"]]
    if seconds > _FOREVER:
        raise Bad("a duration of at most 100 years is due")
    return seconds


def positive_duration(text: str) -> float:
    """The same, above zero."""
    seconds = duration(text)
    if not seconds:
        raise Bad("a duration above zero is due")
    return seconds


def size(text: str) -> int:
    """Bytes from `512MiB`, `20GiB`, `1.5TB` or a plain number of bytes; units in any case."""
    match = _NUMBER.fullmatch(text)
    if match is None or match["unit"].lower() not in _BYTES:
        if text.startswith("-"):
            raise Bad("a size can't be negative")
        hint = ""
        if match is not None and f"{match['unit'].lower()}ib" in _BYTES:
            unit = match["unit"].upper()
            hint = f": write {match['number']}{unit}iB, or {match['number']}{unit}B for powers of ten"
        raise Bad(f"a size is due, such as 512MiB or 20GiB{hint}")
    count = int(Decimal(match["number"]) * _BYTES[match["unit"].lower()])
    if count > _MAX_BYTES:
        raise Bad("a size of at most 1024PiB is due")
    return count


def positive_size(text: str) -> int:
    """The same, above zero."""
    count = size(text)
    if not count:
        raise Bad("a size above zero is due")
    return count


def share(text: str) -> float:
    """A part of a whole, above 0 and at most 1, from `20%` or `0.2`."""
    percent = text.endswith("%")
    match = _NUMBER.fullmatch(text.removesuffix("%").rstrip())
    part = -1.0 if match is None or match["unit"] else float(match["number"]) / (100 if percent else 1)
    if not 0 < part <= 1:
        raise Bad("a share is due, such as 20%, above 0% and at most 100%")
    return part


def network(text: str) -> Network:
    """A network from CIDR notation; a single address is a network of one."""
    try:
        return ip_network(text)
    except ValueError:
        pass
    try:
        meant = ip_network(text, strict=False)
    except ValueError:
        raise Bad("a network in CIDR notation is due, such as 10.0.0.0/8 or fd00::/8") from None
    raise Bad(f"the address has bits set beyond the prefix; did you mean {meant}?")


def host_and_port(text: str) -> tuple[str | None, int]:
    """An address to listen on, from `host:port`, `[::1]:port` or `*:port`; host None means every address."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or len(port) > 5:  # noqa: PLR2004 - 65535 has five digits
        raise Bad("an address is due: host:port, [IPv6]:port in quotes, or unix:/path")
    if int(port) > 65535:  # noqa: PLR2004 - the largest port number
        raise Bad("a port is at most 65535")
    if host.startswith("[") and host.endswith("]"):
        try:
            return str(IPv6Address(host[1:-1])), int(port)
        except AddressValueError:
            raise Bad("what stands in brackets is no IPv6 address") from None
    if ":" in host:
        raise Bad('an IPv6 address stands in brackets and quotes: "[::1]:3141"')
    if host == "*":
        return None, int(port)
    return host_name(host), int(port)


def host_name(text: str) -> str:
    """A host name or an IPv4 address."""
    if not _HOST.fullmatch(text):
        raise Bad("that isn't a host name")
    if text.replace(".", "").isdigit():
        try:
            IPv4Address(text)
        except AddressValueError:
            raise Bad("that isn't an IPv4 address") from None
    return text


def web_address(text: str, schemes: tuple[str, ...] = ("http", "https")) -> SplitResult:
    """An absolute URL, taken apart: one of the schemes, a sound host, no query and no fragment.

    User and password may be in it: the caller moves them elsewhere. The messages repeat nothing of it.
    """
    forms = " or ".join((", ".join(schemes[:-1]), schemes[-1]))
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        raise Bad("that isn't a sound URL") from None
    if url.scheme not in schemes or not url.hostname:
        raise Bad(f"an absolute URL is due ({forms})")
    if any(c.isspace() or c in '\\<>"' or not c.isprintable() for c in text) or not text.isascii():
        raise Bad("a URL holds no spaces, backslashes or letters beyond ASCII: percent-encode them")
    if port == 0:
        raise Bad("port 0 can't be connected to")
    if "?" in text or "#" in text:
        raise Bad("a query or fragment can't be part of this URL")
    if ":" in url.hostname:
        try:
            IPv6Address(url.hostname)
        except AddressValueError:
            raise Bad("what stands in brackets is no IPv6 address") from None
    else:
        host_name(url.hostname)
    return url


def without_userinfo(url: SplitResult) -> str:
    """The URL without user and password."""
    return url._replace(netloc=url.netloc.rpartition("@")[2]).geturl()


def userinfo(url: SplitResult) -> tuple[str | None, str | None]:
    """User and password of the URL, percent-decoded; None for what isn't there."""
    user = None if url.username is None else unquote(url.username)
    return user, None if url.password is None else unquote(url.password)


def slashed_address(text: str) -> str:
    """An absolute URL that other URLs begin with: it ends in `/`, and no user and password are in it."""
    url = web_address(text)
    if userinfo(url)[0] is not None:
        raise Bad("user and password can't be part of this URL")
    plain = without_userinfo(url)
    return plain if plain.endswith("/") else f"{plain}/"


def user_name(text: str) -> str:
    """The name of a user, as HTTP basic authentication can carry it (RFC 7617 section 2)."""
    if ":" in text or any(not c.isprintable() for c in text):
        raise Bad("the name of a user can't hold colons or control characters")
    return text


def index_name(text: str) -> str:
    """The name of an index: one or two path segments that no other URL of ours begins with."""
    first, *rest = text.split("/")
    if first[:1] in {"+", "-"}:
        raise Bad(f'the name of an index can\'t begin with "{first[:1]}"')
    if first in _RESERVED:
        raise Bad(f'the name of an index can\'t begin with "{first}": other URLs do')
    if len(rest) > 1 or not all(_SEGMENT.fullmatch(segment) for segment in (first, *rest)):
        raise Bad(
            "the name of an index is one or two segments, NAME or USER/NAME, of letters, digits and . _ - "
            "that begin with a letter or digit"
        )
    return text


def mirror_name(text: str) -> str:
    """What a mirror is called in logs and metrics."""
    if not _MIRROR_NAME.fullmatch(text):
        raise Bad(
            "the name of a mirror is at most 64 letters, digits and . _ - that begin with a letter or digit"
        )
    return text


def project_pattern(text: str) -> str:
    """A pattern of project names, normalised as names are (PEP 503); `*` stands for any text."""
    if not _PATTERN.fullmatch(text):
        raise Bad("a project name is due, with * for any text, such as acme-*")
    return re.sub(r"[-_.]+", "-", text).lower()


def header_name(text: str) -> str:
    """The name of a request header that a configuration may set (RFC 9110 section 5.1)."""
    if not _TOKEN.fullmatch(text):
        raise Bad("that isn't the name of a header")
    if text.lower() in _MANAGED:
        raise Bad("this header is set by pypicache itself")
    return text
