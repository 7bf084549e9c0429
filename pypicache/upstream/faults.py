"""How a mirror failed, in our words: the one place that reads aiohttp's, the TLS library's and the socket's errors.

Every message is short, names the cause, and is made here from types and error numbers: a mirror's own text
gets in only as a status reason, bounded, and URLs and headers never, since they may hold secrets. ::

    no name, no route, refused, reset, ended early      UpstreamRefused
    a certificate or TLS that can't be trusted          UpstreamRefused
    a status that is neither an answer nor an absence   UpstreamRefused, with `http_status` and `retry_after`
    silence                                             UpstreamTimeout
    bytes that aren't HTTP, or not what was asked for   UpstreamGarbled
    a link that must not be followed                    BadLink: the page's fault, not the mirror's health

It doesn't decide what a failure means for anyone; `Mirrors` and the callers do.
"""

from __future__ import annotations

import errno
import os
import ssl
from http import HTTPStatus

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from pypicache.errors import UpstreamError, UpstreamGarbled, UpstreamRefused, UpstreamTimeout, one_line

FAULTS = (aiohttp.ClientError, HttpProcessingError, OSError, ValueError, RuntimeError)
"""What a request and the reading of its answer can raise, for hostile servers and URLs too.

TimeoutError and ssl.SSLError are OSErrors, UnicodeError is a ValueError; uvloop raises RuntimeError where asyncio
raises OSError. Cancellation is none of them and passes.
"""

_REASON = 60


class ProxyFailed(aiohttp.ClientError):
    """A SOCKS proxy makes no connection."""


class BadLink(UpstreamRefused):
    """A URL that must not be fetched: a forbidden address, another scheme, a password in it.

    It is the fault of the page (or redirect) that names it, so it says nothing about whether the mirror is up.
    """


class ForbiddenAddress(OSError):
    """Raised instead of making a socket, before anything is dialled; its `reason` names the address and why."""

    def __init__(self, reason: str) -> None:
        super().__init__(errno.EACCES, reason)
        self.reason = reason


def translate(error: BaseException, origin: str, *, silence: str) -> UpstreamError:
    """The error of ours for one of `FAULTS`; `silence` is the message for a timeout ("no answer within 5 s").

    Errors that are ours already come back as they are.
    """
    if isinstance(error, UpstreamError):
        return error
    if isinstance(error, ProxyFailed):
        # Whatever its words, they are the proxy's.
        return UpstreamRefused(origin, "the SOCKS proxy makes no connection")
    if isinstance(error, TimeoutError):
        return UpstreamTimeout(origin, silence)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return UpstreamRefused(origin, f"the host name {one_line(error.host, 80)} can't be resolved")
    if isinstance(error, aiohttp.ClientConnectorError):
        return _unconnected(error, origin)
    if isinstance(error, aiohttp.ClientError | HttpProcessingError) and not isinstance(error, OSError):
        return _after_connecting(error, origin)
    if isinstance(error, OSError):
        return UpstreamRefused(origin, _os_reason(error))
    if isinstance(error, ValueError):
        return BadLink(origin, "a URL that can't be used")
    return UpstreamRefused(origin, f"the request failed ({type(error).__name__})")


def refusal(
    origin: str, status: int, reason: str | None, *, what: str = "", retry_after: float | None = None
) -> UpstreamRefused:
    """The error for an HTTP status that is neither an answer nor an absence; `what` was asked for, if that helps."""
    message = f"{what}: {status_line(status, reason)}" if what else status_line(status, reason)
    return UpstreamRefused(origin, message, http_status=status, retry_after=retry_after)


def status_line(status: int, reason: str | None) -> str:
    """`503 Service Unavailable`: the standard's phrase, or the server's own where there is none."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = one_line(reason or "", _REASON)
    return f"{status} {phrase}".rstrip()


def _unconnected(error: aiohttp.ClientConnectorError, origin: str) -> UpstreamError:
    """A connection that never came about. A guarded socket's refusal comes out of here as BadLink."""
    cause = error.__cause__
    if isinstance(cause, ForbiddenAddress):
        return BadLink(origin, cause.reason)
    if isinstance(cause, OSError) and cause.errno == errno.EACCES and cause.strerror:
        # Several addresses failed in several ways, one at least by the guard: the connector has joined the texts.
        return BadLink(origin, cause.strerror)
    if isinstance(cause, ConnectionError) and not cause.errno:
        # The loops say so when the other side leaves before TLS is agreed on: too old a version, for one.
        return UpstreamRefused(origin, "the connection broke off in the TLS handshake")
    if isinstance(cause, OSError):
        return UpstreamRefused(origin, _os_reason(cause))
    return UpstreamRefused(origin, "no connection")


def _after_connecting(error: aiohttp.ClientError | HttpProcessingError, origin: str) -> UpstreamError:
    """An answer that is none, or a URL that aiohttp won't take."""
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return UpstreamRefused(origin, f"the proxy answered {status_line(error.status, None)}")
    if isinstance(error, aiohttp.ClientPayloadError):
        return _broken_off(error, origin)
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return UpstreamRefused(origin, "the connection was closed without an answer")
    if isinstance(error, aiohttp.ClientResponseError | HttpProcessingError):
        return UpstreamGarbled(origin, "not an HTTP answer")
    if isinstance(error, aiohttp.InvalidURL | aiohttp.NonHttpUrlClientError):
        return BadLink(origin, "a URL that can't be used")
    return UpstreamRefused(origin, f"the request failed ({type(error).__name__})")


def _broken_off(error: aiohttp.ClientPayloadError, origin: str) -> UpstreamError:
    """A body that began and did not end as announced."""
    cause: BaseException | None = error.__cause__
    while cause is not None and not isinstance(cause, OSError | HttpProcessingError):
        cause = cause.__cause__
    if isinstance(cause, TimeoutError):
        return UpstreamTimeout(origin, "it fell silent in the middle of the body")
    if isinstance(cause, OSError) and cause.errno:
        return UpstreamRefused(origin, f"the body ended early: {_os_reason(cause)}")
    return UpstreamRefused(origin, "the body ended early")


def _os_reason(error: OSError) -> str:
    """`connection refused`, `certificate has expired`: the operating system's or TLS library's words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        # Only TLS's own text, which may quote our host name; an IP address or name is no secret.
        return (
            f"its certificate isn't trusted: {one_line(error.verify_message or 'verification failed', 120)}"
        )
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {one_line((error.reason or 'protocol error').replace('_', ' ').lower(), 80)}"
    if error.errno:
        return os.strerror(error.errno).lower()
    return "the connection failed"
