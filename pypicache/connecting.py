"""A mirror's settings become its wire: a part of the composition root, for the daemon and for `pypicache mirrors`.

It opens no connection and reads no file.
"""

from __future__ import annotations

import secrets
from urllib.parse import quote

from pypicache.config import schema
from pypicache.upstream.meter import Meter
from pypicache.upstream.wire import Wire


def own_name() -> str:
    """A name for this process in Via: a start is enough of an identity to find loops."""
    return f"pypicache-{secrets.token_hex(8)}"


def wire_to(mirror: schema.Mirror, *, via: str, meter: Meter | None = None) -> Wire:
    """The wire to that mirror, not yet open; `via` is this process's name in Via, `meter` counts what passes."""
    return Wire(
        name=mirror.name,
        url=mirror.url,
        connect_timeout=mirror.connect_timeout,
        read_timeout=mirror.read_timeout,
        username=mirror.username,
        password=mirror.password.reveal() if mirror.password else None,
        token=mirror.token.reveal() if mirror.token else None,
        headers={name: value.reveal() for name, value in mirror.headers.items()},
        allow_private=mirror.allow_private,
        ca_file=mirror.ca_file,
        proxy=_with_credentials(mirror.proxy) if mirror.proxy else None,
        trust_env=mirror.trust_env,
        netrc=mirror.netrc,
        via=via,
        meter=meter,
    )


def _with_credentials(proxy: schema.Proxy) -> str:
    if proxy.username is None:
        return proxy.url
    password = proxy.password.reveal() if proxy.password else ""
    userinfo = f"{quote(proxy.username, safe='')}:{quote(password, safe='')}@"
    return proxy.url.replace("://", f"://{userinfo}", 1)
