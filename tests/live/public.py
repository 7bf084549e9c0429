"""The public index, asked directly: what the daemon's answers are compared with. Its address is written nowhere."""

from __future__ import annotations

import functools
import ssl
import urllib.error
import urllib.request

import pytest

from pypicache.config.wellknown import PYPI, address

SIMPLE = address(PYPI)

_AUTHORITIES = ssl.get_default_verify_paths().cafile
TRUST = {"REQUESTS_CA_BUNDLE": _AUTHORITIES, "SSL_CERT_FILE": _AUTHORITIES} if _AUTHORITIES else {}
"""For clients that ask the index themselves: the machine's own certificate authorities, as the daemon has them."""


@functools.cache
def reachable() -> str | None:
    """Why the public index can't be asked, or None."""
    try:
        ask("pip")
    except (OSError, urllib.error.URLError) as error:
        return f"the public index can't be reached: {error}"
    return None


def needed() -> None:
    """Skip the test where there is no way to the public index."""
    if (why := reachable()) is not None:
        pytest.skip(why)


@functools.cache
def _context() -> ssl.SSLContext:
    """One for all questions: reading the certificate authorities takes longer than most."""
    return ssl.create_default_context()


def ask(project: str, accept: str = "application/vnd.pypi.simple.v1+json") -> bytes:
    """The page as the index gives it, after redirects."""
    request = urllib.request.Request(f"{SIMPLE}{project}/", headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=30, context=_context()) as response:
        return bytes(response.read())
