"""Passwords as a configuration keeps them: scrypt (RFC 7914) in the PHC string format.

`$scrypt$ln=14,r=8,p=5$SALT$HASH`, with base64 that isn't padded. Checking one takes about 0.2 s of CPU and 16 MiB, which is
the point of it, so it belongs off the event loop. Salts come in as arguments; nothing here remembers anything.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass, field

LOG_N, BLOCK, LANES = 14, 8, 5
"""What new hashes cost: 16 MiB, five times over (one of the settings that OWASP's password storage guide calls equal)."""

SALT = 16
"""Bytes of a new hash's salt."""

_SIZE = 32
_MAX_MEMORY = 128 << 20
_FORM = re.compile(
    r"\$scrypt\$ln=([0-9]{1,2}),r=([0-9]{1,2}),p=([0-9]{1,2})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class PasswordHash:
    """What a password is checked against."""

    log_n: int
    block: int
    lanes: int
    salt: bytes = field(repr=False)
    digest: bytes = field(repr=False)

    def matches(self, password: str) -> bool:
        """Whether this is the password. It takes the same time whether it is or not."""
        made = _scrypt(password, self.log_n, self.block, self.lanes, self.salt, len(self.digest))
        return hmac.compare_digest(made, self.digest)


def make(password: str, salt: bytes) -> str:
    """The hash to write into a configuration."""
    digest = _scrypt(password, LOG_N, BLOCK, LANES, salt, _SIZE)
    return f"$scrypt$ln={LOG_N},r={BLOCK},p={LANES}${_plain(salt)}${_plain(digest)}"


def parse(text: str) -> PasswordHash:
    """The hash that `text` is. Raises ValueError, with a message that repeats nothing of it."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError("a hash as `pypicache passwd` makes it is due")
    log_n, block, lanes = (int(number) for number in match.group(1, 2, 3))
    if not (log_n and block and lanes) or (128 * block << log_n) > _MAX_MEMORY or lanes > 16:  # noqa: PLR2004 - enough
        raise ValueError("the hash costs more than 128 MiB or 16 rounds: make it with `pypicache passwd`")
    try:
        salt, digest = (base64.b64decode(part + "=" * (-len(part) % 4)) for part in match.group(4, 5))
    except binascii.Error:
        raise ValueError("the hash is cut off: make it anew with `pypicache passwd`") from None
    return PasswordHash(log_n, block, lanes, salt, digest)


def _scrypt(password: str, log_n: int, block: int, lanes: int, salt: bytes, size: int) -> bytes:
    secret = password.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(
        secret, salt=salt, n=1 << log_n, r=block, p=lanes, maxmem=2 * _MAX_MEMORY, dklen=size
    )


def _plain(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=")
