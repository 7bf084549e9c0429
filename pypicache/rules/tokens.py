"""Tokens of those who have logged in: until when, signed with the daemon's own key, and with what proved who they are.

A token is `EXPIRES.MAC`: the second after which it is worth nothing, in hexadecimal, and an HMAC over that, the
user, and the password (or its hash) that the configuration has for that user. So nothing has to be remembered of it, it outlives a
restart, and it dies with the password. `now` is an argument, in seconds since the epoch.
"""

from __future__ import annotations

import base64
import enum
import hashlib
import hmac
import re

LIFETIME = 36_000
"""Seconds for which a token is good: as long as devpi's."""

_FORM = re.compile(r"([0-9a-f]{1,12})\.([A-Za-z0-9_-]{43})", re.ASCII)


class Verdict(enum.Enum):
    """What a token is worth."""

    GOOD = "good"
    EXPIRED = "expired"
    """It was good once."""
    WRONG = "wrong"


def make(key: bytes, *, user: str, secret: str, expires: int) -> str:
    """A token for the user, whose password or hash is `secret`."""
    return f"{expires:x}.{_mac(key, user, secret, expires)}"


def judge(key: bytes, token: str, *, user: str, secret: str, now: float) -> Verdict:
    """What the token is worth. It takes the same time whatever is wrong with a well-formed one."""
    match = _FORM.fullmatch(token)
    if match is None:
        return Verdict.WRONG
    expires = int(match[1], 16)
    if not hmac.compare_digest(match[2], _mac(key, user, secret, expires)):
        return Verdict.WRONG
    return Verdict.GOOD if now < expires else Verdict.EXPIRED


def _mac(key: bytes, user: str, secret: str, expires: int) -> str:
    parts = [
        each.encode("utf-8", "surrogatepass") for each in ("pypicache token", user, secret, str(expires))
    ]
    said = b"".join(b"%d:%b" % (len(part), part) for part in parts)
    return base64.urlsafe_b64encode(hmac.digest(key, said, hashlib.sha256)).decode().rstrip("=")
